# SPDX-License-Identifier: Apache-2.0
"""Deciding about a disputed answer, as a juror does, by running it again oneself.

The burden of showing lies with whoever claims: who says that an answer is wrong shows the answer, signed,
with input, output, details and file; who is said to withhold an answer, or to have left one out, shows it to
every juror that asks. What nobody can check (the rerun comes to no end, this machine lacks the runtime) is
not held against the provider; other jurors may know more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.contract import Dispute, Promise, Reason, Verification
from koinon.services.verification.details import Details, Runtime
from koinon.services.verification.evidence import Asker, Evidence
from koinon.services.verification.known import KnownAnswers
from koinon.works.committee import Vote


class Reruns(Protocol):
    """As `Rerunner.run`."""

    def run(self, runtime: Runtime, content: bytes, inputs: Sequence[bytes]) -> list[bytes | None]: ...


@dataclass(frozen=True)
class Judgment:
    """A vote and why. ``provisional`` where asking once more may change it."""

    vote: Vote
    why: str
    provisional: bool = False


class Judge:
    """Judges disputes.

    Parameters
    ----------
    verification : Verification
    asker : Asker
    rerunner : Rerunner
    """

    def __init__(self, verification: Verification, asker: Asker, rerunner: Reruns) -> None:
        self._verification, self._asker, self._rerunner = verification, asker, rerunner
        self._known = KnownAnswers(verification.chain)

    def judge(self, dispute: Dispute) -> Judgment:
        """The vote on a dispute. NodeUnavailable where the chain cannot be asked."""
        promise = self._verification.promise_of(dispute.bond_id)
        if dispute.reason is Reason.WITHHELD:
            return self._withheld(dispute, promise)
        try:
            evidence = self._shown(dispute, promise)
        except (PeerError, BadInput, IntegrityError) as error:
            why = f"the challenger shows no evidence: {error.message}"
            return Judgment(Vote.DISMISS, why, provisional=True)
        if dispute.reason is Reason.LEFT_OUT:
            return self._left_out(dispute, promise, evidence)
        if dispute.request != promise.request and self._known.is_plant(dispute.request, dispute.number):
            return Judgment(Vote.DISMISS, "it was planted, and exposed in time")
        return self._wrong(promise, evidence)

    def _shown(self, dispute: Dispute, promise: Promise) -> Evidence:
        """The challenger's evidence, checked to be about the disputed answer of this promise."""
        evidence = self._asker.evidence_at(dispute.uri)
        domain = self._verification.domain
        evidence.check(domain, promise.terms, dispute.bond_id)
        digest = evidence.answer.digest(domain)
        if digest != dispute.answer:
            raise IntegrityError("It is about another answer.", code="verification.evidence")
        if dispute.request != promise.request:
            if evidence.place is None or (evidence.place.request, evidence.place.position) != (
                dispute.request,
                dispute.number,
            ):
                raise IntegrityError("It is another place in a batch.", code="verification.membership")
            evidence.place.check(self._verification.batch(dispute.request), digest)
        return evidence

    def _wrong(self, promise: Promise, evidence: Evidence) -> Judgment:
        if hashlib.sha256(evidence.details).digest() != promise.terms.details:
            return Judgment(Vote.DISMISS, "the challenger shows other details than the promise's")
        try:
            details = Details.from_bytes(evidence.details)
        except BadInput:
            return Judgment(Vote.UPHOLD, "the promise's details cannot be read by anybody")
        if evidence.answer.runtime_digest != details.runtime.digest:
            return Judgment(Vote.UPHOLD, "the answer was computed by something else than promised")
        try:
            broken = self.is_wrong(details, evidence)
        except KoinonError as error:
            return Judgment(Vote.DISMISS, f"it could not be run again: {error.message}")
        if broken:
            return Judgment(Vote.UPHOLD, f"it breaks the rule {details.comparison}: {broken}")
        return Judgment(Vote.DISMISS, f"it keeps the rule {details.comparison}")

    def is_wrong(self, details: Details, evidence: Evidence) -> str:
        """What is wrong with an answer by its promise's rule; "" for nothing. It is run again twice, so that
        what only differs from itself is not held against anybody but its provider.

        Raises what `Rerunner.run` raises where it cannot be run again.
        """
        runs = self._rerunner.run(details.runtime, evidence.file, [evidence.body, evidence.body])
        faults = [broken(details.comparison, evidence.result, run) for run in runs]
        return faults[0] if all(faults) else ""

    def _withheld(self, dispute: Dispute, promise: Promise) -> Judgment:
        try:
            url = self._verification.uri_of(dispute.request)
            details = self._asker.details(url, promise.terms.details)
            if details.audits == "callers":
                return Judgment(Vote.DISMISS, "this provider shows answers to its callers only")
            evidence = self._asker.evidence(url, dispute.request, dispute.number)
            evidence.check(self._verification.domain, promise.terms, dispute.bond_id)
            check_place(self._verification, evidence, dispute.request, dispute.number)
        except (PeerError, BadInput, IntegrityError) as error:
            why = f"the provider does not show the answer: {error.message}"
            return Judgment(Vote.UPHOLD, why, provisional=True)
        return Judgment(Vote.DISMISS, "the provider shows the answer")

    def _left_out(self, dispute: Dispute, promise: Promise, evidence: Evidence) -> Judgment:
        deadline = evidence.answer.issued_at + promise.terms.window_s
        if self._verification.chain.next_timestamp() <= deadline:
            return Judgment(Vote.DISMISS, "the provider still has time to submit it")
        try:
            place = self._asker.place(self._verification.uri_of(promise.request), dispute.answer)
            batch = self._verification.batch(place.request)
            if batch.bond_id != dispute.bond_id:
                raise IntegrityError("It is in another promise's batch.", code="verification.membership")
            place.check(batch, dispute.answer)
        except KoinonError as error:
            return Judgment(Vote.UPHOLD, f"the answer is in no batch: {error.message}", provisional=True)
        if self._verification.submitted_at(batch) > deadline:
            return Judgment(Vote.UPHOLD, "the answer was submitted too late")
        return Judgment(Vote.DISMISS, "the answer is in a batch")


def check_place(verification: Verification, evidence: Evidence, request: bytes, number: int) -> None:
    """IntegrityError where an answer is not at this place of this batch."""
    place = evidence.place
    if place is None or (place.request, place.position) != (request, number):
        raise IntegrityError("It is another place in a batch.", code="verification.membership")
    place.check(verification.batch(request), evidence.answer.digest(verification.domain))


def broken(rule: Comparison, given: bytes, again: bytes | None) -> str:
    """How an answer breaks a rule; "" where it keeps it. ``again`` is None where running it gave no
    result, which no answer can be the same as."""
    if again is None:
        return "running it again gives no result"
    try:
        one, other = orjson.loads(given), orjson.loads(again)
    except ValueError:
        return "" if given == again else "it is not JSON"
    return "" if rule.same(one, other) else f"{given[:100]!r} against {again[:100]!r}"
