# SPDX-License-Identifier: Apache-2.0
"""The simulated world: tokens, pairs, feeds and lenders on a bench, everybody in it, and the clock.

Money is the network's test dollar at its own address; `sETH` and `sBTC` are test tokens that say "simulated"
in their names. Everything is created through the deterministic proxy under a salt of the seed, so that the
same addresses hold on a chain the tape is played onto.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from koinon.chain import artifacts
from koinon.chain.address import create2_address
from koinon.chain.artifacts import Artifact
from koinon.chain.canonical import DEVNET_CHAIN_ID, FACTORY
from koinon.chain.deploy import COIN, RECIPE, SALT
from koinon.chain.hashing import keccak256
from koinon.errors import TransactionFailed
from koinon.markets.simulation import feeds
from koinon.markets.simulation.accounts import Accounts, Person
from koinon.markets.simulation.bench import Bench, Outcome, Placed
from koinon.markets.simulation.credit import Lender, Opener, Step, nothing_lent
from koinon.markets.simulation.feeds import Feed
from koinon.markets.simulation.prices import Outside, draw
from koinon.markets.simulation.scenario import Scenario
from koinon.markets.simulation.tape import Sent, Tape
from koinon.markets.simulation.truth import Truth
from koinon.markets.simulation.venue import Market, Token, approve, transfer

TOKENS: Final = {"sETH": ("Simulated ether", 18), "sBTC": ("Simulated bitcoin", 8)}
"""Symbol → name and decimals."""

FULL_BLOCK_GAS: Final = 18_000_000
"""Gas limits in a block from which on the next transaction goes into another, a second later."""

PATIENCE_S: Final = 1_200
"""How long an order may wait for its block."""

MINT_WHOLE: Final = 1_000_000
"""The most whole coins that one call of a test token may mint."""


class World:
    """One simulation.

    Parameters
    ----------
    scenario : Scenario
    seed : int
        Decides everything together with the scenario and ``start``.
    start : int
        Unix seconds of the first block: deployments. The first step is `setting_s` later.
    lenders : callable
        Brings what can be lent.
    """

    setting_s: Final = 600

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        start: int = 1_700_000_000,
        lenders: Opener = nothing_lent,
        chain_id: int = DEVNET_CHAIN_ID,
    ) -> None:
        self.scenario, self.seed = scenario, seed
        self.bench = Bench(start, chain_id=chain_id)
        self.tape, self.truth, self.accounts = Tape(), Truth(), Accounts(seed)
        self.salt = keccak256(f"koinon simulated market {seed} {start}".encode())
        self.outside: Outside = draw(
            start + self.setting_s,
            scenario.steps,
            scenario.step_s,
            self.generator("outside prices"),
            crashes=scenario.crashes,
            returns=scenario.returns,
            volatility=scenario.volatility,
        )
        self.step = 0
        self.tape.next_block(start)
        self.builder = self.accounts.new("builder")
        self.exchange = self.accounts.new("exchange")
        self._allowed: set[tuple[str, str, str]] = set()
        self.money = Token(COIN[1], self.shared("Coin", *COIN), COIN[2])
        self.tokens: dict[str, Token] = {
            symbol: Token(symbol, self.place("Coin", name, symbol, decimals), decimals)
            for symbol, (name, decimals) in TOKENS.items()
        }
        self.markets: list[Market] = self._open_markets()
        self.feeds: dict[str, Feed] = {}
        self.lenders: Sequence[Lender] = ()
        self._opener = lenders

    # Time and prices

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.bench.timestamp

    def outside_price(self, token: Token) -> float:
        """What everybody can see elsewhere at this moment: whole dollars a whole token."""
        return float(self.outside.prices[token.symbol][self.step])

    def market(self, base: Token, quote: Token | None = None) -> Market:
        """The pair of two tokens; with the money where no other is named."""
        wanted = quote or self.money
        return next(each for each in self.markets if each.base is base and each.quote is wanted)

    def next_block(self, timestamp: int) -> None:
        """Begin a block, here and on the tape."""
        self.bench.next_block(timestamp)
        self.tape.next_block(timestamp)

    def generator(self, name: str) -> np.random.Generator:
        """Somebody's own source of chance: what others do never changes it."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    # Acting

    def send(self, sender: Person, to: str, data: bytes) -> Outcome:
        """Send a transaction; a refusal is an outcome too."""
        return self.sent(sender, to, data)[0]

    def sent(self, sender: Person, to: str, data: bytes) -> tuple[Outcome, Sent]:
        """As `send`, with its place on the tape."""
        if self.tape.blocks[-1].gas > FULL_BLOCK_GAS:
            self.next_block(self.now + 1)
        outcome = self.bench.transact(sender.address, to, data)
        return outcome, self.tape.add(sender, to, data, outcome)

    def carry_out(self, sender: Person, steps: Sequence[Step]) -> bool:
        """Send calls one after another until one is refused; whether none was."""
        return all(self.send(sender, to, data).worked for to, data in steps)

    def must(self, sender: Person, to: str, data: bytes) -> Outcome:
        """Send what cannot fail in a world that is set up rightly; `TransactionFailed` where it does."""
        outcome = self.send(sender, to, data)
        if not outcome.worked:
            raise TransactionFailed(
                f"{sender.name}'s transaction was refused: {outcome.reason}",
                reason=outcome.reason,
                code="chain.call_reverted",
            )
        return outcome

    def place(self, name: str | Artifact, *arguments: object, salt: bytes | None = None) -> Placed:
        """Create a contract through the deterministic proxy, as a transaction of the builder's."""
        artifact = artifacts.load(name) if isinstance(name, str) else name
        creation, chosen = artifact.creation(*arguments), salt or self.salt
        placed = Placed(create2_address(FACTORY, chosen, keccak256(creation)), artifact)
        if not self.bench.code(placed.address):
            self.must(self.builder, FACTORY, chosen + creation)
        return placed

    def shared(self, name: str, *arguments: object) -> Placed:
        """A contract that everybody on a network shares; where Koinon puts it on every network it is not put
        there by us."""
        if name in RECIPE:
            return self.bench.deploy(name, *arguments, salt=SALT)
        return self.place(name, *arguments, salt=SALT)

    def give(self, who: Person, token: Token, units: int) -> None:
        """Test tokens out of nothing, by as many calls as their limit asks for."""
        most = MINT_WHOLE * 10**token.decimals
        mint = token.placed.artifact.functions["mint"]
        while units > 0:
            self.must(self.builder, token.address, mint.encode(who.address, min(units, most)))
            units -= most

    def pay(self, sender: Person, to: Person, units: int, token: Token | None = None) -> Sent:
        """A plain transfer, of money where no token is named."""
        return self.sent(sender, (token or self.money).address, transfer(to.address, units))[1]

    def swap(self, who: Person, market: Market, paid: Token, amount: int) -> int:
        """Swap through the router at the price of this moment; what came out, 0 where it gives nothing."""
        out = market.out(self.bench, paid, amount)
        if out <= 0:
            return 0
        self.allow(who, paid, self.router.address)
        order = self.router.encode(
            "swap_along", [market.hop(paid)], amount, out, self.now + PATIENCE_S, who.address
        )
        return out if self.send(who, self.router.address, order).worked else 0

    def allow(self, who: Person, token: Token, spender: str) -> None:
        """Let a contract take somebody's tokens, once and for all."""
        if (who.address, token.address, spender) not in self._allowed:
            self.must(who, token.address, approve(spender))
            self._allowed.add((who.address, token.address, spender))

    # Setting up

    def _open_markets(self) -> list[Market]:
        factory = self.shared("PairFactory", artifacts.load("Pair").init_code)
        self.router = self.shared("Router")
        pairs = [(token, self.money) for token in self.tokens.values()]
        pairs.append((self.tokens["sETH"], self.tokens["sBTC"]))
        found = []
        for base, quote in pairs:
            made = factory.encode("createPair", base.address, quote.address)
            pair = self.must(self.builder, factory.address, made).output
            found.append(Market.of(base, quote, self.bench.at("0x" + pair[12:32].hex(), "Pair")))
        self.factory = factory
        return found

    def open_feeds(self) -> None:
        """A feed for each token in money; its pair must have liquidity."""
        feeders = self.accounts.several(feeds.FEEDERS, "feeder")
        for symbol, token in self.tokens.items():
            market = self.market(token)
            placed = self.place("PriceFeed", *feeds.arguments(market, feeders))
            self.feeds[symbol] = Feed(
                market, placed, feeders, self.bench.chain_id, self.generator(f"feeders of {symbol}")
            )

    def open_lenders(self) -> None:
        """What can be lent; feeds must be there."""
        self.lenders = self._opener(self)

    # Looking back

    def supply(self, token: Token) -> int:
        """All of a token there is."""
        return int(self.bench.ask(token.placed, "totalSupply"))

    def holdings(self, token: Token) -> dict[str, int]:
        """What everybody and every contract of this world holds of a token, by address."""
        places = [each.address for each in self.accounts]
        places += [each.address for each in self.markets] + [each.address for each in self.lenders]
        return {address: token.balance(self.bench, address) for address in places}

    @property
    def all_tokens(self) -> list[Token]:
        """Money first."""
        return [self.money, *self.tokens.values()]
