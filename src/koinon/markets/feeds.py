# SPDX-License-Identifier: Apache-2.0
"""Price feeds: what a feeder signs, collecting enough signatures for a round, posting it, and reading.

A feeder is an account: a person's, or that of a service Work whose answer is the price. Whatever it asks
stays outside the chain; what enters is the signed price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Self

from koinon.chain import artifacts
from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.contract import Call, Contract
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.chain.keys import recover
from koinon.chain.rpc import RpcError
from koinon.errors import BadInput, IntegrityError, NotFound, TransactionFailed

PRICE: Final = TypedStruct("Price(address feed,int256 price,uint64 observedAt,uint80 round)")

OBSERVING_GAS: Final = 60_000
"""What keeping an observation costs at most: tried out in an eighth that has one it costs nothing, but the
transaction may be mined in the next."""

_REASONS: Final = {
    "no round yet": ("Nobody has posted a price yet.", "Collect the feeders' signatures and post a round."),
    "feeders' price is stale": ("The feeders' last price is too old.", "Wait for, or post, a new round."),
    "no observation of the market's window": (
        "Nobody observed the pair at the beginning of its window.",
        "Have observe() called once in each eighth of the window.",
    ),
    "feeders and market disagree": (
        "The feeders' price and the pair's average differ by more than the bound.",
        "Wait until both agree; meanwhile nothing may be borrowed or rebalanced by this price.",
    ),
    "pair is empty": ("The pair has no liquidity.", "Put liquidity in, or use another feed."),
}


@dataclass(frozen=True)
class SignedPrice:
    """One feeder's word: ``price`` times 10**decimals, ``observed_at`` in Unix seconds, for one round."""

    feed: str
    feeder: str
    price: int
    observed_at: int
    round_id: int
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        """As it is handed on; the price as text, since it may have more digits than JSON's numbers."""
        return {
            "feed": self.feed,
            "feeder": self.feeder,
            "price": str(self.price),
            "observed_at": self.observed_at,
            "round": self.round_id,
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_json(cls, fields: Any) -> Self:
        """Read it; BadInput when it is none."""
        try:
            return cls(
                checksum(fields["feed"]),
                checksum(fields["feeder"]),
                int(fields["price"]),
                int(fields["observed_at"]),
                int(fields["round"]),
                bytes.fromhex(str(fields["signature"]).removeprefix("0x")),
            )
        except (KeyError, TypeError, ValueError, BadInput) as error:
            raise BadInput(
                "This is not a feeder's signed price.",
                hint="It has feed, feeder, price, observed_at, round and signature.",
                code="markets.signed_price",
            ) from error


@dataclass(frozen=True)
class Price:
    """An answer: ``value`` times 10**-decimals quote tokens for one whole base token, of ``updated_at``."""

    value: int
    decimals: int
    updated_at: int
    round_id: int

    @property
    def whole(self) -> Decimal:
        """In whole quote tokens."""
        return Decimal(self.value).scaleb(-self.decimals)


@dataclass(frozen=True)
class Terms:
    """What a feed is made of; see ``PriceFeed.vy``."""

    pair: str
    base_token: str
    decimals: int
    description: str
    feeders: tuple[str, ...]
    threshold: int
    max_age_s: int
    window_s: int
    max_deviation_bps: int

    def values(self) -> tuple[Any, ...]:
        """As the constructor takes them."""
        return (
            self.pair,
            self.base_token,
            self.decimals,
            self.description,
            list(self.feeders),
            self.threshold,
            self.max_age_s,
            self.window_s,
            self.max_deviation_bps,
        )


class Feed:
    """A price feed at an address. What sends takes the account that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.contract: Contract = chain.contract("PriceFeed", address)
        self.address = self.contract.address
        self.domain = Domain("Koinon PriceFeed", "1", chain.chain_id, self.address)

    @classmethod
    def create(cls, chain: Chain, account: Account, terms: Terms) -> Feed:
        """Put a new feed on the chain; TransactionFailed with the contract's reason for terms it refuses."""
        receipt = chain.sender(account).send(creation(terms))
        if receipt.contract_address is None:
            raise TransactionFailed("The feed was not created.", code="markets.feed_not_created")
        return cls(chain, receipt.contract_address)

    def terms(self) -> Terms:
        """What it is made of."""
        names = ("pair", "base_token", "decimals", "description", "feeders", "threshold")
        bounds = ("max_age_s", "window_s", "max_deviation_bps")
        found = self.contract.call_many([(name,) for name in (*names, *bounds)])
        pair, base, decimals, description, feeders, threshold, *rest = found
        return Terms(
            checksum(pair),
            checksum(base),
            decimals,
            description,
            tuple(checksum(feeder) for feeder in feeders),
            threshold,
            *rest,
        )

    def latest(self) -> Price:
        """The price that feeders and market agree on; NotFound, with the reason, while there is none."""
        return self._read("latestRoundData")

    def latest_from_feeders(self) -> Price:
        """The feeders' price alone, while it is fresh; NotFound otherwise. For what must go on while the
        market is disturbed."""
        return self._read("latestFeederData")

    def average(self) -> Price:
        """The pair's time-weighted average now; NotFound while its window is not covered."""
        try:
            value, decimals = self.contract.call("twap"), self.contract.call("decimals")
        except TransactionFailed as refusal:
            raise _no_price(self.address, refusal) from refusal
        return Price(int(value), int(decimals), self.chain.timestamp(), 0)

    def next_round(self) -> int:
        """The round that feeders sign for now."""
        return int(self.contract.call("latest_round")) + 1

    def sign(
        self, feeder: Account, price: int, *, observed_at: int | None = None, round_id: int | None = None
    ) -> SignedPrice:
        """A feeder's word.

        Parameters
        ----------
        feeder : Account
        price : int
            Times 10**decimals; see `scaled`.
        observed_at : int, optional
            Unix seconds; the latest block's by default, which no block can call the future.
        round_id : int, optional
            The next round by default.
        """
        at = self.chain.timestamp() if observed_at is None else observed_at
        round_id = self.next_round() if round_id is None else round_id
        signature = feeder.sign_typed(self.domain, PRICE, self.address, price, at, round_id)
        return SignedPrice(self.address, feeder.address, price, at, round_id, signature)

    def post(self, account: Account, prices: Iterable[SignedPrice]) -> Price:
        """Post the next round from enough feeders' words; see `Collector`."""
        found = {price.feeder: price for price in prices}
        feeders = self.terms().feeders
        strangers = found.keys() - set(feeders)
        if strangers:
            raise _stranger(min(strangers), self.address)
        reports = [
            (index, found[feeder].price, found[feeder].observed_at, found[feeder].signature)
            for index, feeder in enumerate(feeders)
            if feeder in found
        ]
        round_id = next(iter(found.values())).round_id if found else 0
        call = self._with_room(account, self.contract.transaction("post", round_id, reports))
        receipt = self.chain.sender(account).send(call)
        (posted,) = self.contract.logs(receipt, "Posted")
        return Price(
            int(posted["answer"]), int(self.contract.call("decimals")), int(posted["observed_at"]), round_id
        )

    def observe(self, account: Account) -> None:
        """Keep the pair's cumulative price for later averages."""
        self.chain.sender(account).send(self._with_room(account, self.contract.transaction("observe")))

    def _with_room(self, account: Account, call: Call) -> Call:
        """The call with gas for an observation that is kept, though the one that was tried was not."""
        fields = {"from": account.address, "to": call.to, "data": "0x" + call.data.hex()}
        try:
            gas = int(self.chain.rpc.call("eth_estimateGas", fields), 16)
        except RpcError:
            return call  # whoever sends it is told why it is refused
        return replace(call, gas=gas * 6 // 5 + OBSERVING_GAS)

    def _read(self, function: str) -> Price:
        try:
            round_id, value, _, updated_at, _ = self.contract.call(function)
            decimals = int(self.contract.call("decimals"))
        except TransactionFailed as refusal:
            raise _no_price(self.address, refusal) from refusal
        return Price(int(value), decimals, int(updated_at), int(round_id))


class Feeder:
    """Whoever signs prices for one feed: an account, and where the price comes from.

    Parameters
    ----------
    feed : Feed
    account : Account
        One of the feed's feeders.
    ask : callable
        The price in whole quote tokens now: a call of a service, a file, a person's word.
    """

    def __init__(self, feed: Feed, account: Account, ask: Callable[[], Decimal | str]) -> None:
        terms = feed.terms()
        if account.address not in terms.feeders:
            raise _stranger(account.address, feed.address)
        self.feed = feed
        self.account = account
        self.decimals = terms.decimals
        self._ask = ask

    def report(self) -> SignedPrice:
        """Ask, and sign the answer for the next round; BadInput when the answer is no price."""
        return self.feed.sign(self.account, scaled(self._ask(), self.decimals))


class Collector:
    """Feeders' words for the next round of one feed, checked as they come, until there are enough to post."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.terms = feed.terms()
        self.round_id = feed.next_round()
        self._prices: dict[str, SignedPrice] = {}

    def add(self, price: SignedPrice) -> None:
        """Take one; a feeder's later word replaces the earlier.

        Raises
        ------
        BadInput
            It is for another feed or round, by nobody who feeds, or older than the feed allows.
        IntegrityError
            Its signature is not the feeder's. Feeders that are contracts (ERC-1271) are left to the chain.
        """
        if price.feed != self.feed.address or price.round_id != self.round_id:
            raise BadInput(
                f"This price is for round {price.round_id} of {price.feed}, "
                f"not for round {self.round_id} of {self.feed.address}.",
                code="markets.other_round",
            )
        if price.feeder not in self.terms.feeders:
            raise _stranger(price.feeder, self.feed.address)
        if price.price <= 0 or self.feed.chain.timestamp() - price.observed_at > self.terms.max_age_s:
            raise BadInput(
                "This price is too old, or not above zero.",
                hint=f"The feed takes prices of the last {self.terms.max_age_s} seconds.",
                code="markets.old_price",
            )
        message = PRICE.hash(price.feed, price.price, price.observed_at, price.round_id)
        if (
            len(price.signature) == 65
            and recover(digest(self.feed.domain, message), price.signature) != price.feeder
        ):
            raise IntegrityError(f"{price.feeder} did not sign this price.", code="markets.forged_price")
        known = self._prices.get(price.feeder)
        if known is None or known.observed_at <= price.observed_at:
            self._prices[price.feeder] = price

    @property
    def missing(self) -> int:
        """How many more feeders it takes."""
        return max(0, self.terms.threshold - len(self._prices))

    def post(self, account: Account) -> Price:
        """Post the round and begin with the next; BadInput while feeders are missing."""
        if self.missing:
            raise BadInput(
                f"{self.missing} more feeders must sign before round {self.round_id} can be posted.",
                code="markets.few_feeders",
            )
        posted = self.feed.post(account, self._prices.values())
        self.round_id += 1
        self._prices.clear()
        return posted


def creation(terms: Terms) -> Call:
    """The transaction that creates a feed."""
    return Call(None, artifacts.load("PriceFeed").creation(*terms.values()))


def scaled(price: Decimal | str, decimals: int) -> int:
    """A price in whole quote tokens times 10**decimals, rounded half to even; BadInput when not above 0."""
    try:
        found = round(Decimal(price).scaleb(decimals))
    except (ArithmeticError, ValueError):
        found = 0
    if found <= 0:
        raise BadInput(f"{price!r} is not a price above 0 with {decimals} decimals.", code="markets.price")
    return found


def _stranger(account: str, feed: str) -> BadInput:
    return BadInput(
        f"{account} is not a feeder of {feed}.",
        hint="Who may feed was fixed when the feed was made.",
        code="markets.not_a_feeder",
    )


def _no_price(address: str, refusal: TransactionFailed) -> NotFound:
    sentence, hint = _REASONS.get(refusal.reason, (refusal.message, "Look at the feed's pair and feeders."))
    return NotFound(f"The feed {address} has no price: {sentence}", hint=hint, code="markets.no_price")
