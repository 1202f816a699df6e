# SPDX-License-Identifier: Apache-2.0
"""A vault over a dollar, with a real pair for a risky token, a feed, and a pool that pays interest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from koinon.chain import artifacts
from koinon.chain.hashing import keccak256
from koinon.markets.simulation.bench import Bench
from tests.bench_support import NOBODY, Handle, account, at, deploy, wait

MOCKS = Path(__file__).parent / "mocks"
DOLLAR = 10**6
ETHER = 10**18
VIRTUAL = 10**6
HOUR, DAY = 3_600, 86_400
DELAY = 48 * HOUR
KEEP = 2**256 - 1
LATE = 2**63
TOKEN, SHARES = 1, 2
MANAGER, ALLOCATOR, GUARDIAN = 1, 2, 3
NONE = [0] * 9
EMPTY = (0, NOBODY, NOBODY, NOBODY, 0, 0, 0)
WEEK = 7 * DAY


@dataclass(frozen=True)
class Options:
    """What tests vary; times in seconds."""

    fee_bps: int = 1_000
    spread_bps: int = 0
    unlock_s: int = WEEK
    epoch_s: int = DAY
    turnover_bps: int = 20_000
    slippage_bps: int = 100
    drawdown_bps: int = 2_000
    idle_bps: int = 0
    token_bounds: tuple[int, int] = (0, 8_000)
    pool_bounds: tuple[int, int] = (0, 9_000)
    decimals: int = 6
    reserves: int = 10_000_000  # whole dollars on one side of the pair
    listed: bool = True


@dataclass
class Scene:
    """Everything deployed. A token costs 2,000 dollars at first; slot 0 is the token, slot 1 the pool."""

    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        options = self.options
        self.bench = Bench()
        self.unit = 10**options.decimals
        self.asset = self.mock("Money", options.decimals)
        self.token = self.mock("Money", 18)
        self.feed = self.mock("Feed", 8, 2_000 * 10**8)
        self.pool = self.mock("Pool", self.asset)
        pairs = deploy(self.bench, "PairFactory", artifacts.load("Pair").init_code)
        self.pair = at(self.bench, pairs.createPair(self.asset, self.token), "Pair")
        self.asset.mint(self.pair, options.reserves * self.unit)
        self.token.mint(self.pair, options.reserves * ETHER // 2_000)
        self.pair.mint(account("provider"))
        self.rules = deploy(self.bench, "VaultRules")
        self.implementation = deploy(self.bench, "Vault", self.rules.address)
        self.factory = deploy(self.bench, "VaultFactory", self.implementation.address)
        self.manager, self.allocator, self.guardian, self.till = (
            account(role) for role in ("manager", "allocator", "guardian", "till")
        )
        self.vault = self.create()

    def mock(self, name: str, *arguments: Any) -> Handle:
        """Deploy a contract from this folder's ``mocks``."""
        return deploy(self.bench, MOCKS / f"{name}.vy", *arguments)

    def charter(self, **changes: Any) -> tuple[Any, ...]:
        """What is fixed for ever."""
        fields = {
            "asset": self.asset.address,
            "manager": self.manager,
            "allocator": self.allocator,
            "guardian": self.guardian,
            "fee_to": self.till,
            "fee_bps": self.options.fee_bps,
            "spread_bps": self.options.spread_bps,
            "unlock_s": self.options.unlock_s,
            "epoch_s": self.options.epoch_s,
        }
        return tuple({**fields, **changes}.values())

    def limits(self, **changes: int) -> tuple[int, ...]:
        """The four limits."""
        options = replace(self.options, **changes)
        return (options.turnover_bps, options.slippage_bps, options.drawdown_bps, options.idle_bps)

    def token_strategy(self, **changes: Any) -> tuple[Any, ...]:
        """The token's slot."""
        fields = {
            "kind": TOKEN,
            "token": self.token.address,
            "feed": self.feed.address,
            "pair": self.pair.address,
            "max_age_s": DAY,
            "min_bps": self.options.token_bounds[0],
            "max_bps": self.options.token_bounds[1],
        }
        return tuple({**fields, **changes}.values())

    def pool_strategy(self, **changes: Any) -> tuple[Any, ...]:
        """The pool's slot."""
        fields = {
            "kind": SHARES,
            "token": self.pool.address,
            "feed": NOBODY,
            "pair": NOBODY,
            "max_age_s": 0,
            "min_bps": self.options.pool_bounds[0],
            "max_bps": self.options.pool_bounds[1],
        }
        return tuple({**fields, **changes}.values())

    def create(self, charter: Any = None, limits: Any = None, listed: Any = None) -> Handle:
        """Another vault."""
        if listed is None:
            listed = [self.token_strategy(), self.pool_strategy()] if self.options.listed else []
        address = self.factory.create(
            "Test vault", "TV", charter or self.charter(), limits or self.limits(), listed
        )
        return at(self.bench, address, "Vault")

    def deposit(self, role: str, assets: int) -> int:
        """A role deposits new assets; the shares."""
        holder = account(role)
        self.asset.mint(holder, assets)
        self.asset.approve(self.vault, assets, sender=holder)
        return int(self.vault.deposit(assets, holder, sender=holder))

    def rebalance(self, *targets_bps: int, least: tuple[int, ...] | None = None) -> None:
        """The allocator moves to targets."""
        self.vault.rebalance(eight(KEEP, *targets_bps), eight(0, *(least or ())), LATE, sender=self.allocator)

    def price(self, dollars: float) -> None:
        """The feed and the pair both say a new price; the pair as if arbitraged."""
        self.feed.say(int(dollars * 10**8))
        self.pair_price(dollars)

    def pair_price(self, dollars: float) -> None:
        """Only the pair says a new price: reserves with the same product."""
        reserve0, reserve1, _ = self.pair.getReserves()
        first = str(self.pair.token0()) == str(self.asset.address)
        assets, tokens = (reserve0, reserve1) if first else (reserve1, reserve0)
        product = assets * tokens
        wanted = int((product * self.unit * dollars / ETHER) ** 0.5)
        self._set_balance(self.asset, wanted)
        self._set_balance(self.token, product // wanted)
        self.pair.sync()

    def _set_balance(self, token: Any, wanted: int) -> None:
        now = token.balanceOf(self.pair)
        if wanted > now:
            token.mint(self.pair, wanted - now)
        else:
            token.seize(self.pair, now - wanted)

    def earn(self, amount: int) -> None:
        """The pool earns."""
        self.asset.mint(self.pool, amount)
        self.pool.earn(amount)

    def wait(self, seconds: int) -> None:
        """Time goes by; the feed is kept fresh."""
        wait(self.bench, seconds)
        self.feed.say(self.feed.answer())

    def change_id(self, name: str, *arguments: Any) -> bytes:
        """The id of an announced change."""
        return keccak256(self.vault.encode(name, *arguments))


def eight(rest: int, *first: int) -> list[int]:
    """A number for each slot: the first ones, and the same for the rest."""
    return [*first, *[rest] * (8 - len(first))]


def holder(role: str) -> str:
    """The account of somebody with shares."""
    return account(role)
