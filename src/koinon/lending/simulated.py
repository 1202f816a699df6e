# SPDX-License-Identifier: Apache-2.0
"""Credit pools for the market simulator: real `CreditPool`s by their factory, as simulated people use them.

The simulator stands in `koinon.markets` and knows only its own `Lender`; here is what it is given. Scores
come from three simulated issuers by a plain rule over what the chain shows (loans repaid, auctions,
defaults), never from anyone's hidden kind. The rule is no model: it makes histories to learn from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.lending.score_word import ScoreWord
from koinon.markets.simulation import feeds
from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.agents.acting import endow
from koinon.markets.simulation.bench import Placed
from koinon.markets.simulation.credit import Lender, Step
from koinon.markets.simulation.feeds import Feed
from koinon.markets.simulation.prices import PRICE_DECIMALS
from koinon.markets.simulation.venue import Token, approve
from koinon.markets.simulation.world import World
from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms, rising

BPS: Final = 10_000
SENIOR, JUNIOR = 0, 1
DAY_S: Final = 86_400
EVERYTHING: Final = 2**95

LEAST_BONUS_BPS, MOST_BONUS_BPS, AUCTION_S = 100, 1_000, 7_200
WANTED_BONUS_BPS: Final = 150
"""What a liquidator waits for: below it, selling what it gets costs more."""

SCORE_LASTS_S: Final = 120 * DAY_S
ISSUERS, SIGNERS = 3, 2

FIRST_LOSS: Final = 150_000.0
FIRST_SENIOR: Final = 250_000.0
"""What a pool's underwriter and its first lender put in, whole dollars; others come and go."""

TIERS: Final = (
    # LLTV, spread, cap (whole dollars), probability of default, loss given default, capital charge
    (8_500, 150, 120_000, 100, 4_000, 50),
    (8_000, 300, 80_000, 400, 4_000, 50),
    (7_200, 600, 50_000, 1_200, 4_000, 50),
    (6_500, 1_200, 30_000, 2_500, 4_000, 50),
)
"""Best first; the last is what wallets without a score get."""

LOANS_FOR: Final = (6, 3, 1)
"""Loans repaid in full that a wallet without blemish needs for tier 0, 1, 2."""


@dataclass
class Scoring:
    """Three issuers and what they have said, all pools together."""

    attestations: Placed
    schema: bytes
    issuers: list[Person]
    poster: Person
    repaid: Counter[str] = field(default_factory=Counter)
    blemished: set[str] = field(default_factory=set)
    said: dict[str, int] = field(default_factory=dict)
    _read: int = 0

    def look(self, world: World, pools: frozenset[str]) -> None:
        """Read what happened since the last look, and say what changed."""
        events = artifacts.load("CreditPool").events
        repaid, defaulted, auction = (
            events[name].topic for name in ("Repaid", "Defaulted", "AuctionStarted")
        )
        changed: dict[str, None] = {}
        for log in world.bench.logs[self._read :]:
            if log.address not in pools or log.topics[0] not in (repaid, defaulted, auction):
                continue
            borrower = checksum(log.topics[1][12:])
            if log.topics[0] != repaid:
                self.blemished.add(borrower)
            elif int.from_bytes(log.data[-32:], "big") == 0:
                self.repaid[borrower] += 1
            changed[borrower] = None
        self._read = len(world.bench.logs)
        for borrower in changed:
            self._say(world, borrower, self.tier(borrower))

    def tier(self, borrower: str) -> int:
        """By the plain rule."""
        if borrower in self.blemished:
            return len(TIERS) - 1
        good = self.repaid[borrower]
        return next((tier for tier, loans in enumerate(LOANS_FOR) if good >= loans), len(TIERS) - 1)

    def _say(self, world: World, borrower: str, tier: int) -> None:
        if self.said.get(borrower, len(TIERS) - 1) == tier:
            return
        self.said[borrower] = tier
        attestation = Attestation(
            schema=self.schema,
            subject=borrower,
            word=ScoreWord(tier, TIERS[tier][3]).word(),
            issued_at=world.now,
            expires_at=world.now + SCORE_LASTS_S,
        )
        domain = AttestationDomain(world.bench.chain_id, self.attestations.address)
        by_address = {issuer.address: issuer for issuer in self.issuers[:SIGNERS]}
        signed = [domain.sign(by_address[each].key, attestation) for each in rising(by_address)]
        world.must(
            self.poster,
            self.attestations.address,
            self.attestations.encode("attest", attestation.values(), signed),
        )


@dataclass
class SimulatedPool:
    """One credit pool as `Lender` describes it. Depositors are senior; an underwriter is junior and stays."""

    placed: Placed
    feed: Feed
    loan: Token
    collateral: Token
    scoring: Scoring
    pools: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The collateral's symbol."""
        return self.collateral.symbol

    @property
    def address(self) -> str:
        """The pool's."""
        return self.placed.address

    # Looking

    def idle(self, world: World) -> int:
        """Its cash."""
        return int(world.bench.ask(self.placed, "liquidity"))

    def deposited(self, world: World, who: Person) -> int:
        """Of the senior tranche."""
        return int(world.bench.ask(self.placed, "assets_of", SENIOR, who.address))

    def debt(self, world: World, who: Person) -> int:
        """With interest to this second."""
        return self._position(world, who)[1]

    def pledged(self, world: World, who: Person) -> int:
        """Its collateral."""
        return self._position(world, who)[0]

    def most_debt(self, world: World, who: Person, collateral: int) -> int | None:
        """By the tier's LLTV and cap, the borrower's share of the pool, and what junior lenders cover."""
        price = feeds.latest(world.bench, self.feed.placed)
        if price is None:
            return None
        tier = int(world.bench.ask(self.placed, "tier_of", who.address))
        senior, junior, _, lent, _ = world.bench.ask(self.placed, "books")
        owed = self.debt(world, who)
        lltv, _, cap, *_ = TIERS[tier]
        most = min(
            self._worth(collateral, price) * lltv // BPS,
            cap * 10**self.loan.decimals,
            (senior + junior) * TERMS["borrower_cap_bps"] // BPS,
            junior * BPS // TERMS["coverage_bps"] - lent + owed,
        )
        return max(0, int(most) - owed - 1)  # a debt is rounded up

    def safety(self, world: World, who: Person) -> float | None:
        """The collateral's worth by the feeders, times the loan's own LLTV, over the debt."""
        collateral, debt, _, tier, *_ = self._position(world, who)
        price = feeds.latest(world.bench, self.feed.placed, confirmed=False) if debt else None
        return None if price is None else self._worth(collateral, price) * TIERS[tier][0] / BPS / debt

    # Acting

    def deposit(self, who: Person, amount: int) -> list[Step]:
        """Into the senior tranche."""
        return [self._step("deposit", SENIOR, amount, who.address)]

    def withdraw(self, who: Person, amount: int) -> list[Step]:
        """From the senior tranche."""
        return [self._step("withdraw", SENIOR, amount, who.address)]

    def pledge(self, who: Person, amount: int) -> list[Step]:
        """Supply collateral."""
        return [self._step("supply_collateral", amount, who.address)]

    def unpledge(self, who: Person, amount: int) -> list[Step]:
        """Withdraw collateral."""
        return [self._step("withdraw_collateral", amount, who.address)]

    def borrow(self, who: Person, amount: int) -> list[Step]:
        """On the terms of one's tier."""
        return [self._step("borrow", amount, who.address)]

    def repay(self, who: Person, amount: int | None) -> list[Step]:
        """What is above the debt is not taken."""
        return [self._step("repay", EVERYTHING if amount is None else amount, who.address)]

    def liquidate(self, world: World, who: Person, borrower: Person) -> list[Step]:
        """Begin the auction; close what may be closed once its bonus pays."""
        begun = self._position(world, borrower)[5]
        if not begun:
            return [self._step("mark", borrower.address)]
        passed = min(world.now - begun, AUCTION_S)
        bonus = LEAST_BONUS_BPS + (MOST_BONUS_BPS - LEAST_BONUS_BPS) * passed // AUCTION_S
        money = self.loan.balance(world.bench, who.address)
        if bonus < WANTED_BONUS_BPS or money == 0:
            return []
        return [self._step("liquidate", borrower.address, money, 0, who.address)]

    def tend(self, world: World) -> None:
        """Issuers look at what happened and say what they think of whom."""
        self.scoring.look(world, self.pools)

    def _position(self, world: World, who: Person) -> tuple[int, int, int, int, int, int]:
        found: tuple[int, int, int, int, int, int] = world.bench.ask(self.placed, "position_of", who.address)
        return found

    def _worth(self, collateral: int, price: int) -> int:
        scale = self.collateral.decimals + PRICE_DECIMALS
        return int(collateral * price * 10**self.loan.decimals // 10**scale)

    def _step(self, name: str, *arguments: Any) -> Step:
        return self.address, self.placed.encode(name, *arguments)


TERMS: Final[dict[str, int]] = {
    "base_rate_bps": 100,
    "kink_rate_bps": 600,
    "full_rate_bps": 5_000,
    "kink_bps": 8_000,
    "fee_bps": 0,
    "borrower_cap_bps": 1_500,
    "coverage_bps": 2_000,
    "close_factor_bps": 5_000,
    "min_bonus_bps": LEAST_BONUS_BPS,
    "max_bonus_bps": MOST_BONUS_BPS,
    "auction_s": AUCTION_S,
    "grace_s": 7 * DAY_S,
    "junior_notice_s": 5 * DAY_S,
    "min_debt": 100 * 10**6,
}
"""The pools' terms that are numbers, in the order of ``ICreditPool.Market``."""


def open_pools(world: World) -> Sequence[Lender]:
    """A pool for each feed, with a first-loss tranche, and issuers whose scores it knows."""
    works = world.shared("Works", world.shared("Till").address)
    attestations, bundles = world.shared("Attestations"), world.shared("Bundles")
    factory = world.shared(
        "CreditPoolFactory",
        attestations.address,
        bundles.address,
        works.address,
        artifacts.load("CreditPool").init_code,
    )
    scoring = _open_scoring(world, attestations)
    tiers = [(lltv, spread, cap * 10**world.money.decimals, *rest) for lltv, spread, cap, *rest in TIERS]
    found = []
    for symbol, feed in world.feeds.items():
        token = world.tokens[symbol]
        market = (
            *(world.money.address, token.address, feed.address),
            *(attestations.address, scoring.schema, bundles.address, works.address, 0),
            *TERMS.values(),
            False,
        )
        made = world.must(world.builder, factory.address, factory.encode("create", market, tiers, world.salt))
        placed = world.bench.at("0x" + made.output[12:32].hex(), "CreditPool")
        found.append(SimulatedPool(placed, feed, world.money, token, scoring))
    addresses = frozenset(each.address for each in found)
    for pool in found:
        pool.pools = addresses
        for role, tranche, money in (
            ("underwriter", JUNIOR, FIRST_LOSS),
            ("first lender", SENIOR, FIRST_SENIOR),
        ):
            person = world.accounts.new(role)
            endow(world, person, money)
            world.must(person, world.money.address, approve(pool.address))
            amount = world.money.units(money)
            world.must(person, pool.address, pool.placed.encode("deposit", tranche, amount, person.address))
    return found


def _open_scoring(world: World, attestations: Placed) -> Scoring:
    issuers = world.accounts.several(ISSUERS, "score issuer")
    poster = world.accounts.new("score poster")
    terms = SchemaTerms(
        "tier in the lowest 8 bits, probability of default a year in 1e-4 in the next 16; simulated",
        issuers=tuple(each.address for each in issuers),
        threshold=SIGNERS,
        change_delay_s=30 * DAY_S,
    )
    schema = world.must(poster, attestations.address, attestations.encode("register", *terms.values())).output
    return Scoring(attestations, schema, issuers, poster)
