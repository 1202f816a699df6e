# SPDX-License-Identifier: Apache-2.0
"""The watch of a running node: monitors on the index's feed, payments scanned, pools and vaults measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.errors import BadInput, ChainError, KoinonError, SetupError
from koinon.markets.history.facts import Facts
from koinon.markets.history.own import Own, venues
from koinon.markets.history.shadow import DEPTH
from koinon.markets.routing.executor import Executor
from koinon.watch.api import Watch
from koinon.watch.graph.following import CONFIRMATIONS
from koinon.watch.liquidity.coverage import Held
from koinon.watch.liquidity.reading import Position
from koinon.watch.monitors.feeding import FeedFollower
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.own_chain import OwnChain

DAY_S: Final = 86_400
SCAN_EVERY_S: Final = 600.0
_LONGEST_WAIT_S: Final = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Looked:
    """What one look brought: alerts of monitors, cases that the scan touched, contracts that were measured,
    and the last block that monitors saw."""

    alerts: int
    cases: int
    measured: int
    through: int

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return vars(self)


class LiveWatch:
    """One node's watch, as it goes on.

    Parameters
    ----------
    watch : Watch
        With the node's index.
    chain, index : Chain, EventIndex
    depth : int, optional
        Confirmations that monitors wait for; by default 0 where money is test money, else `DEPTH`.
    trusted, holders : collection of str
        As `monitoring.all_monitors`.
    scan_every_s : float
        How often payments are looked at for laundering; 0 never.
    say : callable
        Told in a sentence what cannot be done.
    """

    def __init__(
        self,
        watch: Watch,
        chain: Chain,
        index: EventIndex,
        depth: int | None = None,
        *,
        trusted: Collection[str] = (),
        holders: Collection[str] = (),
        scan_every_s: float = SCAN_EVERY_S,
        say: Say = lambda _sentence: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watch, self._node, self._index, self._say, self._clock = watch, chain, index, say, clock
        network = chain.network
        self._own = OwnChain(index, chain.rpc)
        known = [*network.contracts.values(), *trusted]

        def make() -> Monitoring:
            return Monitoring(all_monitors(self._own.facts, trusted=known, holders=holders))

        deep = (0 if network.test_money else DEPTH) if depth is None else depth
        name = f"feed {network.chain_id} {network.genesis_hash[:10]}"
        self._depth = deep
        self.follower = FeedFollower(index, self._own, name, make, watch.book, deep)
        self._confirmations = min(CONFIRMATIONS, deep) if network.test_money else max(CONFIRMATIONS, deep)
        self._scan_every_s, self._scanned_at, self._scanned = scan_every_s, -scan_every_s, -1
        self._day = -1
        self._told: set[str] = set()

    def look(self) -> Looked:
        """Look at everything that is due once."""
        alerts = len(self.follower.look())
        return Looked(alerts, self._scan(), self._measure(), self.follower.through)

    def run(self, stop: threading.Event, ready: Callable[[Looked], None] = lambda _looked: None) -> None:
        """Go on until ``stop`` is set; ``ready`` is called after each look that brought something, and the
        first. A node that is away for a moment is waited for."""
        first = True
        while not stop.is_set():
            try:
                self._index.sync()
                looked = self.look()
                if first or looked.alerts or looked.cases or looked.measured:
                    ready(looked)
                    first = False
            except (ChainError, OSError) as fault:
                self._once(f"The chain does not answer ({fault}); the watch waits for it.")
                stop.wait(_LONGEST_WAIT_S)
                continue
            self._index.wait(self._index.head(), timeout_s=_LONGEST_WAIT_S)

    def _scan(self) -> int:
        """Payments that were confirmed since the last time, with all before them."""
        if not self._scan_every_s or self._clock() - self._scanned_at < self._scan_every_s:
            return 0
        self._scanned_at = self._clock()
        try:
            edges = self._watch.chain_edges(
                decimals=int(self._node.coin.call("decimals")),
                confirmations=self._confirmations,
                venues=venues(self._index),
            )
            if len(edges) == self._scanned or not len(edges):
                return 0
            found = self._watch.scan(edges)
        except SetupError as fault:
            self._once(f"Payments are not scanned: {fault.message} {fault.hint}".strip())
            return 0
        self._scanned = len(edges)
        return len(set(found.cases))

    def _measure(self) -> int:
        """Pools and vaults, once on each of the chain's days."""
        head = self._index.head()
        day = -1 if head is None else head.timestamp // DAY_S
        if head is None or day == self._day:
            return 0
        self._day, measured = day, 0
        contracts = self._own.owing()
        if not contracts:
            return 0
        own = Own(self._index, self._node, depth=self._depth)
        own.sync()
        history = own.history()
        for contract in contracts:
            try:
                self._watch.liquidity.measure(
                    history, contract, self._position(contract, own.facts), data="events in this node's index"
                )
                measured += 1
            except BadInput as fault:
                if fault.code not in ("watch.short", "watch.flows"):
                    self._once(f"{contract} is not measured: {fault.message}")
            except SetupError as fault:
                self._once(f"Liquidity is not measured: {fault.message} {fault.hint}".strip())
                return measured
        return measured

    def _position(self, contract: str, facts: Facts) -> Position:
        """What it has at hand, and, of a vault, what else it holds that pairs here trade."""
        asset = facts.markets[contract].asset
        idle = self._balance(asset, contract)
        if contract not in facts.decimals:  # no share token: collateral in it is its borrowers'
            return Position(asset, idle)
        try:
            pools = Executor(self._node).pools()
        except KoinonError:
            return Position(asset, idle)
        tokens = {token for pool in pools for token in pool.tokens} - {asset}
        held = [Held(token, self._balance(token, contract)) for token in sorted(tokens)]
        return Position(asset, idle, held=[each for each in held if each.amount], pools=pools)

    def _balance(self, token: str, holder: str) -> int:
        return int(self._node.contract("Coin", token).call("balanceOf", holder))

    def _once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._say(sentence)
