# SPDX-License-Identifier: Apache-2.0
"""Pools of two coins as their contracts count: whole units in, whole units out, to the unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Final, Protocol, Self

from koinon.errors import BadInput
from koinon.markets.routing.fixed_point import BITS, power_up

MOST_RESERVE: Final = 2**112 - 1
"""What a pool can hold of one token (Uniswap V2 keeps reserves as uint112)."""
PPM: Final = 1_000_000
PAIR_FEE_PPM: Final = 3_000

_MOST_SCALED: Final = 2**100
_NEWTON_STEPS: Final = 255


class Pool(Protocol):
    """A place where one of two tokens is exchanged for the other.

    The whole fee is taken from what comes in, and stays in the pool.
    """

    @property
    def address(self) -> str:
        """Where it stands."""

    @property
    def tokens(self) -> tuple[str, str]:
        """The two tokens."""

    @property
    def reserves(self) -> tuple[int, int]:
        """What it holds of each, in the tokens' smallest units."""

    @property
    def fee_ppm(self) -> int:
        """What it keeps of what comes in, in 1e-6."""

    def amount_out(self, coin_in: int, amount_in: int) -> int:
        """What it gives for ``amount_in`` of coin 0 or 1; 0 where it gives nothing or refuses."""

    def after(self, coin_in: int, amount_in: int) -> Self:
        """The pool as that swap leaves it; as it is where it refuses."""

    def holding(self, reserves: tuple[int, int]) -> Self:
        """The same pool with other reserves."""


@dataclass(frozen=True)
class PairPool:
    """Constant product: ``Pair.vy``, and every pair of Uniswap V2's (UniswapV2Library.getAmountOut)."""

    address: str
    tokens: tuple[str, str]
    reserves: tuple[int, int]
    fee_ppm: int = PAIR_FEE_PPM

    def __post_init__(self) -> None:
        _check(self)

    def amount_out(self, coin_in: int, amount_in: int) -> int:
        """As in `Pool`."""
        if not _open(self, coin_in, amount_in):
            return 0
        counted = amount_in * (PPM - self.fee_ppm)
        return counted * self.reserves[1 - coin_in] // (self.reserves[coin_in] * PPM + counted)

    def after(self, coin_in: int, amount_in: int) -> PairPool:
        """As in `Pool`."""
        return replace(self, reserves=_moved(self, coin_in, amount_in))

    def holding(self, reserves: tuple[int, int]) -> PairPool:
        """As in `Pool`."""
        return replace(self, reserves=reserves)


@dataclass(frozen=True)
class WeightedPool:
    """``WeightedPool.vy``: ``reserve0**weight0 * reserve1**(100 - weight0)`` stays; ``weight0`` in %."""

    address: str
    tokens: tuple[str, str]
    reserves: tuple[int, int]
    weight0: int
    fee_ppm: int

    def __post_init__(self) -> None:
        _check(self)
        if not 0 < self.weight0 < 100:
            raise BadInput(f"A weight of {self.weight0} % is none.", code="markets.pool")

    def amount_out(self, coin_in: int, amount_in: int) -> int:
        """As in `Pool`."""
        if not _open(self, coin_in, amount_in):
            return 0
        held, other = self.reserves[coin_in], self.reserves[1 - coin_in]
        weight = self.weight0 if coin_in == 0 else 100 - self.weight0
        counted = amount_in * (PPM - self.fee_ppm) // PPM
        stays = power_up(held, held + counted, weight, 100 - weight)
        return other * ((1 << BITS) - stays) >> BITS

    def after(self, coin_in: int, amount_in: int) -> WeightedPool:
        """As in `Pool`."""
        return replace(self, reserves=_moved(self, coin_in, amount_in))

    def holding(self, reserves: tuple[int, int]) -> WeightedPool:
        """As in `Pool`."""
        return replace(self, reserves=reserves)


@dataclass(frozen=True)
class StablePool:
    """``StablePool.vy``: Curve's invariant for two coins that are worth about the same.

    ``scales`` bring the coins' smallest units to 18 decimals.
    """

    address: str
    tokens: tuple[str, str]
    reserves: tuple[int, int]
    amplification: int
    scales: tuple[int, int]
    fee_ppm: int

    def __post_init__(self) -> None:
        _check(self)
        if self.amplification < 1 or min(self.scales) < 1:
            raise BadInput("A stable pool has an amplification and two scales above 0.", code="markets.pool")

    def amount_out(self, coin_in: int, amount_in: int) -> int:
        """As in `Pool`."""
        if not _open(self, coin_in, amount_in):
            return 0
        x = self.reserves[coin_in] * self.scales[coin_in]
        y = self.reserves[1 - coin_in] * self.scales[1 - coin_in]
        paid = amount_in * (PPM - self.fee_ppm) // PPM * self.scales[coin_in]
        if x + paid > _MOST_SCALED or y > _MOST_SCALED:
            return 0
        invariant = self._invariant(x, y)
        if invariant is None:
            return 0
        return max(y - self._other(invariant + 2, x + paid), 0) // self.scales[1 - coin_in]

    def after(self, coin_in: int, amount_in: int) -> StablePool:
        """As in `Pool`."""
        return replace(self, reserves=_moved(self, coin_in, amount_in))

    def holding(self, reserves: tuple[int, int]) -> StablePool:
        """As in `Pool`."""
        return replace(self, reserves=reserves)

    def _invariant(self, x: int, y: int) -> int | None:
        ann, total = 2 * self.amplification, x + y
        current = total
        for _ in range(_NEWTON_STEPS):
            cubed = current * current // (2 * x) * current // (2 * y)
            following = (ann * total + 2 * cubed) * current // ((ann - 1) * current + 3 * cubed)
            if following >= current or current - following == 1:
                return min(following, current)
            current = following
        return None

    def _other(self, invariant: int, x: int) -> int:
        ann = 2 * self.amplification
        linear = x + invariant // ann - invariant
        square = linear * linear + _ceil(_ceil(invariant * invariant, x) * invariant, ann)
        root = isqrt(square)
        root += root * root < square
        return (root - linear + 1) // 2


def _open(pool: Pool, coin_in: int, amount_in: int) -> bool:
    """Whether a swap of this amount can be asked for at all."""
    held = pool.reserves[coin_in]
    return amount_in > 0 and min(pool.reserves) > 0 and held + amount_in <= MOST_RESERVE


def _moved(pool: Pool, coin_in: int, amount_in: int) -> tuple[int, int]:
    amount_out = pool.amount_out(coin_in, amount_in)
    if not amount_out:
        return pool.reserves
    held, other = pool.reserves[coin_in] + amount_in, pool.reserves[1 - coin_in] - amount_out
    return (held, other) if coin_in == 0 else (other, held)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _check(pool: Pool) -> None:
    if min(pool.reserves) < 0 or max(pool.reserves) > MOST_RESERVE:
        raise BadInput(
            f"No pool holds {pool.reserves[0]} and {pool.reserves[1]}.",
            hint="Reserves are whole numbers of smallest units, from 0 to 2**112 - 1.",
            code="markets.pool",
        )
    if not 0 <= pool.fee_ppm < PPM:
        raise BadInput(f"A fee of {pool.fee_ppm} in a million is none.", code="markets.pool")
    if pool.tokens[0] == pool.tokens[1]:
        raise BadInput("A pool exchanges two different tokens.", code="markets.pool")
