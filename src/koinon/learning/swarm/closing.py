# SPDX-License-Identifier: Apache-2.0
"""The end of a run: make its rounds final, agree on everybody's part, publish the model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError, TransactionFailed
from koinon.learning.evidence import Evidence
from koinon.learning.ledger import read_run
from koinon.learning.scaling import Scaling
from koinon.learning.swarm.chain_state import (
    SwarmRound,
    SwarmState,
    read_round,
    read_scores,
    read_work,
)
from koinon.learning.swarm.exchange import MAXIMUM_TABLE
from koinon.learning.swarm.leading import Leading
from koinon.learning.swarm.ledger import WITHHELD, finish_arguments, finish_digest
from koinon.learning.swarm.roster import Fellow
from koinon.learning.swarm.seat import Seat
from koinon.learning.swarm.worth import (
    Worth,
    agreed_worth,
    check_registration,
    own_scores,
    registration,
    share_table,
    sign_registration,
)
from koinon.store import BlockStore
from koinon.store.cid import cid_of
from koinon.tables import Table, read_table
from koinon.works.api import Works
from koinon.works.catalogue import URI_SCHEME
from koinon.works.registration import registration_domain

MODEL_DIGEST_KEY: Final = "modelDigest"
_GRACE_SLOTS: Final = 2
"""How long the contribution set is waited for after the last window, before the rounds are made final."""
_SETTLED_AT_ONCE: Final = 16
_PATIENCE: Final = 0.6


class Closing:
    """A peer's part in the end.

    Parameters
    ----------
    sets : mapping of name to path
        ``contribution`` and ``held_out``: files that appear when the sets are revealed; where there is no
        path, other peers are asked.
    """

    def __init__(self, seat: Seat, leading: Leading, scaling: Scaling, sets: dict[str, Path]) -> None:
        self._seat, self._leading, self._scaling, self._sets = seat, leading, scaling, sets
        run = read_run(seat.chain.contract("Federation"), seat.run_id)
        self._digests = {"contribution": run.contribution_set, "held_out": run.held_out_set}
        self._tables: dict[str, Table] = {}
        self._evidence: Evidence | None = None
        self._scores: bytes | None = None
        self._done: set[str] = set()
        self._blocks = BlockStore(seat.folder / "blocks")
        self.worth: Worth | None = None

    def close(self, state: SwarmState, now: int) -> int:
        """Do what is due; the model's Work once it is published, else 0."""
        if not state.scoring:
            self._settle(state, now)
        elif state.round == state.rounds:
            self._score(state, now)
            if state.slot_at(now) is not None and self._leading.candidate(state, now) == self._seat.account:
                self._propose()
        else:
            finish = read_round(self._seat.chain, self._seat.run_id, state.rounds + 1)
            work_id = int.from_bytes(finish.updates, "big")
            if work_id:
                self._agreed()
                return work_id
            self._conclude(state, finish, now)
        return 0

    @property
    def evidence(self) -> Evidence:
        """All rounds; complete once the last is accepted."""
        if self._evidence is None:
            self._evidence = self._seat.course.evidence(self._scaling, len(self._seat.roster.members))
        return self._evidence

    def table(self, name: str) -> Table | None:
        """A common set, where it is revealed and is the one the run was opened with."""
        if name not in self._tables:
            try:
                content = self._file(name)
                self._tables[name] = self._read(name, content)
                self._seat.exchange.publish(name, content)
            except (KoinonError, OSError):
                return None
        return self._tables[name]

    def _file(self, name: str) -> bytes:
        if name in self._sets:
            return self._sets[name].read_bytes()
        return self._seat.exchange.ask(f"/document/{name}", lambda content: content, limit=MAXIMUM_TABLE)

    def _read(self, name: str, content: bytes) -> Table:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.npz"
            path.write_bytes(content)
            table = read_table(path, self._seat.recipe.label)
        if table.digest != self._digests[name]:
            raise IntegrityError("This is not the committed set.", code="learning.contribution_set")
        return table

    def _settle(self, state: SwarmState, now: int) -> None:
        seat, rules = self._seat, state.rules
        last = read_round(seat.chain, seat.run_id, state.rounds)
        over = last.proposed_at + rules.window_s
        if now < over:
            self.table("contribution")
            return
        scored = self.own_scores() is not None
        turn = over if last.leader == seat.account else over + max(1, rules.slot_s // 2)
        if now < (turn if scored else over + _GRACE_SLOTS * rules.slot_s):
            return
        for up_to in range(
            state.settled + _SETTLED_AT_ONCE, state.rounds + _SETTLED_AT_ONCE, _SETTLED_AT_ONCE
        ):
            try:
                seat.ledger.settle(seat.run_id, min(up_to, state.rounds))
            except TransactionFailed:
                return  # another peer was faster
        seat.report({"event": "settled", "rounds": state.rounds})
        seat.exchange.tell("/look", b"")
        seat.exchange.wake()

    def own_scores(self) -> bytes | None:
        """What this peer finds; None while the contribution set is not revealed."""
        if self._scores is None:
            table = self.table("contribution")
            if table is not None:
                self._scores = own_scores(self.evidence, table)
        return self._scores

    def _score(self, state: SwarmState, now: int) -> None:
        seat, me = self._seat, self._seat.me
        reveal_at = state.t0 - state.rules.slot_s
        if me is None or not me.active or now >= state.t0:
            return
        if now < reveal_at and "commit" not in self._done:
            scores = self.own_scores()
            if scores is None:
                return
            kept = seat.journal.note("scores", scores + os.urandom(32))
            self._once("commit", lambda: seat.ledger.commit_scores(seat.run_id, kept[:32], kept[32:]))
        elif now >= reveal_at and (kept_before := seat.journal.fact("scores")) is not None:
            scores, salt = kept_before[:32], kept_before[32:]
            self._once("reveal", lambda: seat.ledger.reveal_scores(seat.run_id, scores, salt))

    def _once(self, what: str, act: Callable[[], None]) -> None:
        if what in self._done:
            return
        self._done.add(what)
        try:
            act()
        except TransactionFailed as error:
            self._seat.report({"event": f"no {what}", "reason": error.reason})
        else:
            self._seat.report({"event": f"scores {what}"})

    def _agreed(self) -> Worth:
        """What everybody's part is worth, by the scores on chain; fixed once they are revealed."""
        if self.worth is None:
            seat = self._seat
            work = {
                one.account: sum(read_work(seat.chain, seat.run_id, one.account)) for one in self._workers()
            }
            minimums = {
                number: int(minimum)
                for number, (_, minimum) in enumerate(
                    seat.chain.contract("Federation").call("members_of", seat.run_id)
                )
            }
            self.worth = agreed_worth(
                self.evidence,
                self._digests["contribution"],
                read_scores(seat.chain, seat.run_id),
                minimums,
                work,
            )
        return self.worth

    def _workers(self) -> list[Fellow]:
        """Whose work is paid by the compute share: those who lend nothing else, or everybody without such."""
        fellows = self._seat.roster.fellows
        return [one for one in fellows if one.member is None] or fellows

    def _arguments(self, file: bytes | None, leader: str) -> tuple[bytes, bytes]:
        """How the model is to be published, and its registration file; a leader's where one is given."""
        seat, worth = self._seat, self._agreed()
        works = Works(seat.chain, self._blocks, seat.key)
        members = {one.member: one for one in seat.roster.members if one.member is not None}
        tills = {member: works.till_of(members[member].work_id) for member in worth.contributions.shares}
        shares = share_table(worth, tills)
        expected = registration(
            seat.recipe, self.evidence, seat.course.common.parameters, shares, self.table("held_out")
        )
        domain = registration_domain(seat.chain.chain_id, works.contract.address)
        if file is None:
            file = sign_registration(expected, seat.key, domain)
        else:
            check_registration(file, expected, leader, domain)
        arguments = finish_arguments(
            seat.run_id,
            uri=URI_SCHEME + cid_of(file),
            parents={tills[member]: self._permission(member) for member in sorted(tills)},
            shares=shares,
            contributions=worth.contributions.digest,
            metadata=[(MODEL_DIGEST_KEY, seat.course.base)],
        )
        return arguments, file

    def _permission(self, member: int) -> bytes:
        agreed = self._seat.roster.agreed(member)
        if agreed is None:
            raise PeerError("An owner's agreement is missing.", code="swarm.withheld")
        return agreed.joining.permission

    def _propose(self) -> None:
        seat = self._seat
        kept = seat.journal.fact("registration")
        arguments, file = self._arguments(kept, seat.account)
        seat.journal.note("registration", file)
        self._blocks.put(file)
        seat.exchange.publish("registration", file)
        try:
            seat.ledger.propose_finish(seat.run_id, arguments)
        except TransactionFailed as error:
            seat.report({"event": "no finish", "reason": error.reason})
        else:
            seat.report({"event": "finish proposed"})
        seat.exchange.tell("/look", b"")
        seat.exchange.wake()

    def _conclude(self, state: SwarmState, finish: SwarmRound, now: int) -> None:
        """Check how the model is to be published; after the window, publish it."""
        seat = self._seat
        over = finish.proposed_at + state.rules.window_s
        arguments = self._checked(finish)
        if arguments is None or finish_digest(arguments) != finish.model:
            late = now >= finish.proposed_at + _PATIENCE * state.rules.window_s
            if now < over and (arguments is not None or late):
                said = WITHHELD if arguments is None else finish_digest(arguments)
                self._once(f"objection {finish.draw}", lambda: self._object(said))
            return
        if now >= over + (0 if finish.leader == seat.account else max(1, state.rules.slot_s // 2)):
            try:
                seat.ledger.finish(seat.run_id, arguments)
            except TransactionFailed as error:
                seat.report({"event": "not finished", "reason": error.reason})
            seat.exchange.tell("/look", b"")
            seat.exchange.wake()

    def _object(self, digest: bytes) -> None:
        self._seat.ledger.object_finish(self._seat.run_id, digest)

    def _checked(self, finish: SwarmRound) -> bytes | None:
        """The right arguments with the leader's registration file; None where that is withheld or false."""
        seat = self._seat
        try:
            file = seat.journal.fact("registration") if finish.leader == seat.account else None
            if file is None:
                file = seat.exchange.ask(
                    "/document/registration",
                    lambda content: self._right_file(content, finish),
                    first=[finish.leader],
                )
            seat.exchange.publish("registration", file)
            self._blocks.put(file)
            return self._arguments(file, finish.leader)[0]
        except (BadInput, IntegrityError, PeerError):
            return None

    def _right_file(self, content: bytes, finish: SwarmRound) -> bytes:
        self._arguments(content, finish.leader)
        return content
