# SPDX-License-Identifier: Apache-2.0
"""A challenger: samples answers of every promise, runs them again, and disputes what is wrong or not shown.

``python -m koinon.services.verification.challenger CONFIG.json``; see `process.run_config`. Fields:
``data_dir``, ``bonds`` (a list; every promise when left out), ``audit_rate`` (the promise's own when left
out), ``host``, ``port``, ``url`` (where jurors find the evidence), ``patience_s``, ``sponsors`` (for whose
known answers it attests).
"""

from __future__ import annotations

import random
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, PeerError, TransactionFailed
from koinon.process import Say
from koinon.services.verification.attesting import Attesting
from koinon.services.verification.casebook import Casebook, KeptClaim
from koinon.services.verification.contract import (
    ALL_OF_IT,
    SINK,
    Batch,
    Claim,
    Promise,
    Reason,
    Verification,
)
from koinon.services.verification.details import Details
from koinon.services.verification.evidence import Asker, Evidence
from koinon.services.verification.judging import Judge, Reruns, check_place
from koinon.services.verification.known import KnownAnswers
from koinon.services.verification.process import run_config
from koinon.services.verification.rerun import Rerunner
from koinon.services.verification.sampling import Audit, ChallengerOptions
from koinon.services.verification.showing import Showing
from koinon.services.verification.stake import BASIS, MILLION
from koinon.works.bonds import Bonds, Outcome
from koinon.works.committee import Committee

_UNKNOWN: Final = bytes(32)


class Challenger:
    """See the top of this file.

    Parameters
    ----------
    chain : Chain
    account : Account
        Who stakes on what it says.
    casebook : Casebook
    options : ChallengerOptions
    rerunner : Rerunner
    rng : random.Random
        Which answers are sampled: nobody else may foresee it.
    clock : callable
        Seconds, for patience.
    """

    def __init__(
        self,
        chain: Chain,
        account: Account,
        casebook: Casebook,
        options: ChallengerOptions,
        *,
        rerunner: Reruns | None = None,
        rng: random.Random | None = None,
        say: Say = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain, self._account, self._book, self._options = chain, account, casebook, options
        self._verification, self._bonds = Verification(chain), Bonds(chain)
        self._committee, self._known = Committee(chain), KnownAnswers(chain)
        self._asker = Asker()
        self._rerunner = rerunner or Rerunner()
        self._attesting = Attesting(chain, account, casebook, options.sponsors, say=say)
        self._judge = Judge(self._verification, self._asker, self._rerunner)
        self._rng, self._say, self._clock = rng or random.SystemRandom(), say, clock
        self._seen: dict[int, int] = {}
        self._audits: list[Audit] = []
        self._showing = Showing(self._show, host=options.host, port=options.port)
        self.url = options.url or self._showing.url

    def ready(self) -> dict[str, Any]:
        return {"url": self.url, "account": self._account.address}

    def close(self) -> None:
        self._showing.close()
        self._asker.close()
        self._book.close()

    def step(self) -> None:
        """Find new batches, audit, attest, dispute, and see disputes to their end."""
        for claim in self._book.claims("disputed"):
            self._follow(claim)
        busy = {claim.bond_id for claim in self._book.claims("disputed")}
        for claim in self._book.claims("found"):  # each asks for the whole stake: one at a time is enough
            if claim.bond_id not in busy and not self._may_be_planted(claim):
                busy.add(claim.bond_id)
                self._dispute(claim)
        for bond_id in self._options.bonds or self._every_bond():
            self._look_for_batches(bond_id)
        self._audits = [audit for audit in self._audits if not self._audit(audit)]
        self._attesting.step()

    def accuse(self, bond_id: int, claim: Claim, evidence: Evidence | None) -> None:
        """Take up a claim of one's own, a caller's say: the next steps dispute it."""
        shown = b"" if evidence is None else orjson.dumps(evidence.to_json())
        self._book.find(bond_id, claim._replace(uri=self._name()), shown)

    def accuse_answer(self, evidence: Evidence, reason: Reason) -> None:
        """Dispute an answer that one holds: `WRONG`, in its batch or outside any, or `LEFT_OUT`."""
        bond_id = evidence.answer.bond_id
        promise = self._verification.promise_of(bond_id)
        place = evidence.place if reason is Reason.WRONG else None
        request, number = (promise.request, 0) if place is None else (place.request, place.position)
        url = self._verification.uri_of(promise.request)
        details = self._asker.details(url, promise.terms.details)
        shown = Evidence(
            evidence.answer,
            evidence.body,
            evidence.result,
            place,
            details.to_bytes(),
            self._asker.file(url, details),
        )
        digest = evidence.answer.digest(self._verification.domain)
        self.accuse(bond_id, Claim(request, reason, number, digest, ""), shown)

    # --- finding -----------------------------------------------------------------------------------------

    def _every_bond(self) -> list[int]:
        count = int(self._bonds.contract.call("bond_count"))
        found = []
        for bond_id in range(1, count + 1):
            if self._seen.get(bond_id) == -1:
                continue
            try:
                self._verification.promise_of(bond_id)
            except NotFound:
                if not self._may_promise(bond_id):
                    self._seen[bond_id] = -1
                continue
            found.append(bond_id)
        return found

    def _may_promise(self, bond_id: int) -> bool:
        """Whether a bond that promises nothing yet still could: it names the committee and stands."""
        bond = self._bonds.bond(bond_id)
        return bond.judge == self._committee.contract.address and bond.amount > 0

    def _look_for_batches(self, bond_id: int) -> None:
        promise = self._verification.promise_of(bond_id)
        now = self._chain.next_timestamp()
        for position in range(self._seen.get(bond_id, promise.over), promise.batches):
            request = self._verification.batch_at(bond_id, position)
            batch = self._verification.batch(request)
            if batch.open_until > now and not self._book.looked_at(request):
                rate = self._options.audit_rate or promise.terms.audit_ppm / MILLION
                sample = self._attesting.sample(request, batch.count, rate)
                if sample is None:
                    sample = [number for number in range(batch.count) if self._rng.random() < rate]
                self._audits.append(Audit(request, self._clock(), sample))
            self._seen[bond_id] = position + 1

    # --- auditing ----------------------------------------------------------------------------------------

    def _audit(self, audit: Audit) -> bool:
        """Audit what is left of a sample; whether it is done with."""
        batch = self._verification.batch(audit.request)
        promise = self._verification.promise_of(batch.bond_id)
        if self._chain.next_timestamp() >= batch.open_until:
            return True
        url = self._verification.uri_of(audit.request)
        try:
            details = self._asker.details(url, promise.terms.details)
            file = self._asker.file(url, details)
        except KoinonError as error:
            return self._not_shown(audit, batch, promise, error)
        if details.audits == "callers":
            self._book.look(audit.request)
            return True
        shown: list[Evidence] = []
        missing: KoinonError | None = None
        for position in list(audit.positions):
            try:
                evidence = self._asker.evidence(url, audit.request, position)
                evidence.check(self._verification.domain, promise.terms, batch.bond_id)
                check_place(self._verification, evidence, audit.request, position)
            except (PeerError, BadInput, IntegrityError) as error:
                missing = error
                continue
            audit.positions.remove(position)
            shown.append(replace(evidence, details=details.to_bytes(), file=file))
        self._compare(audit, details, shown)
        if missing is not None:
            return self._not_shown(audit, batch, promise, missing)
        self._book.look(audit.request)
        self._say({"event": "audited", "request": audit.request.hex(), "answers": len(shown)})
        if not audit.not_run:
            self._attesting.checked(audit.request, audit.wrong)
        return True

    def _compare(self, audit: Audit, details: Details, shown: list[Evidence]) -> None:
        request = audit.request
        for evidence in shown:
            assert evidence.place is not None  # noqa: S101  (`check_place`)
            why = "it was computed by something else than promised"
            if evidence.answer.runtime_digest == details.runtime.digest:
                try:
                    why = self._judge.is_wrong(details, evidence)
                except KoinonError as error:
                    self._say({"event": "not run again", "request": request.hex(), **error.problem()})
                    audit.not_run = True
                    continue
            if why:
                digest = evidence.answer.digest(self._verification.domain)
                claim = Claim(request, Reason.WRONG, evidence.place.position, digest, "")
                audit.wrong.append(evidence.place.position)
                self._say({"event": "wrong", "request": request.hex(), "why": why})
                self.accuse(evidence.answer.bond_id, claim, evidence)

    def _not_shown(self, audit: Audit, batch: Batch, promise: Promise, why: KoinonError) -> bool:
        """Whether a provider that does not show an answer had its time; then it is disputed."""
        half = batch.open_until - promise.terms.window_s // 2
        patient = self._clock() - audit.since < self._options.patience_s
        if not audit.positions:
            return True
        if patient and self._chain.next_timestamp() < half:
            return False
        self._say({"event": "not shown", "request": audit.request.hex(), "why": why.message})
        self.accuse(
            batch.bond_id, Claim(audit.request, Reason.WITHHELD, audit.positions[0], _UNKNOWN, ""), None
        )
        self._book.look(audit.request)
        return True

    # --- disputing ---------------------------------------------------------------------------------------

    def _dispute(self, kept: KeptClaim) -> None:
        """Challenge, bring before the committee, and say what it is about, going on where it was left."""
        bond = self._bonds.bond(kept.bond_id)
        terms = self._verification.promise_of(kept.bond_id).terms
        challenge_id = kept.challenge_id or self._challenge_made(kept)
        if bond.amount == 0 and (challenge_id is None or not self._committee.case_on(challenge_id)):
            self._book.claim_is(kept.number, "over")
            return
        if challenge_id is None:
            evidence = self._verification.evidence_of(kept.claim)
            challenge_id = self._bonds.challenge(self._account, kept.bond_id, evidence)
        self._book.challenged(kept.number, challenge_id)
        if not self._committee.case_on(challenge_id):
            self._committee.open_case(
                self._account,
                challenge_id,
                amount=ALL_OF_IT,
                beneficiary=SINK,
                bounty=bond.amount * terms.bounty_bps // BASIS,
            )
        if self._verification.dispute_about(challenge_id) is None:
            self._verification.dispute(self._account, challenge_id, kept.claim)
        self._book.claim_is(kept.number, "disputed")
        self._say(
            {"event": "disputed", "challenge_id": challenge_id, "reason": kept.claim.reason.name.lower()}
        )

    def _may_be_planted(self, kept: KeptClaim) -> bool:
        """Whether a wrong answer is, or may yet prove to be, a plant, which is no lie."""
        claim = kept.claim
        if (
            claim.reason is not Reason.WRONG
            or claim.request == self._verification.promise_of(kept.bond_id).request
        ):
            return False
        if self._known.is_plant(claim.request, claim.number):
            self._book.claim_is(kept.number, "over")
            self._say({"event": "planted", "request": claim.request.hex(), "number": claim.number})
            return True
        return self._known.may_hold_plants(claim.request)

    def _challenge_made(self, kept: KeptClaim) -> int | None:
        """A challenge that was made before this process ended and could note it."""
        evidence = self._verification.evidence_of(kept.claim)
        made = self._bonds.contract.history("Challenged", bond_id=kept.bond_id)
        mine = [
            int(each["challenge_id"])
            for each in made
            if each["evidence"] == evidence and each["challenger"] == self._account.address
        ]
        return mine[0] if mine else None

    def _follow(self, kept: KeptClaim) -> None:
        assert kept.challenge_id is not None  # noqa: S101  (in this state)
        outcome = self._bonds.outcome(kept.challenge_id)
        if outcome is Outcome.OPEN:
            deadline = self._bonds.challenge_of(kept.challenge_id).deadline
            if self._chain.next_timestamp() <= deadline:
                return
            self._bonds.lapse(self._account, kept.challenge_id)
            outcome = Outcome.LAPSED
        if self._verification.is_open(kept.challenge_id):
            try:
                self._verification.settle(self._account, kept.challenge_id)
            except TransactionFailed:
                if self._verification.is_open(kept.challenge_id):
                    raise
        won = 0
        if self._bonds.credit(self._account.address):
            won = self._bonds.collect(self._account, self._account.address)
        self._book.claim_is(kept.number, "over")
        event = {"event": "settled", "challenge_id": kept.challenge_id, "outcome": outcome.name.lower()}
        self._say(event | {"collected": won})

    # --- showing -----------------------------------------------------------------------------------------

    def _name(self) -> str:
        return f"{self.url}/claims/{secrets.token_hex(16)}"

    def _show(self, path: str) -> bytes:
        found = None
        if path.startswith("/claims/") and path.removeprefix("/claims/").isalnum():
            found = self._book.shown(path.removeprefix("/claims/"))
        if not found:
            raise NotFound("There is nothing at this address.", code="verification.nothing_here")
        return found


def make(chain: Chain, key: Account, config: dict[str, Any], say: Say) -> Challenger:
    """The challenger that a configuration describes."""
    casebook = Casebook(Path(config.pop("data_dir")) / "challenger.sqlite")
    bonds = tuple(int(bond_id) for bond_id in config.pop("bonds", ()))
    sponsors = tuple(checksum(each) for each in config.pop("sponsors", ()))
    options = ChallengerOptions(bonds=bonds, sponsors=sponsors, **config)
    return Challenger(chain, key, casebook, options, say=say)


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[1]), make))
