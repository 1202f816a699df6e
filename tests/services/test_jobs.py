# SPDX-License-Identifier: Apache-2.0
"""Commissioned work from end to end: prices settled, work handed in sealed, judged, told as feedback."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from koinon.chain.address import ZERO_ADDRESS
from koinon.errors import BadInput, IntegrityError, KeyFault, NotFound, PaymentError, TransactionFailed
from koinon.services.api import Services
from koinon.services.gateway.files import PublicFiles
from koinon.services.jobs.api import Commission, Jobs
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import JobStatus
from koinon.services.jobs.deliverable import LARGEST, handed_in
from koinon.store import cid_of, digest_of
from koinon.works.reputation import Reputation, by_trust
from tests.services.jobs_town import COIN, PRICE, TEXT, Parties

MAP = b"%PDF-1.7 a map of the harbour"


@pytest.fixture
def parties(chain, new_account, tmp_path):
    return Parties(chain, tmp_path, new_account)


def test_a_work_is_commissioned_paid_handed_in_and_accepted(parties):
    job_id = parties.commission()
    parties.provider.propose(job_id, PRICE)
    assert parties.client.fund(job_id) == PRICE
    digest = parties.provider.submit(job_id, MAP)
    assert parties.client.deliverable(job_id) == MAP
    assert digest == digest_of(cid_of(MAP)), "the chain names what anybody can fetch and check"
    assert parties.evaluator.accept(job_id, "The depths are right.") == PRICE
    job = parties.client.job(job_id)
    assert (job.status, job.provider, job.budget) == (JobStatus.COMPLETED, parties.work.till, PRICE)
    assert parties.coins(parties.work.till) == PRICE
    reason = parties.client.contract.reason(job_id)
    assert reason is not None
    assert parties.client.desk.reason(reason) == "The depths are right."


def test_a_private_deliverable_opens_for_its_client_alone(parties):
    job_id = parties.paid(private=True)
    parties.provider.submit(job_id, MAP)
    assert parties.client.deliverable(job_id) == MAP
    with pytest.raises(KeyFault):
        parties.stranger.deliverable(job_id)
    digest = parties.client.contract.deliverable(job_id)
    assert digest is not None
    assert MAP not in parties.client.desk.open(digest, Brief("anyone may read"))


def test_an_evaluator_whose_key_is_named_reads_it_too(parties):
    key = parties.evaluator.desk.identity().recipient
    job_id = parties.client.create(
        Commission(TEXT, 3_600, str(parties.work.work_id), private=True, readers=(key,))
    )
    parties.client.fund(job_id, PRICE)
    parties.provider.submit(job_id, MAP)
    assert parties.client.deliverable(job_id) == parties.evaluator.deliverable(job_id) == MAP


def test_one_that_should_be_sealed_and_is_not_is_found_out(parties):
    job_id = parties.paid(private=True)
    plain = parties.provider.desk.hand_in(MAP, Brief("as if nobody had asked"))
    parties.provider.contract.submit(parties.provider.acting, job_id, plain)
    with pytest.raises(IntegrityError):
        parties.client.deliverable(job_id)


def test_a_deliverable_nobody_has_is_said_so(parties):
    job_id = parties.paid()
    with pytest.raises(NotFound, match="Nothing was handed in"):
        parties.client.deliverable(job_id)
    parties.provider.contract.submit(parties.provider.acting, job_id, b"\x07" * 32)
    with pytest.raises(NotFound):
        parties.client.deliverable(job_id)
    assert parties.evaluator.reject(job_id, "There is nothing there.") == PRICE
    assert parties.coins(parties.client.acting.address) == 100 * COIN


def test_a_gateway_gives_out_what_was_handed_in_and_nothing_else(parties, chain):
    job_id = parties.paid()
    parties.provider.submit(job_id, MAP)
    secret = parties.client.store.put(b"my diary")
    notes = handed_in(parties.folder)
    assert not notes.exists()
    given = PublicFiles(chain, parties.client.store, parties.folder / "provider" / "handed")
    assert given(cid_of(MAP)) == MAP
    for cid in (secret, cid_of(b"nobody's")):
        with pytest.raises(NotFound):
            given(cid)


def test_a_price_that_changed_meanwhile_is_not_paid(parties):
    job_id = parties.commission()
    parties.client.propose(job_id, PRICE)
    parties.provider.propose(job_id, 2 * PRICE)
    with pytest.raises(PaymentError, match="were to be paid"):
        parties.client.fund(job_id, PRICE)
    job = parties.client.job(job_id)
    with pytest.raises(TransactionFailed, match="another budget"):  # and so says the chain
        parties.client.contract.fund(parties.client.acting, job, PRICE)
    assert parties.coins(parties.client.acting.address) == 100 * COIN


def test_what_cannot_be_paid_is_refused_in_words(parties):
    job_id = parties.client.create(Commission(TEXT, 3_600))
    with pytest.raises(BadInput, match="Nobody is named"):
        parties.client.fund(job_id, PRICE)
    parties.client.assign(job_id, parties.provider.acting.address)
    with pytest.raises(BadInput, match="already"):
        parties.client.assign(job_id, parties.stranger.acting.address)
    with pytest.raises(PaymentError):
        parties.client.fund(job_id)
    with pytest.raises(PaymentError, match="less than the price"):
        parties.client.fund(job_id, 101 * COIN)
    with pytest.raises(KeyFault):
        parties.stranger.fund(job_id, PRICE)
    with pytest.raises(BadInput, match="is open"):
        parties.provider.submit(job_id, MAP)


def test_a_funded_job_is_paid_once(parties):
    job_id = parties.paid()
    with pytest.raises(BadInput, match="is funded"):
        parties.client.fund(job_id, PRICE)
    assert parties.coins(parties.client.acting.address) == 95 * COIN


def test_only_the_parties_act_each_in_its_role(parties):
    job_id = parties.paid()
    for other in (parties.client, parties.evaluator, parties.stranger):
        with pytest.raises(KeyFault, match="does not do job"):
            other.submit(job_id, MAP)
    for other in (parties.client, parties.provider, parties.stranger):
        with pytest.raises(KeyFault, match="not the evaluator"):
            other.reject(job_id)
    parties.provider.submit(job_id, MAP)
    with pytest.raises(KeyFault, match="not the evaluator"):
        parties.provider.accept(job_id)
    with pytest.raises(BadInput, match="not expired"):
        parties.stranger.refund(job_id)
    looking = Jobs(parties.chain, parties.client.store, parties.folder / "nobody")
    with pytest.raises(KeyFault, match="Nobody acts"):
        looking.accept(job_id)


def test_an_open_job_is_called_off_by_its_client(parties):
    job_id = parties.commission()
    with pytest.raises(KeyFault, match="not the client"):
        parties.evaluator.reject(job_id)
    assert parties.client.reject(job_id, "No longer needed.") == 0
    with pytest.raises(BadInput, match="is rejected"):
        parties.client.fund(job_id, PRICE)


def test_everyone_sees_where_they_have_a_part(parties):
    job_id = parties.commission()
    for party in (parties.client, parties.provider, parties.evaluator):
        assert job_id in [job.job_id for job in party.mine()]
    assert job_id not in [job.job_id for job in parties.stranger.mine()]
    assert job_id in [job.job_id for job in parties.stranger.newest()]
    with pytest.raises(NotFound):
        parties.client.job(10**12)


def test_the_outcome_becomes_feedback_that_names_the_job(parties, chain):
    job_id = parties.paid()
    with pytest.raises(BadInput, match="no outcome"):
        parties.client.feedback(job_id)
    parties.provider.submit(job_id, MAP)
    parties.evaluator.accept(job_id, "Right.")
    index = parties.client.feedback(job_id, "A fine map.")
    given = list(Reputation(chain).read(parties.work.work_id, clients=[parties.client.acting.address]))
    assert [(each.index, each.value, each.tag1, each.tag2) for each in given] == [
        (index, 100, "job", "completed")
    ]
    event = chain.contract("Reputation").history("NewFeedback", agentId=parties.work.work_id)[0]
    told = json.loads(parties.client.store.get(event["feedbackURI"].removeprefix("ipfs://")))
    assert told["job"] == f"eip155:{chain.chain_id}:{chain.network.address('Jobs')}/{job_id}"
    assert (told["outcome"], told["price"], told["text"]) == ("completed", str(PRICE), "A fine map.")
    assert told["reason"] == f"ipfs://{cid_of(b'Right.')}"
    trust = by_trust({parties.client.acting.address: Fraction(1)})
    assert Reputation(chain).standing(parties.work.work_id, trust, tag1="job").mean == 100


def test_a_rejected_job_counts_against_the_work_and_nobody_else_may_say_so(parties, chain):
    job_id = parties.paid()
    parties.evaluator.reject(job_id, "Late.")
    for other in (parties.provider, parties.stranger):
        with pytest.raises(KeyFault, match="neither client nor evaluator"):
            other.feedback(job_id)
    parties.evaluator.feedback(job_id)
    given = list(Reputation(chain).read(parties.work.work_id, tag1="job"))
    assert [(each.client, each.value, each.tag2) for each in given] == [
        (parties.evaluator.acting.address, 0, "rejected")
    ]


def test_a_job_that_was_never_paid_or_done_by_no_work_tells_nothing(parties):
    called_off = parties.commission()
    parties.client.reject(called_off)
    plain = parties.client.create(Commission(TEXT, 3_600, parties.provider.acting.address))
    parties.client.fund(plain, PRICE)
    parties.client.reject(plain)  # its own evaluator
    for job_id in (called_off, plain):
        with pytest.raises(BadInput, match="no outcome"):
            parties.client.feedback(job_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "  "},
        {"text": "x" * 4_097},
        {"text": "a\0b"},
        {"text": "Do it\nSeal to: age1" + "q" * 58},
        {"lasts_s": 59},
        {"lasts_s": 10**9},
        {"provider": "nobody"},
        {"provider": "99999999"},
        {"evaluator": "0x12"},
        {"hook": "0x12"},
    ],
)
def test_what_makes_no_sense_is_not_commissioned(parties, wrong):
    before = parties.client.contract.count()
    with pytest.raises((BadInput, NotFound)):
        parties.client.create(Commission(**{"text": TEXT, "lasts_s": 3_600, **wrong}))
    assert parties.client.contract.count() == before


def test_a_hook_that_is_none_is_refused(parties):
    with pytest.raises(TransactionFailed, match="not a hook"):
        parties.commission(hook=parties.stranger.acting.address)


def test_nothing_and_too_much_are_not_handed_in(parties):
    job_id = parties.paid()
    for content, words in ((b"", "nothing to hand in"), (b"x" * (LARGEST + 1), "bytes")):
        with pytest.raises(BadInput, match=words):
            parties.provider.submit(job_id, content)
    assert parties.client.job(job_id).status is JobStatus.FUNDED


def test_a_description_by_anybody_is_read_as_it_is():
    brief = Brief.read("Draw\r\n\x00 <b>it</b>\nSeal to: age1wrong")
    assert (brief.readers, brief.private) == ((), False)
    assert brief.title == "Draw"
    assert Brief.read("").title == ""
    assert Brief.read("x" * 100).title == "x" * 79 + "…"
    sealed = Brief("Draw", ("age1" + "q" * 58, "age1" + "z" * 58))
    assert Brief.read(sealed.to_text()) == sealed
    for readers in (("age1",), ("age1" + "q" * 58,) * 9):
        with pytest.raises(BadInput, match="at most 8 readers"):
            Brief("Draw", readers).to_text()
    assert ZERO_ADDRESS not in sealed.to_text()


def test_the_services_front_door_leads_to_the_owners_jobs(parties, chain):
    key = parties.key(parties.provider)
    services = Services(chain, parties.client.store, parties.folder / "gateway", key)
    job_id = parties.paid()
    services.jobs.submit(job_id, MAP)
    assert handed_in(parties.folder).joinpath(cid_of(MAP)).is_file()
    assert parties.client.deliverable(job_id) == MAP
