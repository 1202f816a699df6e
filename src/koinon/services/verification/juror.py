# SPDX-License-Identifier: Apache-2.0
"""A juror of the committee: stakes, gives seeds, and votes on disputed answers after running them again.

``python -m koinon.services.verification.juror CONFIG.json``; see `process.run_config`. Fields: ``data_dir``
and ``stake`` (in the coin's smallest unit; 0 leaves the stake as it is).
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import KoinonError, TransactionFailed
from koinon.process import Say
from koinon.services.verification.casebook import Casebook
from koinon.services.verification.contract import Verification
from koinon.services.verification.evidence import Asker
from koinon.services.verification.judging import Judge, Judgment
from koinon.services.verification.process import run_config
from koinon.services.verification.rerun import Rerunner
from koinon.works.bonds import Bonds
from koinon.works.committee import Case, Committee, Phase, Vote

KEPT, COMMITTED, REVEALED = 0, 1, 2
PATIENCE: Final = 3
"""Who does not show an answer is asked again until one part in so many of the time to vote is left."""


class Juror:
    """See the top of this file.

    Parameters
    ----------
    chain : Chain
    account : Account
    casebook : Casebook
    stake : int
        What it stakes, in the coin's smallest unit.
    judge : Judge, optional
        Who decides; a `Judge` with the sandbox when not given.
    """

    def __init__(
        self,
        chain: Chain,
        account: Account,
        casebook: Casebook,
        *,
        stake: int = 0,
        judge: Judge | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self._chain, self._account, self._book, self._stake, self._say = chain, account, casebook, stake, say
        self._committee, self._bonds = Committee(chain), Bonds(chain)
        self._verification, self._asker = Verification(chain), Asker()
        self._judge = judge or Judge(self._verification, self._asker, Rerunner())
        self._closed: set[int] = set()

    def ready(self) -> dict[str, Any]:
        return {"account": self._account.address}

    def close(self) -> None:
        self._asker.close()
        self._book.close()

    def step(self) -> None:
        """Do what this phase and the open cases ask for."""
        epoch, phase, _ = self._committee.moment("pending")
        now = self._chain.next_timestamp()
        if phase is Phase.STAKES:
            self._keep_stake()
        cases = self._open_cases()
        waiting = [case for case in cases.values() if not case.drawn_epoch and case.first_epoch <= epoch]
        if phase is Phase.COMMIT_SEEDS and waiting:
            self._commit_seed(epoch)
        if phase is Phase.REVEAL_SEEDS:
            self._reveal_seed(epoch)
        for case_id, case in cases.items():
            if case.drawn_epoch:
                self._try(lambda number=case_id: self._serve(number, now))
            elif phase is Phase.DRAW and case.first_epoch <= epoch:
                self._try(lambda number=case_id: self._committee.draw(self._account, number))
            elif now > case.deadline:
                self._try(lambda number=case_id: self._committee.give_up(self._account, number))
        if self._committee.credit(self._account.address):
            self._try(lambda: self._committee.collect(self._account, self._account.address))

    def _keep_stake(self) -> None:
        juror = self._committee.juror(self._account.address)
        if juror.stake < self._stake and juror.locked == 0:
            self._committee.stake(self._account, self._stake - juror.stake)
        elif juror.weight != juror.stake:
            self._try(
                lambda: self._chain.sender(self._account).send(
                    self._committee.contract.transaction("update_weight", self._account.address)
                )
            )

    def _open_cases(self) -> dict[int, Case]:
        found = {}
        for case_id in range(1, self._committee.case_count() + 1):
            if case_id in self._closed:
                continue
            case = self._committee.case(case_id)
            if case.closed:
                self._closed.add(case_id)
            else:
                found[case_id] = case
        return found

    # --- seeds -------------------------------------------------------------------------------------------

    def _commit_seed(self, epoch: int) -> None:
        if self._book.seed(epoch) is None:
            self._book.keep_seed(epoch, secrets.token_bytes(32), secrets.token_bytes(32))
        found = self._book.seed(epoch)
        assert found is not None  # noqa: S101  (just kept)
        secret, salt, state = found
        if state == KEPT and self._committee.juror(self._account.address).weight:
            self._try(lambda: self._committee.commit_seed(self._account, epoch, secret, salt))
            self._book.seed_is(epoch, COMMITTED)

    def _reveal_seed(self, epoch: int) -> None:
        found = self._book.seed(epoch)
        if found is None or found[2] == REVEALED:
            return
        secret, salt, _ = found  # one that was KEPT may be on chain: its process ended before it could say so
        self._try(lambda: self._committee.reveal_seed(self._account, secret, salt))
        self._book.seed_is(epoch, REVEALED)

    # --- votes -------------------------------------------------------------------------------------------

    def _serve(self, case_id: int, now: int) -> None:
        commits, reveals = self._committee.vote_times(case_id)
        if now >= reveals:
            self._try(lambda: self._committee.conclude(self._account, case_id))
            return
        if not self._committee.seats(case_id, self._account.address):
            return
        if now < commits:
            self._commit_vote(case_id, patient=commits - now > self._committee.rules().phase_s // PATIENCE)
        else:
            self._reveal_vote(case_id)

    def _commit_vote(self, case_id: int, *, patient: bool) -> None:
        kept = self._book.vote(case_id)
        if kept is None:
            judgment = self._decide(case_id)
            if judgment is None or (judgment.provisional and patient):
                return
            self._book.keep_vote(case_id, judgment.vote, judgment.why, secrets.token_bytes(32))
            kept = self._book.vote(case_id)
        assert kept is not None  # noqa: S101  (just kept)
        vote, why, salt, state = kept
        if state == KEPT:
            self._committee.commit_vote(self._account, case_id, Vote(vote), salt)
            self._book.vote_is(case_id, COMMITTED)
            self._say({"event": "voted", "case_id": case_id, "vote": Vote(vote).name.lower(), "why": why})

    def _decide(self, case_id: int) -> Judgment | None:
        """The judgment on a case; None about challenges that are nobody's business here."""
        challenge_id = self._committee.case(case_id).challenge_id
        dispute = self._verification.dispute_about(challenge_id)
        if dispute is not None:
            return self._judge.judge(dispute)
        try:
            self._verification.promise_of(self._bonds.challenge_of(challenge_id).bond_id)
        except KoinonError:
            self._say({"event": "not for this juror", "case_id": case_id})
            return None
        return Judgment(Vote.DISMISS, "the challenger does not say what it is about")

    def _reveal_vote(self, case_id: int) -> None:
        kept = self._book.vote(case_id)
        if kept is None or kept[3] == REVEALED:
            return
        vote, _, salt, state = kept
        me = self._account.address
        if state == KEPT and not self._committee.has_sealed_vote(case_id, me):
            return
        if not self._committee.has_voted(case_id, me):
            self._committee.reveal_vote(self._account, case_id, Vote(vote), salt)
        self._book.vote_is(case_id, REVEALED)

    def _try(self, act: Any) -> None:
        """Do what others may have done first, or what must wait: a refusal is no fault."""
        try:
            act()
        except TransactionFailed as refused:
            self._say({"event": "refused", "reason": refused.message})


def make(chain: Chain, key: Account, config: dict[str, Any], say: Say) -> Juror:
    """The juror that a configuration describes."""
    casebook = Casebook(Path(config.pop("data_dir")) / "juror.sqlite")
    return Juror(chain, key, casebook, stake=int(config.pop("stake", 0)), say=say, **config)


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[1]), make))
