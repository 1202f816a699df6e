# SPDX-License-Identifier: Apache-2.0
"""The feeding loop: sign a price when one is due, post it once enough feeders have, keep the average covered.

What was signed is on the disk before anyone hears it, and rounds are counted on chain: a loop that is killed
goes on with the word it gave, and nothing is posted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput, IntegrityError, NodeUnavailable, PeerError, TransactionFailed
from koinon.markets.feeding.sources import Source
from koinon.markets.feeding.words import Words
from koinon.markets.feeds import Collector, Feed, Price, scaled

SLOTS_A_WINDOW: Final = 8
SLOTS: Final = 16
"""Observations that a feed keeps, and how many of them cover its window; see ``PriceFeed.vy``."""
BPS: Final = 10_000


@dataclass(frozen=True)
class Turn:
    """One look: the ``round_id`` that is open, the ``price`` of the source (None where it gave none), who
    ``signed`` now, how many feeders are ``missing``, what was ``posted``, whether the pair was
    ``observed``, and what went wrong (``faults``)."""

    round_id: int
    price: Decimal | None = None
    signed: tuple[str, ...] = ()
    missing: int = 0
    posted: Price | None = None
    observed: bool = False
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Last:
    """The last round: 0 and 0 before the first."""

    price: int
    observed_at: int
    next_round: int


class Feeding:
    """Keeps one feed alive for one or more of its feeders.

    Parameters
    ----------
    feed : Feed
    feeders : sequence of Account
        Those of its feeders whose keys are here.
    payer : Account
        Sends rounds and observations; needs gas and no right.
    ask : callable
        The price now; see `koinon.markets.feeding.sources`.
    kept : Words
        What these feeders said; nobody else writes there.
    shared : Words, optional
        Where feeders' words meet; needed where more must sign than have their keys here.
    heartbeat_s : int, optional
        A round is due when the last one is so old; half of what the feed allows by default.
    deviation_bps : int
        Or when the price has moved by this share since, in 1e-4.
    observes : bool
        Whether the pair is observed here, once in each eighth of the feed's window.

    Raises
    ------
    BadInput
        An account is none of the feed's feeders, or the heartbeat is longer than its prices last.
    """

    def __init__(
        self,
        feed: Feed,
        feeders: Sequence[Account],
        payer: Account,
        ask: Source,
        kept: Words,
        *,
        shared: Words | None = None,
        heartbeat_s: int | None = None,
        deviation_bps: int = 50,
        observes: bool = True,
    ) -> None:
        self.feed, self.terms = feed, feed.terms()
        strangers = [each.address for each in feeders if each.address not in self.terms.feeders]
        if strangers or not feeders:
            raise BadInput(
                f"{strangers[0] if strangers else 'Nobody here'} is not a feeder of {feed.address}.",
                hint="Who may feed was fixed when the feed was made.",
                code="markets.not_a_feeder",
            )
        self.heartbeat_s = max(1, self.terms.max_age_s // 2) if heartbeat_s is None else heartbeat_s
        if not 0 < self.heartbeat_s < self.terms.max_age_s:
            raise BadInput(
                f"The feed's prices last {self.terms.max_age_s} seconds; the heartbeat must be shorter.",
                code="markets.heartbeat",
            )
        self.feeders, self.payer = list(feeders), payer
        self.kept, self.shared = kept, shared
        self.deviation_bps, self._observes = deviation_bps, observes
        self._ask = ask

    def look(self) -> Turn:
        """Look once, and do what is due. What others do wrong, a source without a price and a refused
        round are told in the turn; the next look tries again.

        Raises
        ------
        PaymentError
            The source is a service, and what may be spent on it is.
        NodeUnavailable
            The node does not answer.
        """
        faults: list[str] = []
        collector = Collector(self.feed)
        round_id, now = collector.round_id, self.feed.chain.next_timestamp()
        last = self._last(round_id)
        price = self._price(faults)
        signed = []
        if price is not None and now > last.observed_at:
            value = scaled(price, self.terms.decimals)
            if now - last.observed_at >= self.heartbeat_s or self._moved(value, last.price):
                signed = [each.address for each in self.feeders if self._sign(each, value, now, last)]
        self._hear(collector, now, last, faults)
        posted = None if collector.missing else self._post(collector, round_id, faults)
        # Posting observes, too.
        observed = posted is None and self._observe(now, faults)
        return Turn(round_id, price, tuple(signed), collector.missing, posted, observed, tuple(faults))

    def _last(self, round_id: int) -> _Last:
        if round_id == 1:
            return _Last(0, 0, 1)
        _, value, observed_at, *_ = self.feed.contract.call("getRoundData", round_id - 1)
        return _Last(int(value), int(observed_at), round_id)

    def _hear(self, collector: Collector, now: int, last: _Last, faults: list[str]) -> None:
        """Collect the words that the chain would take now: not from before the last round, nor from ahead."""
        for place in (self.kept, self.shared) if self.shared is not None else (self.kept,):
            for word in place.of_round(last.next_round):
                if not last.observed_at < word.observed_at <= now:
                    continue
                try:
                    collector.add(word)
                except (BadInput, IntegrityError) as fault:
                    faults.append(fault.message)

    def _price(self, faults: list[str]) -> Decimal | None:
        try:
            price = self._ask()
            scaled(price, self.terms.decimals)
        except NodeUnavailable:
            raise
        except (BadInput, PeerError) as fault:
            faults.append(fault.message)
            return None
        return price

    def _moved(self, value: int, before: int) -> bool:
        return abs(value - before) * BPS >= before * self.deviation_bps

    def _sign(self, feeder: Account, value: int, now: int, last: _Last) -> bool:
        """Give a feeder's word unless the one it gave for this round still says it; whether it was given."""
        word = self.kept.own(feeder.address)
        fresh = word is None or (
            (word.feed, word.feeder, word.round_id) != (self.feed.address, feeder.address, last.next_round)
            or now - word.observed_at >= self.heartbeat_s
            or word.observed_at <= last.observed_at
            or self._moved(value, word.price)
        )
        if word is None or fresh:
            word = self.feed.sign(feeder, value, observed_at=now, round_id=last.next_round)
            self.kept.keep(word)
        if self.shared is not None and self.shared.own(feeder.address) != word:
            self.shared.keep(word)
        return fresh

    def _post(self, collector: Collector, round_id: int, faults: list[str]) -> Price | None:
        """None where somebody else was quicker, or the chain refuses (it alone judges the words of feeders
        that are contracts)."""
        try:
            return collector.post(self.payer)
        except TransactionFailed as refusal:
            if self.feed.next_round() == round_id:
                faults.append(refusal.message)
            return None

    def _observe(self, now: int, faults: list[str]) -> bool:
        """Keep the average's window covered: one observation in each eighth of it."""
        period = self.terms.window_s // SLOTS_A_WINDOW
        if not self._observes:
            return False
        at, _ = self.feed.contract.call("observation", now // period % SLOTS)
        if at // period == now // period:
            return False
        try:
            self.feed.observe(self.payer)
        except TransactionFailed as refusal:
            faults.append(refusal.message)
            return False
        return True
