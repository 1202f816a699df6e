# SPDX-License-Identifier: Apache-2.0
"""Disputes from an answer to the verdict: a provider that lies, hides or leaves out, a challenger that lies,
a minority of jurors that lies, and processes that are killed in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import BadInput, NotFound, PeerError, SetupError
from koinon.services.verification.checking import summary
from koinon.services.verification.clerk import SKEW_S
from koinon.services.verification.contract import BatchVerdict, Claim, Dispute, Reason
from koinon.services.verification.evidence import Asker, Place
from koinon.services.verification.judging import Judge, Judgment
from koinon.services.verification.stake import least_stake
from koinon.works.bonds import Outcome
from koinon.works.committee import Vote
from tests.services.verification.court import COIN, PRICE, STAKE, WINDOW_S, Court

FEE = 25 * COIN
"""Of a case before the development network's committee; also what its challengers stake."""


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")


@pytest.fixture(scope="module")
def bench() -> list[Key]:
    return []


@pytest.fixture
def court(
    own_chain: Chain, own_account: Callable[..., Key], tmp_path: Path, bench: list[Key]
) -> Iterator[Court]:
    made = Court(own_chain, tmp_path, own_account, bench)
    yield made
    made.close()


JURORS = 4


def full(court: Court) -> None:
    for _ in range(JURORS):
        court.juror()


def settled(court: Court) -> Callable[[], bool]:
    return lambda: bool(court.heard("settled"))


def test_a_liar_loses_its_stake_and_the_verdict_is_in_the_registry(court: Court) -> None:
    full(court)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    honest = court.answered(pledge, 5_000)
    court.answered(pledge, 6_000, b"99.0")
    clerk.step()
    (batch,) = court.heard("submitted")
    hunter = court.rich()
    before = court.coins(hunter)
    court.challenger(bonded, key=hunter)
    court.until(settled(court))
    assert court.bonds.bond(bonded.bond_id).amount == 0
    assert court.coins(hunter) == before - FEE + STAKE // 2
    (verdict,) = court.checking.verdicts(court.work_id)
    assert (verdict.request.hex(), verdict.response, verdict.tag) == (batch["request"], 0, "reexec:hard")
    assert verdict.final
    assert not verdict.kept
    assert summary([verdict]) == {"reexec:hard": 1, "broken": 1}
    place = court.asker.place(clerk.url, honest.answer.digest(court.verification.domain))
    place.check(court.verification.batch(verdict.request), honest.answer.digest(court.verification.domain))
    pledge.close()


def test_an_honest_provider_passes_softly_and_keeps_its_stake(court: Court) -> None:
    bonded = court.bonded()
    pledge, _ = court.pledge(), court.clerk(bonded)
    court.challenger(bonded)
    for income in (1_000, 2_000, 3_000):
        court.answered(pledge, income)
    court.step()
    court.step()
    assert court.heard("audited")[0]["answers"] == 3
    court.wait(WINDOW_S + SKEW_S)
    court.step()
    (verdict,) = court.checking.verdicts(court.work_id)
    assert (verdict.response, verdict.tag, verdict.final) == (100, "reexec:soft", False)
    assert court.bonds.bond(bonded.bond_id).amount == STAKE
    assert not court.heard("disputed")
    pledge.close()


def test_a_challenger_that_lies_loses_its_stake(court: Court) -> None:
    full(court)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    answer = court.answered(pledge, 5_000)
    clerk.step()
    liar = court.rich()
    before = court.coins(liar)
    challenger = court.challenger(bonded, key=liar, audit_rate=1e-12)
    placed = replace(
        answer, place=court.asker.place(clerk.url, answer.answer.digest(court.verification.domain))
    )
    challenger.accuse_answer(placed, Reason.WRONG)
    provider = court.coins(court.provider)
    court.until(settled(court))
    assert court.heard("settled")[0]["outcome"] == "dismissed"
    assert court.coins(liar) == before - FEE - FEE
    assert court.bonds.credit(court.provider.address) == FEE
    assert court.coins(court.provider) == provider
    assert court.bonds.bond(bonded.bond_id).amount == STAKE
    (verdict,) = court.checking.verdicts(court.work_id)
    assert (verdict.response, verdict.tag) == (100, "reexec:hard")
    pledge.close()


class Contrary:
    """Judges the other way round where it has the fewest seats of all that serve: a minority, always."""

    def __init__(self, court: Court, honest: Judge) -> None:
        self.court, self.honest, self.account, self.lied = court, honest, "", False

    def judge(self, dispute: Dispute) -> Judgment:
        found = self.honest.judge(dispute)
        committee = self.court.committee
        jurors = committee.contract.call("jurors_of", dispute.case_id)
        seats = {each: committee.seats(dispute.case_id, each) for each in jurors}
        few = min(seats, key=lambda each: (seats[each], each))
        if self.account != few or 2 * seats[few] > sum(seats.values()):
            return found
        self.lied = True
        return Judgment(Vote.DISMISS if found.vote is Vote.UPHOLD else Vote.UPHOLD, "a lie")


def test_a_minority_of_jurors_that_lies_changes_nothing_and_pays_for_it(court: Court) -> None:
    liars = []
    for _ in range(JURORS):
        liar = Contrary(court, court.judge())
        juror = court.juror(liar)
        liar.account = juror.ready()["account"]
        liars.append(liar)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000, b"0.0")
    clerk.step()
    court.challenger(bonded)
    court.until(settled(court))
    assert court.heard("settled")[0]["outcome"] == "upheld"
    for liar in liars:
        lost = court.committee.juror(liar.account).stake < 1_000 * COIN
        assert lost == liar.lied
    pledge.close()


def test_a_provider_that_does_not_show_its_answers_loses_its_stake(court: Court) -> None:
    full(court)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000)
    clerk.step()
    court.clerks.remove(clerk)
    clerk.close()
    court.challenger(bonded)
    court.until(settled(court))
    assert court.heard("disputed")[0]["reason"] == "withheld"
    assert court.bonds.bond(bonded.bond_id).amount == 0
    assert court.checking.verdicts(court.work_id)[0].response == 0
    pledge.close()


def test_who_says_it_was_not_shown_what_is_shown_loses_its_stake(court: Court) -> None:
    full(court)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000)
    clerk.step()
    (batch,) = court.heard("submitted")
    challenger = court.challenger(bonded, audit_rate=1e-12)
    claim = Claim(bytes.fromhex(batch["request"]), Reason.WITHHELD, 0, bytes(32), "")
    challenger.accuse(bonded.bond_id, claim, None)
    court.until(settled(court))
    assert court.heard("settled")[0]["outcome"] == "dismissed"
    assert court.bonds.bond(bonded.bond_id).amount == STAKE
    pledge.close()


def test_a_provider_that_leaves_a_signed_answer_out_of_every_batch_loses_its_stake(court: Court) -> None:
    full(court)
    bonded = court.bonded()
    pledge = court.pledge()
    answer = court.answered(pledge, 5_000, b"0.0")
    clerk = court.clerk(bonded, batch_every_s=10 * WINDOW_S)
    caller = court.challenger(bonded)
    caller.accuse_answer(answer, Reason.LEFT_OUT)
    court.wait(WINDOW_S)
    court.until(settled(court))
    assert court.heard("settled")[0]["outcome"] == "upheld"
    (verdict,) = court.checking.verdicts(court.work_id)
    assert verdict.request == clerk.promise.request
    assert verdict.response == 0
    pledge.close()


def test_a_caller_disputes_a_wrong_answer_before_it_is_in_a_batch(court: Court) -> None:
    full(court)
    bonded = court.bonded(audits="callers")
    pledge = court.pledge()
    court.clerk(bonded, batch_every_s=WINDOW_S)
    answer = court.answered(pledge, 5_000, b"0.0")
    court.challenger(bonded).accuse_answer(answer, Reason.WRONG)
    court.until(settled(court))
    assert court.bonds.bond(bonded.bond_id).amount == 0
    pledge.close()


def test_callers_only_means_that_auditors_see_nothing(court: Court) -> None:
    bonded = court.bonded(audits="callers")
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000)
    clerk.step()
    (batch,) = court.heard("submitted")
    request = bytes.fromhex(batch["request"])
    with pytest.raises(PeerError):
        court.asker.evidence(clerk.url, request, 0)
    court.challenger(bonded)
    court.step()
    assert not court.heard("disputed")
    judge = court.judge()
    dispute = Dispute(1, request, bonded.bond_id, 1, Reason.WITHHELD, 0, bytes(32), "")
    assert judge.judge(dispute).vote is Vote.DISMISS
    pledge.close()


def test_evidence_that_is_a_lie_is_dismissed(court: Court) -> None:
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    answer, other = court.answered(pledge, 5_000), court.answered(pledge, 6_000, b"0.0")
    clerk.step()
    (batch,) = court.heard("submitted")
    request, domain = bytes.fromhex(batch["request"]), court.verification.domain
    shown = court.asker.evidence(clerk.url, request, 0)
    details, file = clerk.show(f"/details/{bonded.details[2:]}"), court.source.read_bytes()
    whole = replace(shown, details=details, file=file)
    wrong = court.asker.evidence(clerk.url, request, 1)
    assert wrong.place is not None
    digest, judged = answer.answer.digest(domain), 0
    lies = {
        "another output": replace(whole, result=b"0.0"),
        "another input": replace(whole, body=b'{"income": 1}'),
        "another answer": replace(wrong, details=details, file=file),
        "another place": replace(whole, place=wrong.place),
        "no place": replace(whole, place=None),
        "a place beyond": replace(whole, place=Place(request, 7, wrong.place.proof)),
        "unsigned": replace(whole, answer=replace(whole.answer, number=9)),
        "other details": replace(whole, details=details + b" "),
        "another file": replace(whole, file=file + b"#"),
    }
    asker = _Told()
    judge = court.judge(asker)
    for name, lie in lies.items():
        asker.evidence_told = lie
        dispute = Dispute(1, request, bonded.bond_id, 1, Reason.WRONG, 0, digest, "http://x")
        found = judge.judge(dispute)
        assert found.vote is Vote.DISMISS, name
        judged += 1
    assert judged == len(lies)
    asker.evidence_told = replace(wrong, details=details, file=file)
    right = Dispute(1, request, bonded.bond_id, 1, Reason.WRONG, 1, other.answer.digest(domain), "http://x")
    assert judge.judge(right).vote is Vote.UPHOLD
    asker.close()
    pledge.close()


class _Told(Asker):
    """Hears from challengers what the test says."""

    evidence_told: Any = None

    def evidence_at(self, uri: str) -> Any:
        return self.evidence_told


def test_a_challenger_killed_between_its_steps_goes_on_and_pays_once(court: Court) -> None:
    full(court)
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000, b"0.0")
    clerk.step()
    key = court.rich()
    first = court.challenger(bonded, key=key, url="http://127.0.0.1:9")
    first.step()
    (kept,) = first._book.claims("found")
    challenge = court.bonds.challenge(key, bonded.bond_id, court.verification.evidence_of(kept.claim))
    first.step()
    assert court.heard("disputed")[0]["challenge_id"] == challenge
    assert court.bonds.outcome(challenge) is Outcome.OPEN
    assert court.bonds.bond(bonded.bond_id).open_challenges == 1
    pledge.close()


def test_a_clerk_submits_though_nothing_else_happens_on_the_chain(court: Court) -> None:
    bonded = court.bonded()
    clerk = court.clerk(bonded)
    court.clerks[0]._clock = lambda: court.chain.timestamp() + 5
    pledge = court.pledge()
    pledge._clock = lambda: court.chain.timestamp() + 5
    court.answered(pledge, 5_000)
    clerk.step()
    assert len(court.heard("submitted")) == 1
    pledge.close()


def test_a_clerk_killed_between_writing_and_sending_sends_the_same_batch(court: Court) -> None:
    bonded = court.bonded()
    pledge, clerk = court.pledge(), court.clerk(bonded)
    court.answered(pledge, 5_000)
    sent = clerk._send
    clerk._send = lambda batch: None  # type: ignore[method-assign]
    clerk.step()
    clerk._send = sent  # type: ignore[method-assign]
    assert not court.heard("submitted")
    clerk.step()
    (batch,) = court.heard("submitted")
    assert court.verification.batch(bytes.fromhex(batch["request"])).verdict is BatchVerdict.NONE
    court.answered(pledge, 6_000)
    clerk._store.gather = _dies_after(clerk._store.gather)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        clerk.step()
    clerk.step()
    assert len(court.heard("submitted")) == 2
    pledge.close()


def _dies_after(call: Callable[..., None]) -> Callable[..., None]:
    def act(*arguments: Any) -> None:
        call(*arguments)
        raise RuntimeError("killed")

    return act


# --- the stake -------------------------------------------------------------------------------------------


def test_a_stake_that_does_not_deter_is_refused_before_anything_is_paid(court: Court) -> None:
    before = court.coins(court.provider)
    least = court.checking.least_stake(court.work_id, 0.05)
    assert least == least_stake(PRICE, 50_000, bounty_bps=5_000, fees=PRICE)
    with pytest.raises(BadInput) as refused:
        court.bonded(stake=least - 1, audit_rate=0.05)
    assert refused.value.code == "verification.stake"
    assert str(least) in refused.value.hint
    assert court.coins(court.provider) == before
    assert court.bonded(stake=least, audit_rate=0.05).covered == 1


def test_no_call_is_taken_that_the_stake_does_not_cover(court: Court) -> None:
    stake = court.checking.least_stake(court.work_id, 0.5, answers=2)
    bonded = court.bonded(stake=stake)
    pledge = court.pledge()
    assert bonded.covered == 2
    for income in (1_000, 2_000):
        pledge.admit(PRICE)
        court.answered(pledge, income)
    with pytest.raises(PeerError) as refused:
        pledge.admit(PRICE)
    assert refused.value.code == "verification.covered"
    with pytest.raises(PeerError) as refused:
        pledge.admit(PRICE + 1)
    assert refused.value.code == "verification.fee"
    court.clerk(bonded)
    court.step()
    court.wait(WINDOW_S + 1)
    pledge.admit(PRICE)
    pledge.close()


def test_a_promise_is_known_only_where_it_was_made(court: Court) -> None:
    with pytest.raises(NotFound):
        court.checking.clerk_config(1)
    with pytest.raises(NotFound):
        court.verification.promise_of(10**9)
    with pytest.raises(NotFound):
        court.verification.batch(bytes(32))
