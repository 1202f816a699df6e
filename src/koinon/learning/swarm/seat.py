# SPDX-License-Identifier: Apache-2.0
"""What every part of a peer works with: its account, the run, the others, and what it wrote down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.learning.recipe import Recipe
from koinon.learning.swarm.chain_state import SwarmPeer, SwarmState, read_peers
from koinon.learning.swarm.course import Course
from koinon.learning.swarm.exchange import Exchange
from koinon.learning.swarm.inbox import Inbox
from koinon.learning.swarm.journal import Journal
from koinon.learning.swarm.ledger import SwarmLedger
from koinon.learning.swarm.roster import Fellow, Roster

Report = Callable[[dict[str, Any]], None]
_ASK_TIME_S: Final = 0.2


@dataclass
class Seat:
    """One peer's place in one run. ``peers`` is how the others stood when it was looked last."""

    chain: Chain
    key: Key
    run_id: int
    recipe: Recipe
    folder: Path
    ledger: SwarmLedger
    roster: Roster
    inbox: Inbox
    journal: Journal
    exchange: Exchange
    course: Course
    report: Report
    peers: dict[str, SwarmPeer] = field(default_factory=dict)
    _looked: tuple[int, int] = (-1, -1)
    _now: int = 0
    _asked_at: float = float("-inf")

    @property
    def account(self) -> str:
        """This peer's own."""
        return self.key.address

    @property
    def me(self) -> SwarmPeer | None:
        """This peer as the chain has it; None before it joined."""
        return self.peers.get(self.account)

    def now(self) -> int:
        """The time the next block has, in Unix seconds: what the contract will go by. Asked a few times a
        second at most."""
        if time.monotonic() >= self._asked_at + _ASK_TIME_S:
            block = self.chain.rpc.call("eth_getBlockByNumber", "pending", False)
            self._now = self.chain.timestamp() if block is None else int(block["timestamp"], 16)
            self._asked_at = time.monotonic()
        return self._now

    def look(self, state: SwarmState, *, again: bool = False) -> None:
        """See who joined and who is active, once a draw and whenever somebody joins."""
        if not again and self._looked == (state.draw, state.peers):
            return
        if len(self.peers) < state.peers or again:
            found = read_peers(self.chain, self.run_id)
            self.exchange.meet(
                self.roster.add(
                    Fellow(one.number, one.account, one.member, one.work_id, one.certificate, one.url)
                    for one in found
                )
            )
        else:  # what they announced does not change, only how they stand
            found = [
                replace(self.peers[account], tip=bytes(tip), stake=stake, active=active)
                for _, account, _, _, tip, stake, active in self.ledger.contract.call("peers_of", self.run_id)
            ]
        self.peers = {one.account: one for one in found}
        self._looked = (state.draw, len(found))
