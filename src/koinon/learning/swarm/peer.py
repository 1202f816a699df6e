# SPDX-License-Identifier: Apache-2.0
"""A peer's own process: it teaches on its table, follows everybody, and leads when it is drawn.

``python -m koinon.learning.swarm.peer CONFIG.json``; the fields are those of
:class:`~koinon.learning.swarm.config.PeerConfig`. Progress goes to standard output as one JSON object a line;
errors as one line with a hint to standard error. Killed at any moment and started again it goes on from its
journal. SIGTERM makes it leave the run.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import numpy as np
import orjson

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.errors import (
    BadInput,
    IntegrityError,
    KoinonError,
    NodeUnavailable,
    NotFound,
    PeerError,
    TransactionFailed,
)
from koinon.learning.common import CommonModel
from koinon.learning.gains import set_aside
from koinon.learning.ledger import read_run
from koinon.learning.messages import LocalUpdate, federation_domain
from koinon.learning.recipe import Recipe
from koinon.learning.recipes import read_recipe
from koinon.learning.swarm.chain_state import NO_ROUND, SwarmState, read_swarm
from koinon.learning.swarm.closing import Closing
from koinon.learning.swarm.config import PeerConfig
from koinon.learning.swarm.course import Course
from koinon.learning.swarm.entering import check_agreement, enter
from koinon.learning.swarm.exchange import Exchange
from koinon.learning.swarm.following import Following
from koinon.learning.swarm.identity import Identity
from koinon.learning.swarm.inbox import Inbox
from koinon.learning.swarm.journal import Journal
from koinon.learning.swarm.leading import Leading
from koinon.learning.swarm.ledger import SwarmLedger
from koinon.learning.swarm.onion import Onion
from koinon.learning.swarm.parting import Parting
from koinon.learning.swarm.roster import Roster
from koinon.learning.swarm.seat import Report, Seat
from koinon.learning.swarm.teaching import Teaching
from koinon.tables import Table, read_table

_PAUSE_S: Final = 0.25
_SPARE_LAYERS: Final = 256
_NODE_SILENT_S: Final = 60.0
_STAND_AGAIN_S: Final = 20.0
_ASK_AGAIN_S: Final = 3.0


class Peer:
    """Takes part in one run from joining to the published model.

    Parameters
    ----------
    table : Table, optional
        What it teaches with; without one it lends computing.
    leading : type, optional
        How it leads.
    """

    def __init__(
        self,
        config: PeerConfig,
        chain: Chain,
        key: Key,
        recipe: Recipe,
        *,
        table: Table | None = None,
        report: Report = lambda _: None,
        leading: type[Leading] = Leading,
    ) -> None:
        scaling = recipe.scaling
        if scaling is None or read_run(chain.contract("Federation"), config.run_id).recipe != recipe.digest:
            raise IntegrityError(
                "This is not the run's recipe, or it leaves open how columns are scaled.",
                hint="Ask whoever opened the run for the recipe's file.",
                code="learning.other_recipe",
            )
        self._config, self._table, self._scaling = config, table, scaling
        self._rows = None if table is None else set_aside(recipe, table)
        folder = Path(config.data_dir)
        domain = federation_domain(chain.chain_id, chain.contract("Federation").address)
        journal, common = Journal(folder), CommonModel(recipe)
        roster = Roster(
            recipe,
            config.run_id,
            domain,
            check=lambda joining: check_agreement(chain, config.run_id, joining),
        )
        inbox = Inbox(recipe, config.run_id, domain, roster, common)
        self._identity = Identity.open(folder, key.address)
        port = int(journal.fact("port") or b"0") if not config.port else config.port
        exchange = Exchange(self._identity, key.address, roster, inbox, journal, host=config.host, port=port)
        journal.note("port", str(exchange.port).encode())
        self.seat = Seat(
            chain=chain,
            key=key,
            run_id=config.run_id,
            recipe=recipe,
            folder=folder,
            ledger=SwarmLedger(chain, key),
            roster=roster,
            inbox=inbox,
            journal=journal,
            exchange=exchange,
            course=Course(recipe, common, inbox, journal),
            report=report,
        )
        onion = Onion(journal.note("secret", os.urandom(32)), 2 * recipe.rounds + _SPARE_LAYERS)
        self._onion = onion
        self._following, self._leading = Following(self.seat), leading(self.seat, onion)
        sets = {"contribution": config.contribution_set, "held_out": config.held_out}
        paths = {name: Path(path) for name, path in sets.items() if path}
        self._closing = Closing(self.seat, self._leading, scaling, paths)
        self._parting = Parting(self.seat, config, self._closing, scaling, self._rows)
        self._teaching: Teaching | None = None
        self._told: tuple[int, bytes] | None = None
        self._ask_at: dict[str, float] = {}
        self._leaving, self._until, self._stand_at = False, 0, 0.0
        self._stopped = False

    def leave(self) -> None:
        """Take no part from the next draw on; the process ends when nothing is owed any more."""
        self._leaving = True
        self.seat.exchange.wake()

    def stop(self) -> None:
        """End where it is, without leaving: slots are owed until it runs again."""
        self._stopped = True
        self.seat.exchange.wake()

    def run(self) -> int:
        """Take part until the model is published; its Work, or 0 where this peer left or stopped before.

        Raises
        ------
        PeerError, IntegrityError, TransactionFailed
            This peer cannot join, or cannot go on.
        """
        seat = self.seat
        seat.exchange.open()
        self._enter()
        silent_since: float | None = None
        while not self._stopped:
            try:
                work_id = self._step()
                silent_since = None
            except NodeUnavailable:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > _NODE_SILENT_S:
                    raise
                work_id = None
            except NotFound as error:
                if error.code != NO_ROUND:
                    raise
                work_id = None  # a round was overturned while it was looked at
            if work_id is not None:
                self._parting.part(work_id, self._teaching)
                return work_id
            seat.exchange.wait(_PAUSE_S)
        return 0

    def close(self) -> None:
        """Hang up; the journal may be opened again."""
        if self._teaching is not None:
            self._teaching.close()
        self.seat.exchange.close()
        self.seat.journal.close()

    # ------------------------------------------------------------ steps

    def _enter(self) -> None:
        seat = self.seat
        enter(seat, self._config, self._onion, self._identity, table=self._table, rows=self._rows)
        me = seat.me
        if self._rows is not None and me is not None and me.member is not None:
            self._teaching = Teaching(
                seat.recipe,
                self._rows[0],
                self._scaling,
                me.member,
                key=seat.key,
                domain=seat.inbox.domain,
                run_id=seat.run_id,
                journal=seat.journal,
                done=seat.exchange.wake,
            )

    def _step(self) -> int | None:
        """One look at the chain, and what follows from it; the Work at the end."""
        seat = self.seat
        state, now = read_swarm(seat.chain, seat.run_id), seat.now()
        seat.look(state)
        self._ask_agreements()
        before = seat.course.round
        in_step = self._following.follow(state)
        self._note_participants(before)
        if in_step and state.round <= state.rounds and not state.scoring:
            self._stand(state)
        if self._leaving and self._nothing_owed(state):
            return 0
        if not in_step:
            return None
        if state.round >= state.rounds:
            return self._closing.close(state, now) or None
        if state.started:
            self._teach(state)
            self._leading.lead(state, now)
        return None

    def _ask_agreements(self) -> None:
        """Others' agreements are told when they join; who was not there then asks."""
        seat = self.seat
        for one in seat.roster.missing:
            if one.account != seat.account and time.monotonic() >= self._ask_at.get(one.account, 0.0):
                self._ask_at[one.account] = time.monotonic() + _ASK_AGAIN_S
                with suppress(PeerError):
                    seat.exchange.ask(f"/agreement/{one.account}", seat.roster.agree, first=[one.account])

    def _note_participants(self, before: int) -> None:
        seat = self.seat
        for number in range(before + 1, seat.course.round + 1):
            accepted = seat.journal.accepted(number)
            if accepted is not None:
                self._leading.took_part(accepted.listing[::33])

    def _stand(self, state: SwarmState) -> None:
        """Be active, or not when leaving."""
        seat = self.seat
        me = seat.me
        if me is None or me.active != self._leaving or time.monotonic() < self._stand_at:
            return
        try:
            if self._leaving:
                self._until = seat.ledger.leave(seat.run_id)
            else:
                since = seat.ledger.ready(seat.run_id, self._onion.preimage(me.tip))
                seat.report({"event": "ready", "since": since})
        except TransactionFailed as error:
            self._stand_at = time.monotonic() + _STAND_AGAIN_S
            seat.report({"event": "inactive", "reason": error.reason})
        seat.look(state, again=True)

    def _nothing_owed(self, state: SwarmState) -> bool:
        me = self.seat.me
        return me is None or (not me.active and state.draw > self._until)

    def _teach(self, state: SwarmState) -> None:
        """Have this round's update, and tell everybody."""
        seat, me = self.seat, self.seat.me
        if self._teaching is None or me is None or not me.active:
            return
        number, base = seat.course.round + 1, seat.course.base
        frame = self._teaching.frame(number, seat.course.models, seat.inbox.common.vector)
        if frame is None or self._told == (number, base):
            return
        self._told = (number, base)
        try:
            seat.exchange.receive(frame)
        except (BadInput, IntegrityError) as error:  # training went astray; the next round may go better
            seat.report({"event": "unusable", "round": number, "code": error.code})
            return
        seat.exchange.tell("/update", frame)
        if state.rules.per_node:
            message, _ = LocalUpdate.unpack(frame, seat.inbox.domain)
            with suppress(TransactionFailed):  # submitted before a crash
                seat.ledger.submit(seat.run_id, number, message.update)
            seat.exchange.tell("/look", b"")
        seat.report({"event": "taught", "round": number})


def run_peer(config: PeerConfig, report: Report, leading: type[Leading] = Leading) -> int:
    """Everything a peer's process does, from its config to the published model; the model's Work."""
    table = read_table(Path(config.table), config.label) if config.table else None
    key = config.key()
    with Chain.open(Path(config.network), rpc_url=os.environ.get("KOINON_RPC_URL") or None) as chain:
        peer = Peer(
            config, chain, key, read_recipe(config.recipe), table=table, report=report, leading=leading
        )

        def leave(_: int, __: FrameType | None) -> None:
            peer.leave()

        signal.signal(signal.SIGTERM, leave)
        try:
            return peer.run()
        finally:
            peer.close()


def _print(event: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps({"at": round(time.time(), 3), **event}).decode() + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str], leading: type[Leading] = Leading) -> int:
    """Run one peer; returns the process's exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m koinon.learning.swarm.peer CONFIG.json\n")
        return 2
    try:
        with np.errstate(all="ignore"):
            run_peer(PeerConfig.load(Path(arguments[0])), _print, leading)
    except KoinonError as error:
        _print({"event": "failed", "title": error.message, "code": error.code})
        sys.stderr.write(f"{error.message} {error.hint}".rstrip() + f" [{error.code}]\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
