# SPDX-License-Identifier: Apache-2.0
"""Simulated pools, some of which suffer a run: what warnings are tried on. Nothing here is a real chain's.

Holders' sizes are Pareto's. On ordinary days a share of the money leaves that has a weekday's rhythm,
clusters and jumps, and about as much comes in. In a pool with a run, withdrawals swell for some days, then
holders leave as a herd whose haste grows with how much of the liquid money is gone (in the spirit of Diamond
and Dybvig, 1983). Alarming weeks that come to nothing are planted too, so that a warning can be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.watch.liquidity.flows import Flows, Holdings

Floats = NDArray[np.float64]

DAYS: Final = 300
HOLDERS: Final = 60
WEEKDAYS: Final = (1.3, 1.0, 0.9, 1.1, 1.5, 0.5, 0.4)
UNIT: Final = 10**6


@dataclass(frozen=True)
class Pool:
    """Days of one simulated pool: ``liquid`` (days,) what could be paid out at each day's end, ``top_share``
    (days,) the share of the three largest holders, ``fails_on`` the first day on which more was asked for
    than could be paid (-1: none)."""

    flows: Flows
    liquid: Floats
    top_share: Floats
    holdings: Holdings
    fails_on: int


def pools(count: int, *, with_run: float = 0.5, days: int = DAYS, seed: int = 0) -> list[Pool]:
    """So many simulated pools, each with a run by this chance."""
    generator = np.random.default_rng(seed)
    return [
        _pool(np.random.default_rng(child), runs=bool(generator.random() < with_run), days=days)
        for child in generator.integers(0, 2**62, count)
    ]


def pool(*, runs: bool, days: int = DAYS, seed: int = 0) -> Pool:
    """One simulated pool."""
    return _pool(np.random.default_rng(seed), runs=runs, days=days)


def _pool(generator: np.random.Generator, *, runs: bool, days: int) -> Pool:
    sizes = np.sort(generator.pareto(1.2, HOLDERS) + 0.2)[::-1]
    sizes *= 1e6 * UNIT / sizes.sum()
    usual = generator.uniform(0.004, 0.012)
    share_liquid = generator.uniform(0.25, 0.6)
    wanted = _ordinary(generator, days, usual)
    start = int(generator.integers(days // 2, days - 40)) if runs else days
    swell = int(generator.integers(3, 15))
    wanted[start : start + swell] *= np.linspace(1.5, 5.0, swell)[: days - start]
    began = start + swell
    balance, lent = float(sizes.sum()), float(sizes.sum()) * (1 - share_liquid)
    deposited, withdrawn, balances, liquid = (np.zeros(days) for _ in range(4))
    fails_on = -1
    comes = np.minimum(_ordinary(generator, days, usual), 0.2)
    for day in range(days):
        came = balance * comes[day] * (0.2 if day >= start else 1.0)
        ready = max(balance - lent, 0.0) + came
        haste = 0.03 + 0.25 * (1 - min(ready / max(balance, 1.0) / share_liquid, 1.0)) if day >= began else 0
        asked = (balance + came) * min(wanted[day] + haste, 0.9)
        paid = min(asked, ready)
        if asked > ready and fails_on < 0:
            fails_on = day
        deposited[day], withdrawn[day] = came, paid
        balance += came - paid
        balances[day], liquid[day] = balance, ready - paid
        # what is lent follows the pool slowly: borrowers repay about a twentieth of the gap a day
        lent += 0.05 * (balance * (1 - share_liquid) - lent)
    drift = np.cumsum(generator.normal(0, 0.004, days))
    top = np.clip(float(sizes[:3].sum() / sizes.sum()) + drift, 0.05, 0.95)
    named = {f"0x{number:040x}": int(size) for number, size in enumerate(sizes, start=1)}
    return Pool(Flows(0, deposited, withdrawn, balances), liquid, top, Holdings.of(named), fails_on)


def _ordinary(generator: np.random.Generator, days: int, usual: float) -> Floats:
    """(days,): shares that leave on ordinary days, with weekdays, clusters, jumps, and alarming weeks."""
    level = np.zeros(days)
    for day in range(1, days):
        level[day] = 0.85 * level[day - 1] + generator.normal(0, 0.25)
    rhythm = np.array(WEEKDAYS)[np.arange(days) % 7]
    jumps = np.where(generator.random(days) < 0.02, generator.uniform(2, 8, days), 1.0)
    found = usual * rhythm * np.exp(level - 0.1) * jumps
    for _ in range(int(generator.poisson(days / 150))):
        at = int(generator.integers(0, days))
        found[at : at + 7] *= generator.uniform(2, 4)
    return np.minimum(found, 0.3)
