# SPDX-License-Identifier: Apache-2.0
"""How much must be staked so that lying does not pay.

An answer costs the fee f and is audited with probability p; whoever lied n times and is caught once loses
what is left of its stake B after the bounty, and keeps the fees. Lying once pays less than nothing if
p B > f (1 - p); lying n times pays n f and loses B with probability 1 - (1 - p)^n, and

    n f / (1 - (1 - p)^n)  <=  f (1 - p) / p + n f

so that a stake above f (1 - p) / p plus all fees of answers that can still be disputed is enough however
many of them are lies. `Verification.vy` refuses less. The bounty counts for nothing, because a liar about to
be caught may challenge itself.
"""

from __future__ import annotations

from typing import Final

from koinon.errors import BadInput

MILLION: Final = 1_000_000
BASIS: Final = 10_000


def deterrent(fee: int, audit_ppm: int, fees: int = 0) -> int:
    """What must certainly be lost, and more: f (1 - p) / p, rounded down, and the fees at stake.

    Parameters
    ----------
    fee : int
        Of one answer, in the smallest unit.
    audit_ppm : int
        How many of a million answers are audited.
    fees : int
        Of all answers that can still be disputed.
    """
    if not 0 < audit_ppm <= MILLION:
        raise BadInput(
            f"An audit rate of {audit_ppm} in a million is out of range.",
            hint="Give a share above 0 and at most 1.",
            code="verification.audit_rate",
        )
    if fee < 0 or fees < 0:
        raise BadInput("A fee is not negative.", code="verification.fee")
    return fee * (MILLION - audit_ppm) // audit_ppm + fees


def least_stake(fee: int, audit_ppm: int, *, bounty_bps: int = 0, fees: int = 0) -> int:
    """The smallest stake that `Verification.vy` takes.

    ``bounty_bps`` is the most of it, in 1e-4, that whoever finds a lie gets; others as in `deterrent`.
    """
    if not 0 <= bounty_bps < BASIS:
        raise BadInput("The bounty is not a part of the stake.", code="verification.bounty")
    return (deterrent(fee, audit_ppm, fees) + 1) * BASIS // (BASIS - bounty_bps) + 1


def answers_covered(stake: int, fee: int, audit_ppm: int, *, bounty_bps: int) -> int:
    """How many answers of this fee a stake covers at a time."""
    left = (stake - 1) * (BASIS - bounty_bps) // BASIS - 1 - deterrent(fee, audit_ppm)
    count = max(0, left // fee) if fee else 0
    while count and least_stake(fee, audit_ppm, bounty_bps=bounty_bps, fees=count * fee) > stake:
        count -= 1
    while fee and least_stake(fee, audit_ppm, bounty_bps=bounty_bps, fees=(count + 1) * fee) <= stake:
        count += 1
    return count
