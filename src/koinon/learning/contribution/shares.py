# SPDX-License-Identifier: Apache-2.0
"""From values to shares that add up exactly: of the owners' part, and of the part for those who compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput


@dataclass(frozen=True)
class Income:
    """Shares in 1e-9: of data owners by their index, and of those who computed by their account."""

    data: dict[int, int]
    compute: dict[str, int]

    @property
    def total(self) -> int:
        """Exactly what was to be divided."""
        return sum(self.data.values()) + sum(self.compute.values())


def split_income(
    owners_share: int,
    compute_share: int,
    data_values: Mapping[int, float],
    metered_work: Mapping[str, int],
    *,
    minimums: Mapping[int, int] | None = None,
) -> Income:
    """Divide what a model earns among who taught it and who computed for it.

    Parameters
    ----------
    owners_share, compute_share : int
        The two parts, in 1e-9.
    data_values : mapping of int to float
        What each participating owner's data were worth; negatives earn the one unit of `to_shares`.
    metered_work : mapping of str to int
        Validated work by account, in any one unit; whoever did none gets nothing. If nobody did any, this
        part goes to the owners.
    minimums : mapping of int to int, optional
        As in `to_shares`.

    Raises
    ------
    BadInput
        Nobody to pay, negative parts or negative work, or values that are not finite.
    """
    if owners_share < 0 or compute_share < 0 or any(work < 0 for work in metered_work.values()):
        raise BadInput("Shares and metered work cannot be negative.", code="learning.pool")
    worked = {account: work for account, work in sorted(metered_work.items()) if work}
    total = sum(worked.values())
    compute = {account: compute_share * work // total for account, work in worked.items()}
    remainders = sorted(worked, key=lambda account: (-(compute_share * worked[account] % total), account))
    for account in remainders[: compute_share - sum(compute.values()) if worked else 0]:
        compute[account] += 1
    values = np.full(max(data_values, default=-1) + 1, 0.0)
    for index, value in data_values.items():
        values[index] = value
    pool = owners_share + (0 if worked else compute_share)
    return Income(to_shares(values, sorted(data_values), pool, minimums), compute)


def to_shares(
    values: NDArray[np.float64],
    participants: Sequence[int],
    pool: int,
    minimums: Mapping[int, int] | None = None,
) -> dict[int, int]:
    """Divide a pool by value: negatives earn nothing but the one unit that keeps them in the lineage.

    Parameters
    ----------
    values : float array, shape (owners,)
    participants : sequence of int
        Owner indices that took part in a round; only they are paid.
    pool : int
        What is divided, in 1e-9; the shares add up to it exactly (largest remainders first).
    minimums : mapping of int to int, optional
        The least share an owner was promised, in 1e-9; it is taken from the others in proportion.

    Raises
    ------
    BadInput
        Nobody took part, or the pool has fewer units than participants.
    """
    members = sorted(participants)
    least = {member: max(1, (minimums or {}).get(member, 0)) for member in members}
    if not members or pool < sum(least.values()):
        raise BadInput("There is nobody to pay, or too little to divide.", code="learning.pool")
    weights = {member: max(float(values[member]), 0.0) for member in members}
    if not all(np.isfinite(values[members])):
        raise BadInput("A contribution is not a finite number.", code="learning.contribution")
    if not any(weights.values()):
        weights = dict.fromkeys(members, 1.0)
    shares: dict[int, int] = {}
    while True:
        free = [member for member in members if member not in shares]
        exact = _in_proportion({member: weights[member] for member in free}, pool - sum(shares.values()))
        short = [member for member in free if exact[member] < least[member]]
        if not short:
            return {member: (shares | exact)[member] for member in members}
        shares |= {member: least[member] for member in short}


def _in_proportion(weights: Mapping[int, float], pool: int) -> dict[int, int]:
    """Largest remainders; without any weight, equal parts. Nothing for nobody."""
    total = sum(weights.values())
    exact = {
        member: pool * (weight / total if total else 1 / len(weights)) for member, weight in weights.items()
    }
    whole = {member: int(part) for member, part in exact.items()}
    order = sorted(weights, key=lambda member: (whole[member] - exact[member], member))
    missing = pool - sum(whole.values())
    for place in range(abs(missing) if order else 0):
        whole[order[place % len(order)]] += 1 if missing > 0 else -1
    return whole


def half_l1(
    first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64]
) -> float:
    """Half the L1 distance of two sets of shares, each normalised to one (0 the same, 1 disjoint)."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)
