# SPDX-License-Identifier: Apache-2.0
"""Coverage: what can be paid out, over what thirty bad days may ask for.

In the manner of the liquidity coverage ratio (Basel III, January 2013: high-quality liquid assets over net
outflows of 30 stressed days), with two differences: assets count by what the market's depth pays for them,
and the stress is the pool's own history, resampled. Nothing that comes in during the 30 days is counted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.markets.depth import CURVE, depth_curve, withdrawable
from koinon.markets.routing.pools import Pool
from koinon.watch.liquidity.flows import Flows

Floats = NDArray[np.float64]

HORIZON_DAYS: Final = 30
LEVEL: Final = 0.95
SLIPPAGE: Final = 0.02
BLOCK_DAYS: Final = 7
DRAWS: Final = 2_000
LEAST_DAYS: Final = 60


@dataclass(frozen=True)
class Held:
    """An amount of another token that is held, in its smallest units."""

    token: str
    amount: int


@dataclass(frozen=True)
class Saleable:
    """What a held token brings at once, sold along all routes for at most `SLIPPAGE` less than its price:
    ``sold`` of it for ``brings``; ``curve`` (fall of the price, amount, what it brings)."""

    held: Held
    sold: int
    brings: int
    curve: tuple[tuple[float, int, int], ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        curve = [{"fall": fall, "amount": amount, "brings": brings} for fall, amount, brings in self.curve]
        return {**asdict(self.held), "sold": self.sold, "brings": self.brings, "curve": curve}


@dataclass(frozen=True)
class Liquid:
    """What can be paid out at once, in smallest units of the asset that is owed.

    Each token is sold alone: where two go through the same pool, together they bring less than the sum.
    """

    idle: int
    saleable: tuple[Saleable, ...] = ()

    @property
    def total(self) -> int:
        """Idle and saleable."""
        return self.idle + sum(each.brings for each in self.saleable)


@dataclass(frozen=True)
class Coverage:
    """``ratio`` of ``liquid`` to ``outflow``; ``historical`` is the same quantile of the 30-day spans that
    were, without resampling (they overlap, hence say less than their number), ``days`` of history used."""

    liquid: int
    outflow: float
    outflow_share: float
    historical_share: float
    days: int

    @property
    def ratio(self) -> float:
        """Infinite where nothing was ever taken out."""
        return self.liquid / self.outflow if self.outflow > 0 else float("inf")

    @property
    def red(self) -> bool:
        """Whether thirty bad days ask for more than can be paid out."""
        return self.ratio < 1

    def document(self) -> dict[str, Any]:
        """As JSON; ``ratio`` is null where nothing was ever taken out."""
        ratio = self.ratio if np.isfinite(self.ratio) else None
        return {**asdict(self), "ratio": ratio, "red": self.red}


def liquid(
    idle: int, held: Sequence[Held], pools: Sequence[Pool], asset: str, *, slippage: float = SLIPPAGE
) -> Liquid:
    """What ``idle`` money and ``held`` tokens can pay out at once; errors as `markets.depth.withdrawable`."""
    return Liquid(idle, tuple(_saleable(each, pools, asset, slippage) for each in held))


def _saleable(held: Held, pools: Sequence[Pool], asset: str, slippage: float) -> Saleable:
    if held.token == asset:
        return Saleable(held, held.amount, held.amount, ())
    traded = {token for pool in pools for token in pool.tokens}
    if held.token not in traded or asset not in traded or held.amount <= 0:
        return Saleable(held, 0, 0, ())
    curve = depth_curve(pools, held.token, asset, CURVE)
    least = curve[0]
    if least.fall <= slippage and least.amount >= held.amount:  # so little that it moves the price by less
        sold, brings = held.amount, int(held.amount * least.price)
    else:
        found = withdrawable(pools, held.token, asset, slippage, float(held.amount))
        sold, brings = int(found.amount), int(found.brings)
    return Saleable(
        held,
        sold,
        brings,
        tuple((each.fall, int(each.amount), int(each.brings)) for each in curve),
    )


def spans(rate: Floats, horizon: int = HORIZON_DAYS) -> Floats:
    """(days - horizon + 1,): the share that each span of days in a row took out: ``1 - prod(1 - rate)``."""
    stays = np.lib.stride_tricks.sliding_window_view(1 - rate, horizon)
    return np.asarray(1 - stays.prod(axis=1), dtype=np.float64)


def resampled(
    rate: Floats,
    horizon: int = HORIZON_DAYS,
    *,
    draws: int = DRAWS,
    block: int = BLOCK_DAYS,
    seed: int = 0,
) -> Floats:
    """(draws,): the share that spans made of blocks of real days in a row take out (circular block
    bootstrap: Politis and Romano, 1992). A week in a block keeps weekdays and bad weeks together."""
    generator = np.random.default_rng(seed)
    blocks = -(-horizon // block)
    starts = generator.integers(0, rate.size, (draws, blocks))
    days = (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :horizon] % rate.size
    return np.asarray(1 - (1 - rate[days]).prod(axis=1), dtype=np.float64)


def coverage(
    flows: Flows,
    liquid_now: int,
    *,
    owed: float | None = None,
    horizon: int = HORIZON_DAYS,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Coverage:
    """The ratio as of the end of the flows.

    Parameters
    ----------
    owed : float, optional
        What holders are owed now, in smallest units; by default the flows' last balance.

    Raises
    ------
    BadInput
        There are fewer than `LEAST_DAYS` days, or than two spans (``watch.short``).
    """
    least = max(LEAST_DAYS, 2 * horizon)
    if len(flows) < least:
        raise BadInput(
            f"{len(flows)} days of deposits and withdrawals are too few; it takes {least}.",
            hint="Import more of the chain's history.",
            code="watch.short",
        )
    rate = flows.rate
    share = float(np.quantile(resampled(rate, horizon, draws=draws, seed=seed), level))
    seen = float(np.quantile(spans(rate, horizon), level))
    total = float(flows.balance[-1]) if owed is None else owed
    return Coverage(liquid_now, share * total, share, seen, len(flows))
