# SPDX-License-Identifier: Apache-2.0
"""Three tokens, pairs, a stable and a weighted pool between them, and the router."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from koinon.chain import artifacts
from koinon.markets.simulation.bench import Bench
from tests.bench_support import Handle, account, at, deploy
from tests.markets.contracts.support import MOCKS, WHOLE

PAIR_FEE_PPM = 3_000
FOR_EVER = 2**256 - 1
NAMES = ("ether", "dollars", "euros")


@dataclass
class Stage:
    """Markets around a trader who allowed the router everything."""

    bench: Bench
    tokens: dict[str, Handle]
    router: Handle
    factory: Handle
    pools: dict[tuple[str, str, str], Handle] = field(default_factory=dict)

    @property
    def trader(self) -> str:
        return account("trader")

    def balance(self, name: str, who: Any = None) -> int:
        """What somebody, by default the trader, holds."""
        return int(self.tokens[name].balanceOf(who or self.trader))

    def mock(self, name: str, *arguments: Any) -> Handle:
        """Another contract from this folder's ``mocks``."""
        return deploy(self.bench, MOCKS / f"{name}.vy", *arguments)

    def create_pair(self, one: Handle, other: Handle) -> Handle:
        """The pair of two tokens, empty."""
        return at(self.bench, self.factory.createPair(one, other), "Pair")

    def add(self, kind: str, first: str, second: str, amount_first: int, amount_second: int) -> Handle:
        """A funded pool of a kind: pair, stable or weighted (80 % the first)."""
        one, other = self.tokens[first], self.tokens[second]
        if kind == "pair":
            pool = self.create_pair(one, other)
            one.mint(pool, amount_first)
            other.mint(pool, amount_second)
            pool.mint(account("provider"))
        else:
            name, number = ("StablePool", 200) if kind == "stable" else ("WeightedPool", 80)
            pool = deploy(self.bench, name, one, other, number, 400)
            provider = account("provider")
            for token, amount in ((one, amount_first), (other, amount_second)):
                token.mint(provider, amount)
                token.approve(pool, amount, sender=provider)
            pool.add_liquidity(amount_first, amount_second, 0, provider, sender=provider)
        self.pools[kind, first, second] = pool
        self.pools[kind, second, first] = pool
        return pool

    def hop(self, kind: str, token_in: str, token_out: str) -> tuple[Any, Any, Any, int]:
        """As the router takes it."""
        return (
            self.pools[kind, token_in, token_out].address,
            self.tokens[token_in].address,
            self.tokens[token_out].address,
            PAIR_FEE_PPM if kind == "pair" else 0,
        )

    def path(self, *steps: str) -> list[tuple[Any, Any, Any, int]]:
        """``path("ether", "pair", "dollars", "stable", "euros")``."""
        return [self.hop(steps[i + 1], steps[i], steps[i + 2]) for i in range(0, len(steps) - 2, 2)]

    def give(self, name: str, amount: int, who: str | None = None) -> None:
        """Coins for the trader, or another, who allows the router everything."""
        who = who or self.trader
        self.tokens[name].mint(who, amount)
        self.tokens[name].approve(self.router, FOR_EVER, sender=who)

    def left_in_router(self) -> int:
        """What the router holds of everything."""
        return sum(token.balanceOf(self.router) for token in self.tokens.values()) + int(
            self.bench.evm.get_balance(self.router.address)
        )


def make_stage() -> Stage:
    """Ether at 2,000 dollars, euros at 1.00; the weighted pool has ether a little cheaper."""
    bench = Bench()
    stage = Stage(
        bench,
        {name: deploy(bench, MOCKS / "MarketToken.vy", 18) for name in NAMES},
        deploy(bench, "Router"),
        deploy(bench, "PairFactory", artifacts.load("Pair").init_code),
    )
    stage.add("pair", "ether", "dollars", 100 * WHOLE, 200_000 * WHOLE)
    stage.add("pair", "ether", "euros", 100 * WHOLE, 200_000 * WHOLE)
    stage.add("stable", "dollars", "euros", 300_000 * WHOLE, 300_000 * WHOLE)
    stage.add("weighted", "ether", "dollars", 400 * WHOLE, 190_000 * WHOLE)
    return stage


def swap(
    stage: Stage,
    path: list[tuple[Any, Any, Any, int]],
    amount: int,
    minimum: int = 0,
    *,
    deadline: int = FOR_EVER,
    to: Any = None,
    sender: str | None = None,
) -> int:
    """An order of the trader's, or another's."""
    receiver = to or stage.trader
    by = sender or stage.trader
    return int(stage.router.swap_along(path, amount, minimum, deadline, receiver, sender=by))
