# SPDX-License-Identifier: Apache-2.0
"""Tokens and pairs as agents see and use them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Protocol

from koinon.chain.codec import encode
from koinon.markets.simulation.bench import Placed

FEE_PPM: Final = 3_000
"""A pair's fee, in 1e-6 of what is paid in."""

FEE: Final = FEE_PPM / 1e6


class Looking(Protocol):
    """A machine that answers calls: one in memory, or a node."""

    def view(self, to: str, data: bytes) -> bytes:
        """What a call would return now."""


@dataclass(frozen=True)
class Token:
    """An ERC-20. ``placed`` the contract, ``decimals`` digits after the point of one whole."""

    symbol: str
    placed: Placed
    decimals: int

    @property
    def address(self) -> str:
        """Where it stands."""
        return self.placed.address

    def units(self, whole: float) -> int:
        """So many whole tokens in the smallest unit, rounded down."""
        return int(whole * 10**self.decimals)

    def whole(self, units: int) -> float:
        """The other way, for looking at only."""
        return float(units) / 10.0**self.decimals

    def balance(self, bench: Looking, holder: str) -> int:
        """What an account holds, in the smallest unit."""
        data = self.placed.artifact.functions["balanceOf"].selector + bytes(12) + bytes.fromhex(holder[2:])
        return int.from_bytes(bench.view(self.address, data), "big")


@dataclass(frozen=True)
class Market:
    """A pair of ``base`` priced in ``quote``. ``base_first``: whether the base is the pair's token0."""

    base: Token
    quote: Token
    placed: Placed
    base_first: bool
    _reserves: bytes = field(repr=False)

    @classmethod
    def of(cls, base: Token, quote: Token, placed: Placed) -> Market:
        """The market at a pair's address; token0 is the one with the smaller address."""
        first = int(base.address, 16) < int(quote.address, 16)
        return cls(base, quote, placed, first, placed.artifact.functions["getReserves"].selector)

    @property
    def address(self) -> str:
        """The pair's."""
        return self.placed.address

    @property
    def name(self) -> str:
        """Such as ``sETH/tUSD``."""
        return f"{self.base.symbol}/{self.quote.symbol}"

    def reserves(self, bench: Looking) -> tuple[int, int]:
        """What it holds of base and quote, in their smallest units."""
        found = bench.view(self.address, self._reserves)
        first, second = int.from_bytes(found[:32], "big"), int.from_bytes(found[32:64], "big")
        return (first, second) if self.base_first else (second, first)

    def price(self, bench: Looking) -> float:
        """Whole quote a whole base, by its books."""
        base, quote = self.reserves(bench)
        return self.quote.whole(quote) / self.base.whole(base) if base else math.nan

    def out(self, bench: Looking, paid: Token, amount: int) -> int:
        """What the other side gives for ``amount`` of ``paid``, to the unit (Uniswap V2's getAmountOut)."""
        base, quote = self.reserves(bench)
        held, other = (base, quote) if paid is self.base else (quote, base)
        counted = amount * (1_000_000 - FEE_PPM)
        return counted * other // (held * 1_000_000 + counted) if amount > 0 and held and other else 0

    def other(self, token: Token) -> Token:
        """The other side."""
        return self.quote if token is self.base else self.base

    def hop(self, paid: Token) -> tuple[str, str, str, int]:
        """The way through it that pays ``paid``, as the router takes it."""
        return (self.address, paid.address, self.other(paid).address, FEE_PPM)

    def gap(self, bench: Looking, outside: float) -> tuple[Token, int] | None:
        """What must be paid in so that the price after it is ``outside``'s edge of the fee; None where the
        price lies within the fee of it. Source: Angeris et al., An Analysis of Uniswap Markets (2019)."""
        base, quote = self.reserves(bench)
        if not base or not quote:
            return None
        wanted = outside * 10.0**self.quote.decimals / 10.0**self.base.decimals
        kept = 1 - FEE
        constant = float(base) * float(quote)
        if quote / base < wanted * kept:
            paid = (math.sqrt(constant * wanted * kept) - quote) / kept
            return (self.quote, int(paid)) if paid >= 1 else None
        if quote / base > wanted / kept:
            paid = (math.sqrt(constant * kept / wanted) - base) / kept
            return (self.base, int(paid)) if paid >= 1 else None
        return None


def transfer(to: str, amount: int) -> bytes:
    """Call data of ERC-20's ``transfer``."""
    return b"\xa9\x05\x9c\xbb" + encode(["address", "uint256"], [to, amount])


def approve(spender: str, amount: int = 2**256 - 1) -> bytes:
    """Call data of ERC-20's ``approve``."""
    return b"\x09\x5e\xa7\xb3" + encode(["address", "uint256"], [spender, amount])
