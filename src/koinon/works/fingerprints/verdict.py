# SPDX-License-Identifier: Apache-2.0
"""Whether a Work's lineage is verified, for mandates that pay nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.bonds import Outcome
from koinon.works.catalogue import Catalogue
from koinon.works.fingerprints.claims import LineageClaims


@dataclass(frozen=True)
class Verdict:
    """``verified``, and in a sentence why or why not; ``staked`` behind it in the coin's smallest unit."""

    verified: bool
    reason: str
    staked: int = 0


def lineage_verified(catalogue: Catalogue, work_id: int, *, least_stake: int = 1) -> Verdict:
    """Whether a Work registered its fingerprints, is like no earlier Work of others that it does not name as
    an ancestor, and its owner stakes on that, with no claim upheld or open.

    Parameters
    ----------
    least_stake : int
        What must stand behind it, in the coin's smallest unit.
    """
    claims = LineageClaims(catalogue)
    try:
        prints = claims.fingerprints.registered(work_id)
    except (NotFound, BadInput, IntegrityError) as fault:
        return Verdict(False, fault.message)
    if not prints:
        return Verdict(False, f"Work {work_id} registered no fingerprints, or others than its file says.")
    if like := claims.fingerprints.earlier(work_id):
        kinds = " and ".join(each.kind for each in like[0].likenesses)
        return Verdict(False, f"Its {kinds} are those of Work {like[0].work_id}, which it does not name.")
    for bond_id in claims.bonds_on(work_id):
        outcomes = claims.outcomes(bond_id)
        if Outcome.UPHELD in outcomes:
            return Verdict(False, f"A committee upheld a claim against its lineage (bond {bond_id}).")
        if Outcome.OPEN in outcomes:
            return Verdict(False, f"A claim against its lineage is open (bond {bond_id}).")
    held = claims.standing(work_id)
    if held is None or held[1].amount < least_stake:
        staked = 0 if held is None else held[1].amount
        return Verdict(False, f"Its owner stakes {staked} on its lineage, less than {least_stake}.", staked)
    return Verdict(
        True, f"Its owner stakes on its lineage, and nobody disputes it (bond {held[0]}).", held[1].amount
    )
