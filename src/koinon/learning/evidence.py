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
from koinon.learning.aggregation import Update, rule_named
from koinon.learning.codecs import codec_named
from koinon.learning.common import CommonModel
from koinon.learning.contribution import CONTRIBUTIONS, History, Round, to_shares
from koinon.learning.messages import payload_digest, updates_digest
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.simulation import utility_on
from koinon.learning.summed import Opening, advance_by_sum
from koinon.tables import Table

MAGIC: Final = b"koinon run 1\n"


@dataclass(frozen=True)
class RoundEvidence:
    """One round: encoded updates and rows by owner index, and the digest of the model they made.

    In a private run the updates are masked, and ``opening`` says what takes the masks off their sum.
    """

    number: int
    updates: Mapping[int, bytes]
    examples: Mapping[int, int]
    model: bytes
    opening: bytes = b""

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
                | ({"opening": one.opening.hex()} if one.opening else {})
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
                model, opening = (bytes.fromhex(one.get(name, "")) for name in ("model", "opening"))
                rounds.append(RoundEvidence(int(one["number"]), updates, examples, model, opening))
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
        common, codec, rounds = CommonModel(self.recipe), codec_named(self.recipe.codec), []
        for one in self.rounds:
            if self.recipe.privacy.private_sum:
                opening = Opening.decode(one.opening)
                rounds.append(advance_by_sum(common, one.updates, opening, one.examples))
            else:
                updates = {
                    index: Update(codec.decode(data, common.vector.shape[0]), one.examples[index])
                    for index, data in sorted(one.updates.items())
                }
                rounds.append(Round(common.vector, common.marked(updates)))
                common.advance(updates)
            if common.digest != one.model:
                raise IntegrityError(
                    f"The model after round {one.number} is not what the round's updates make.",
                    hint="Whoever led the run aggregated otherwise than the recipe says.",
                    code="learning.replay",
                )
        return tuple(rounds)


@dataclass(frozen=True)
class Contributions:
    """What each owner was found to be worth: raw values, and shares of the owners' part in 1e-9 by index.

    ``low`` and ``high`` are the values' 95 % intervals (the values themselves where nothing was sampled),
    ``copies`` groups of owners whose updates are so alike that they share one portion.
    """

    rule: str
    contribution_set: bytes
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    copies: tuple[tuple[int, ...], ...]
    shares: Mapping[int, int]
    minimums: Mapping[int, int]
    evidence: bytes

    def to_bytes(self) -> bytes:
        """Canonical JSON, whose digest the chain records; ``evidence`` is the evidence's sha256."""
        content = {
            "rule": self.rule,
            "contribution_set": self.contribution_set.hex(),
            "values": self.values,
            "low": self.low,
            "high": self.high,
            "copies": self.copies,
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
    history = History(
        rounds,
        evidence.owners,
        rule_named(recipe.aggregation),
        utility_on(recipe, contribution_set, evidence.scaling),
        metrics.chance(recipe.classes),
        recipe.seed,
    )
    found = CONTRIBUTIONS[recipe.contribution].valuation(history)
    values = _rounded(found.values)
    return Contributions(
        recipe.contribution,
        contribution_set.digest,
        values,
        _rounded(found.low),
        _rounded(found.high),
        found.duplicates,
        to_shares(np.array(values), history.participants, recipe.owners_share, minimums),
        {index: share for index, share in sorted(minimums.items()) if share},
        hashlib.sha256(evidence.to_bytes()).digest(),
    )


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    """To twelve digits: what differs beyond them from machine to machine shall not change a digest."""
    return tuple(round(float(value), 12) for value in values)


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
