# SPDX-License-Identifier: Apache-2.0
"""Everything needed to compute a run again: each round's updates, and what they were worth.

The leader keeps it as one file and shows it to owners who ask; its digests are on chain. Updates are no data,
but not public either: whoever has them all learns more about the owners than from the model alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from koinon.errors import BadInput, IntegrityError
from koinon.learning import metrics
from koinon.learning.aggregation import AGGREGATIONS, Update
from koinon.learning.codec import CODECS
from koinon.learning.contribution import CONTRIBUTIONS, Round, Values, to_shares
from koinon.learning.messages import payload_digest, updates_digest
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.simulation import utility_on
from koinon.learning.tables import Table

MAGIC: Final = b"koinon run 1\n"


@dataclass(frozen=True)
class RoundEvidence:
    """One round: encoded updates and rows by owner index, and the digest of the model they made."""

    number: int
    updates: Mapping[int, bytes]
    examples: Mapping[int, int]
    model: bytes

    @property
    def participants(self) -> int:
        """A bit an owner."""
        return sum(1 << index for index in self.updates)

    @property
    def updates_digest(self) -> bytes:
        """As the chain records it."""
        return updates_digest({index: payload_digest(data) for index, data in self.updates.items()})


@dataclass(frozen=True)
class Evidence:
    """A run's recipe, scaling and rounds."""

    recipe: Recipe
    scaling: Scaling
    owners: int
    rounds: tuple[RoundEvidence, ...]

    def to_bytes(self) -> bytes:
        """Head (JSON) and all updates in order."""
        head = {
            "recipe": orjson.loads(self.recipe.to_json()),
            "scaling": self.scaling.to_dict(),
            "owners": self.owners,
            "rounds": [
                {
                    "number": one.number,
                    "model": one.model.hex(),
                    "updates": [
                        [index, one.examples[index], len(data)] for index, data in sorted(one.updates.items())
                    ],
                }
                for one in self.rounds
            ],
        }
        encoded = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)
        parts = [data for one in self.rounds for _, data in sorted(one.updates.items())]
        return MAGIC + len(encoded).to_bytes(4, "big") + encoded + b"".join(parts)

    @classmethod
    def from_bytes(cls, content: bytes) -> Evidence:
        """Read what :meth:`to_bytes` wrote; BadInput when it is something else."""
        start = len(MAGIC) + 4
        try:
            position = start + int.from_bytes(content[len(MAGIC) : start], "big")
            head: dict[str, Any] = orjson.loads(content[start:position])
            rounds = []
            for one in head["rounds"]:
                updates, examples = {}, {}
                for index, rows, size in one["updates"]:
                    updates[int(index)] = content[position : position + size]
                    examples[int(index)] = int(rows)
                    position += size
                rounds.append(
                    RoundEvidence(int(one["number"]), updates, examples, bytes.fromhex(one["model"]))
                )
            recipe = Recipe.from_json(orjson.dumps(head["recipe"]))
            found = cls(recipe, Scaling.from_dict(head["scaling"]), int(head["owners"]), tuple(rounds))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput("This is not the evidence of a run.", code="learning.evidence") from error
        if position != len(content) or not rounds or not content.startswith(MAGIC):
            raise BadInput("This is not the evidence of a run.", code="learning.evidence")
        return found

    def replay(self) -> tuple[Round, ...]:
        """The rounds with their models computed again from the updates.

        Raises
        ------
        IntegrityError
            A model is not what its updates make.
        """
        model, codec = self.recipe.model, CODECS[self.recipe.codec]
        rule = AGGREGATIONS[self.recipe.aggregation]
        vector, rounds = model.initial(self.recipe.seed), []
        for one in self.rounds:
            updates = {
                index: Update(codec.decode(data, model.size), one.examples[index])
                for index, data in sorted(one.updates.items())
            }
            rounds.append(Round(vector, updates))
            vector = rule.aggregate(vector, list(updates.values()))
            if payload_digest(codec.encode(vector)) != one.model:
                raise IntegrityError(
                    f"The model after round {one.number} is not what the round's updates make.",
                    hint="Whoever led the run aggregated otherwise than the recipe says.",
                    code="learning.replay",
                )
        return tuple(rounds)


@dataclass(frozen=True)
class Contributions:
    """What each owner was found to be worth: raw values, and shares of the owners' part in 1e-9 by index."""

    rule: str
    contribution_set: bytes
    values: tuple[float, ...]
    shares: Mapping[int, int]
    minimums: Mapping[int, int]
    evidence: bytes

    def to_bytes(self) -> bytes:
        """Canonical JSON, whose digest the chain records; ``evidence`` is the evidence's sha256."""
        content = {
            "rule": self.rule,
            "contribution_set": self.contribution_set.hex(),
            "values": [round(value, 12) for value in self.values],
            "shares": {str(index): share for index, share in sorted(self.shares.items())},
            "minimums": {str(index): share for index, share in sorted(self.minimums.items())},
            "evidence": self.evidence.hex(),
        }
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    @property
    def digest(self) -> bytes:
        """sha256 of the canonical JSON."""
        return hashlib.sha256(self.to_bytes()).digest()


def measure(
    evidence: Evidence, rounds: Sequence[Round], contribution_set: Table, minimums: Mapping[int, int]
) -> Contributions:
    """Apply the recipe's contribution rule; ``minimums`` are the least shares that were promised."""
    recipe = evidence.recipe
    values: Values = CONTRIBUTIONS[recipe.contribution].values(
        rounds,
        evidence.owners,
        AGGREGATIONS[recipe.aggregation],
        utility_on(recipe, contribution_set, evidence.scaling),
        metrics.chance(recipe.classes),
    )
    participants = sorted({index for one in rounds for index in one.updates})
    return Contributions(
        recipe.contribution,
        contribution_set.digest,
        tuple(float(value) for value in np.round(values, 12)),
        to_shares(np.round(values, 12), participants, recipe.owners_share, minimums),
        {index: share for index, share in sorted(minimums.items()) if share},
        hashlib.sha256(evidence.to_bytes()).digest(),
    )


def audit(evidence: Evidence, contribution_set: Table, claimed: Contributions) -> None:
    """Compute a run again: models from updates, shares from models.

    Raises
    ------
    IntegrityError
        Another contribution set, a model its updates do not make, or shares that do not follow.
    """
    if contribution_set.digest != claimed.contribution_set:
        raise IntegrityError("This is not the committed contribution set.", code="learning.contribution_set")
    found = measure(evidence, evidence.replay(), contribution_set, claimed.minimums)
    if found.evidence != claimed.evidence:
        raise IntegrityError("The shares were computed from other updates.", code="learning.replay")
    if found.shares != claimed.shares:
        raise IntegrityError("The shares do not follow from the run.", code="learning.shares")
