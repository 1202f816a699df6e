# SPDX-License-Identifier: Apache-2.0
"""The model without an owner: made again from the rounds' updates, at the cost of adding them up.

What the others learnt while the owner was there they learnt from common models that it had a part in; what
is left out is everything the owner itself sent. Only training anew takes the rest away too, and either way
copies of the earlier version stay with whoever has them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from koinon.errors import BadInput
from koinon.learning.aggregation import Update
from koinon.learning.codecs import codec_named
from koinon.learning.common import CommonModel
from koinon.learning.evidence import Evidence, RoundEvidence


@dataclass(frozen=True)
class History:
    """Rounds taught before, to be gone through again by those of their owners who stay.

    ``owners`` maps an owner's address to its index in the rounds; ``run_id`` is the run they were taught in.
    """

    run_id: int
    owners: Mapping[str, int]
    rounds: tuple[RoundEvidence, ...]

    def round(self, number: int, places: Mapping[str, int]) -> dict[int, tuple[bytes, int]]:
        """Payload and rows of everybody who stays and took part in a round, by new place."""
        one = self.rounds[number - 1]
        found = {place: self.owners.get(address) for address, place in places.items()}
        return {
            place: (one.updates[index], one.examples[index])
            for place, index in found.items()
            if index is not None and index in one.updates
        }


def without(evidence: Evidence, leaving: Collection[int]) -> Evidence:
    """The evidence of the run as if these owners, by index, had sent nothing.

    Raises
    ------
    BadInput
        An owner who took no part, a round that nobody else taught, or a private sum, which nobody can take
        apart.
    """
    if evidence.recipe.privacy.private_sum:
        raise BadInput(
            "A private sum cannot be taken apart to leave an owner out of it.",
            hint="Teach the next version anew without this owner.",
            code="learning.private_mode",
        )
    taught = {index for one in evidence.rounds for index in one.updates}
    if not set(leaving) <= taught:
        raise BadInput("An owner who took no part cannot leave the model.", code="learning.not_member")
    codec, common = codec_named(evidence.recipe.codec), CommonModel(evidence.recipe)
    rounds = []
    for one in evidence.rounds:
        kept = {index: data for index, data in one.updates.items() if index not in leaving}
        if not kept:
            raise BadInput(
                f"Nobody else taught round {one.number}.",
                hint="The model cannot be made without this owner.",
                code="learning.too_few_owners",
            )
        examples = {index: one.examples[index] for index in kept}
        common.advance(
            {
                index: Update(codec.decode(data, common.vector.shape[0]), examples[index])
                for index, data in sorted(kept.items())
            }
        )
        rounds.append(RoundEvidence(one.number, kept, examples, common.digest))
    return Evidence(evidence.recipe, evidence.scaling, evidence.owners, tuple(rounds))
