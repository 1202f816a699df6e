# SPDX-License-Identifier: Apache-2.0
"""Peers that lead by lies. As a process: ``python tests/learning/swarm/hostile.py CONFIG``."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Final

from koinon.learning.messages import LocalUpdate, payload_digest
from koinon.learning.swarm.chain_state import SwarmState
from koinon.learning.swarm.course import Computed
from koinon.learning.swarm.inbox import Received
from koinon.learning.swarm.leading import Leading
from koinon.learning.swarm.peer import Peer, main

PROGRAM: Final = (str(Path(__file__)),)


class WrongModel(Leading):
    """Aggregates otherwise than the recipe says, from the second round on."""

    def model(self, computed: Computed) -> bytes:
        return hashlib.sha256(b"a model of my own" + computed.model).digest()

    def lead(self, state: SwarmState, now: int) -> None:
        if state.round:
            super().lead(state, now)


class Withholding(Leading):
    """Proposes a round of updates that nobody ever sees."""

    def _propose(self, state: SwarmState, received: Mapping[int, Received]) -> None:
        seat, me = self._seat, self._seat.me
        assert me is not None
        seat.ledger.propose(
            seat.run_id,
            state.round + 1,
            updates=hashlib.sha256(b"never seen").digest(),
            model=hashlib.sha256(b"never seen either").digest(),
            participants=sum(1 << member for member in received),
            preimage=self._onion.preimage(me.tip),
        )


class Vanishing(Leading):
    """Never acts in its slots."""

    def lead(self, state: SwarmState, now: int) -> None:
        pass


def sign_two_updates(peer: Peer) -> None:
    """Have a peer tell everybody two different updates in every round."""
    seat = peer.seat
    tell = seat.exchange.tell

    def tell_both(path: str, body: bytes) -> list[Future[bool]]:
        told = tell(path, body)
        if path != "/update":
            return told
        message, payload = LocalUpdate.unpack(body, seat.inbox.domain)
        other = bytes(len(payload))
        lie = replace(message, update=payload_digest(other))
        return told + tell(path, lie.pack(seat.key, seat.inbox.domain, other))

    seat.exchange.tell = tell_both  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], WrongModel))
