# SPDX-License-Identifier: Apache-2.0
"""Compute jobs from order to result, and everything that must lose nobody's money."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.data import job_runner, job_server
from koinon.data.escrow import JobState
from koinon.data.jobs import Bundle, JobRequest, job_domain, job_name, open_result
from koinon.data.sealed_box import BoxKey, seal_to
from koinon.errors import (
    BadInput,
    IntegrityError,
    KeyFault,
    KoinonError,
    NotFound,
    PaymentError,
    PeerError,
    SetupError,
    TransactionFailed,
)
from koinon.works.terms import Use
from tests.data.market_support import COIN, MEAN_AGE, MEAN_SCHEMA, POLICY, VERDICT_SCHEMA, Market, verdict

SECOND = COIN // 100
LENIENT = POLICY.replace("[gate]", "[gate]\nallow_undeclared = true")


@pytest.fixture(scope="module")
def sandbox():
    """One for all tests here: that it isolates is tried once."""
    made = BubblewrapSandbox()
    try:
        made.check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    return made


@pytest.fixture
def market(chain, tmp_path, new_account, sandbox):
    return Market(chain, tmp_path, new_account, sandbox=sandbox)


@pytest.fixture
def lenient(chain, tmp_path, new_account, sandbox):
    """Where results without noise may leave, and so how a program ends is told."""
    return Market(chain, tmp_path, new_account, LENIENT, sandbox)


def refused(what, *arguments, **options):
    with pytest.raises(KoinonError) as refusal:
        what(*arguments, **options)
    return refusal.value.code


# ------------------------------------------------------------ the good way


def test_a_stranger_pays_for_a_run_and_gets_the_noised_result_alone(market):
    buyer = market.buyer()
    review = buyer.review(blocks=4)
    assert (review.grant_price, review.locked, review.quote.private) == (5 * COIN, 5 * SECOND, True)
    assert review.quote.noise == pytest.approx({"mean_age": 80 / 4 * math.log(20)}, rel=0.01)
    order = buyer.orders.buy(buyer.key, review)
    assert buyer.coins == 95 * COIN - 5 * SECOND
    assert buyer.orders.progress(order).word == "waiting"
    market.work()
    progress = buyer.orders.progress(order)
    assert progress.word == "released"
    files = buyer.orders.fetch(order)
    assert set(files) == {"result.json"}
    moved = json.loads(files["result.json"])["mean_age"] - market.kept.table.features[:, 1].mean()
    assert 0 < abs(moved) < 80 / 4 * 25  # further once in 7 * 10^10 times
    paid = progress.chain.paid
    assert 0 < paid <= 5 * SECOND
    assert buyer.coins == 95 * COIN - paid
    assert market.till == 5 * COIN + paid
    name = job_name(market.jobs.contract.address, order.job_id)
    assert market.budget.spent_by(market.work_id, name) == 1_000_000


def test_a_second_job_needs_no_second_grant(market):
    buyer = market.buyer()
    buyer.buy()
    before = buyer.coins
    review = buyer.review()
    assert review.grant_price == 0
    buyer.orders.buy(buyer.key, review)
    assert buyer.coins == before - 5 * SECOND


def test_the_result_stays_readable_without_the_node_and_only_with_the_buyers_key(market):
    buyer = market.buyer()
    order = buyer.buy()
    market.work()
    sealed = market.desk.result(order.job_id)
    files = buyer.orders.fetch(order)
    market.desk = None
    assert buyer.orders.fetch(order) == files
    domain = job_domain(market.chain.chain_id, market.jobs.contract.address)
    wanted = hashlib.sha256(sealed).digest()
    with pytest.raises(IntegrityError):
        open_result(sealed, BoxKey.generate(), domain, order.job_id, wanted, set(files))
    with pytest.raises(IntegrityError):
        open_result(sealed + b"x", BoxKey.generate(), domain, order.job_id, wanted, set(files))


def test_nothing_tells_that_a_program_ended_before_its_slot(market):
    buyer = market.buyer()
    first, second = buyer.buy(), buyer.buy()
    assert market.runner.run_next()
    assert market.runner.tell_due() == 0
    assert not market.runner.run_next()
    assert [buyer.orders.progress(order).word for order in (first, second)] == ["running", "waiting"]
    assert market.jobs.job(first.job_id).state is JobState.OPEN
    assert refused(market.desk.result, first.job_id) == "data.no_result"
    found = market.journal.find(first.job_id)
    assert found.tell_at >= found.started_at + 5
    market.pass_time(10)
    assert market.runner.tell_due() == 1
    assert market.runner.run_next()


# ------------------------------------------------------------ refused before money moves


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"seconds": 21}, "data.max_seconds"),
        ({"blocks": 17}, "data.blocks"),
        ({"schema": MEAN_SCHEMA.replace("epsilon = 1.0", "epsilon = 3.0")}, "gate.budget"),
        ({"schema": VERDICT_SCHEMA}, "gate.sensitivity"),
        ({"schema": "garbage ["}, "gate.declaration"),
        ({"schema": MEAN_SCHEMA + "#" * 70_000}, "data.schema_size"),
    ],
)
def test_what_the_owner_does_not_allow_costs_nothing(market, change, code):
    buyer = market.buyer()
    options = {"program": MEAN_AGE, "schema": MEAN_SCHEMA} | change
    assert refused(buyer.review, options.pop("program"), options.pop("schema"), **options) == code
    assert buyer.coins == 100 * COIN


def test_a_program_that_is_not_on_the_list_costs_nothing(chain, tmp_path, new_account, sandbox):
    allowed = Bundle({"main.py": MEAN_AGE.encode()})
    policy = POLICY.replace("max_seconds = 20", f'max_seconds = 20\nalgorithms = ["{allowed.digest.hex()}"]')
    market = Market(chain, tmp_path, new_account, policy, sandbox)
    buyer = market.buyer()
    assert buyer.review().quote.epsilon == 1.0
    assert refused(buyer.review, MEAN_AGE + "\n# and more") == "data.algorithm_not_allowed"
    assert buyer.coins == 100 * COIN


def test_where_the_host_cannot_isolate_nothing_is_paid_and_the_reason_is_told(chain, tmp_path, new_account):
    market = Market(chain, tmp_path, new_account, sandbox=BubblewrapSandbox(bubblewrap="no-such-bubblewrap"))
    buyer = market.buyer()
    with pytest.raises(PeerError, match="needs bubblewrap, which was not found"):
        buyer.review()
    with pytest.raises(SetupError):
        market.desk.check(
            {
                "work_id": market.work_id,
                "buyer": buyer.key.address,
                "program": buyer.asked().program.to_fields(),
                "schema": MEAN_SCHEMA,
                "blocks": 1,
                "max_seconds": 1,
            }
        )
    assert buyer.coins == 100 * COIN


def test_packages_that_the_owner_does_not_have_cost_nothing(market, tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "main.py").write_text(MEAN_AGE)
    (folder / "requirements.txt").write_text(f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    buyer = market.buyer()
    asked = replace(buyer.asked(), program=Bundle.read(folder))
    assert refused(buyer.orders.review, "http://node.example", asked) == "sandbox.packages"


def test_a_budget_that_is_used_up_costs_nothing_and_counts_what_waits(market):
    buyer = market.buyer()
    for _ in range(4):
        buyer.buy(schema=MEAN_SCHEMA.replace("epsilon = 1.0", "epsilon = 2.0"))
    assert buyer.review().quote.epsilon == 1.0
    with pytest.raises(PaymentError, match="epsilon 1 left; this job spends 2"):
        buyer.review(schema=MEAN_SCHEMA.replace("epsilon = 1.0", "epsilon = 2.0"))
    market.work()
    assert market.budget.of(market.work_id).left == 1_000_000


def test_somebody_else_who_says_he_is_the_node_gets_no_money(market):
    buyer = market.buyer()
    market.desk.admission.operator = Key.generate().address
    assert refused(buyer.review) == "data.other_node"
    assert buyer.coins == 100 * COIN


def test_who_has_too_little_buys_no_grant_either(market):
    buyer = market.buyer(coins=5 * COIN)
    assert refused(buyer.buy) == "data.too_little"
    assert buyer.coins == 5 * COIN


# ------------------------------------------------------------ hostile buyers


def request_of(market, signer, order, **changes):
    """What the buyer sent, with changes, signed by ``signer``."""
    job = market.jobs.job(order.job_id)
    made = JobRequest(
        order.job_id, order.work_id, order.buyer, job.algorithm, job.schema, 1, BoxKey.generate().public
    )
    return replace(made, **changes).sign(
        signer.key, job_domain(market.chain.chain_id, market.jobs.contract.address)
    )


def sent(request, program=MEAN_AGE, schema=MEAN_SCHEMA):
    bundle = Bundle({"main.py": program.encode()})
    return {"request": request.to_fields(), "program": bundle.to_fields(), "schema": schema}


def unsent_order(buyer):
    """An order on chain that the node has never heard of."""
    review = buyer.review()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(buyer.orders, "submit", lambda _buyer, order: order)
        return buyer.orders.buy(buyer.key, review)


def test_without_a_grant_nothing_can_be_ordered(market):
    buyer = market.buyer()
    with pytest.raises(KoinonError, match="no grant"):
        market.jobs.order(
            buyer.key,
            market.work_id,
            algorithm=bytes([1]) * 32,
            schema=bytes([2]) * 32,
            price_per_second=SECOND,
            max_seconds=1,
            deadline=market.chain.timestamp() + 1000,
        )


def test_a_grant_that_was_given_up_after_ordering_is_refused_and_refunded(market):
    buyer = market.buyer()
    order = unsent_order(buyer)
    market.terms.surrender(buyer.key, market.work_id, Use.COMPUTE)
    order = buyer.orders.submit(buyer.key, order)
    assert "no running grant" in order.why
    market.work()
    progress = buyer.orders.progress(order)
    assert (progress.word, progress.chain.paid) == ("refused", 0)
    assert buyer.coins == 95 * COIN
    assert market.budget.of(market.work_id).spent == 1_000_000


def test_a_job_of_somebody_else_cannot_be_taken_over(market):
    buyer, thief = market.buyer(), market.buyer()
    order = unsent_order(buyer)
    stolen = request_of(market, thief, order, buyer=thief.key.address)
    assert refused(market.desk.submit, sent(stolen)) == "data.other_job"
    forged = request_of(market, thief, order)
    with pytest.raises(KeyFault):
        market.desk.submit(sent(forged))
    assert market.journal.find(order.job_id) is None


def test_a_request_that_is_sent_again_changes_nothing_and_another_one_is_refused(market):
    buyer = market.buyer()
    order = buyer.buy()
    before = market.journal.find(order.job_id)
    buyer.orders.submit(buyer.key, order)
    assert market.journal.find(order.job_id) == before
    other = request_of(market, buyer, order)
    assert refused(market.desk.submit, sent(other)) == "data.job_known"
    market.work()
    buyer.orders.submit(buyer.key, order)
    assert market.journal.next() is None
    assert market.budget.of(market.work_id).spent == 2_000_000


def test_an_ended_job_is_not_run_by_a_node_that_never_had_it(market):
    buyer = market.buyer()
    order = unsent_order(buyer)
    market.jobs.deliver(market.owner, order.job_id, JobState.FAILED)
    assert refused(buyer.orders.submit, buyer.key, order) == "data.job_over"


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        [],
        {},
        {"request": {}},
        {"request": "no", "program": {}, "schema": ""},
        {"request": None, "program": None, "schema": None},
    ],
)
def test_garbage_is_named_and_nothing_else(market, garbage):
    with pytest.raises(BadInput):
        market.desk.submit(garbage)
    with pytest.raises(BadInput):
        market.desk.check(garbage)


def test_another_program_than_ordered_is_not_run_and_the_right_one_still_is(market):
    buyer = market.buyer()
    order = unsent_order(buyer)
    request = request_of(market, buyer, order)
    assert refused(market.desk.submit, sent(request, MEAN_AGE + "#")) == "data.other_program"
    assert refused(market.desk.submit, sent(request, schema=VERDICT_SCHEMA)) == "data.other_program"
    programs: tuple[Any, ...] = ({"main.py": "!"}, {"../main.py": ""}, {"a.py": ""}, [], None)
    for program in programs:
        with pytest.raises(BadInput):
            market.desk.submit(sent(request) | {"program": program})
    buyer.orders.submit(buyer.key, order)
    market.work()
    assert buyer.orders.progress(order).word == "released"


def test_an_order_below_the_price_is_refused_and_refunded(market):
    buyer = market.buyer()
    review = buyer.review()
    cheap = replace(review, quote=replace(review.quote, price_per_second=SECOND - 1))
    order = buyer.orders.buy(buyer.key, cheap)
    assert "the order offers less" in order.why
    market.work()
    assert buyer.coins == 95 * COIN


# ------------------------------------------------------------ programs that fail


def test_how_a_program_fails_where_noise_is_for_every_program_is_never_told(market):
    buyer = market.buyer()
    order = buyer.buy("raise SystemExit('row 7 is there')")
    market.work()
    assert buyer.orders.progress(order).word == "released"
    assert "row 7" not in buyer.orders.fetch(order)["result.json"].decode()
    assert "row 7" not in orjson.dumps(market.desk.state(order.job_id)).decode()


@pytest.mark.parametrize(
    ("program", "word"),
    [
        (verdict("raise ValueError('the rows')"), "failed"),
        (verdict("time.sleep(30)"), "failed"),
        (verdict("import socket; socket.socket()"), "failed"),
        (verdict("open('/etc/passwd').read()"), "failed"),
        (verdict("").replace('"yes"', '"perhaps"'), "refused"),
        (verdict("open(sys.argv[2] + '/more', 'w').write('rows')"), "refused"),
    ],
)
def test_a_program_that_gives_no_result_costs_nothing_but_epsilon(lenient, program, word):
    buyer = lenient.buyer()
    order = buyer.buy(program, VERDICT_SCHEMA, seconds=2)
    lenient.work()
    assert buyer.orders.progress(order).word == word
    assert refused(buyer.orders.fetch, order) == "data.no_result"
    assert buyer.coins == 95 * COIN
    assert lenient.till == 5 * COIN
    assert lenient.budget.of(lenient.work_id).spent == 1_100_000
    assert buyer.orders.progress(order).order.why == ""


def test_a_program_over_its_time_pays_for_what_was_ordered_at_most(market):
    buyer = market.buyer()
    order = buyer.buy("import time\ntime.sleep(60)", seconds=1)
    market.work()
    progress = buyer.orders.progress(order)
    assert (progress.word, progress.chain.seconds) == ("released", 1)
    assert buyer.coins == 95 * COIN - SECOND


def test_a_buyer_whose_jobs_keep_failing_is_not_served_any_more(chain, tmp_path, new_account, sandbox):
    market = Market(chain, tmp_path, new_account, LENIENT + "failures = 2\n", sandbox)
    buyer = market.buyer()
    for _ in range(2):
        buyer.buy("raise SystemExit(1)", VERDICT_SCHEMA, seconds=1)
        market.work()
    assert refused(buyer.review) == "data.too_many_failures"
    assert market.buyer().review().quote.epsilon == 1.0


def test_a_budget_that_others_spent_meanwhile_refuses_the_result(market):
    buyer = market.buyer()
    order = buyer.buy()
    market.runner.run_next()
    market.budget.set_total(market.owner, market.work_id, 1.5)
    market.work()
    assert buyer.orders.progress(order).word == "refused"
    assert refused(market.desk.result, order.job_id) == "data.no_result"
    assert buyer.coins == 95 * COIN


# ------------------------------------------------------------ crashes


class Cut(BaseException):
    """The power goes."""


STEPS = [
    ("journal.begin", False),
    ("admission.sandbox.run", False),
    ("journal.decide", False),
    ("_budget.spend", False),
    ("_budget.spend", True),
    ("_jobs.deliver", False),
    ("_jobs.deliver", True),
    ("journal.end", False),
]


@pytest.mark.parametrize(("step", "after"), STEPS)
def test_a_node_that_was_killed_at_any_step_loses_no_job_and_spends_once(market, step, after, monkeypatch):
    buyer = market.buyer()
    order = buyer.buy()
    *path, name = step.split(".")
    there = market.runner
    for part in path:
        there = getattr(there, part)
    done = getattr(there, name)

    def cut(*arguments, **options):
        if after:
            done(*arguments, **options)
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(there, name, cut)
        with pytest.raises(Cut):
            market.work()
    market.crash()
    market.work()
    progress = buyer.orders.progress(order)
    assert progress.word == "released"
    assert buyer.orders.fetch(order)
    assert market.budget.of(market.work_id).spent == 2_000_000
    assert buyer.coins + market.till == 100 * COIN


def test_a_decision_is_not_taken_again_after_a_crash(market, monkeypatch):
    buyer = market.buyer()
    order = buyer.buy()
    market.runner.run_next()
    sealed = market.journal.find(order.job_id).sealed
    market.crash()
    monkeypatch.setattr(job_runner, "decide", None)
    market.work()
    assert market.desk.result(order.job_id) == sealed


def test_a_program_that_brings_the_node_down_each_time_is_given_up_and_refunded(market, monkeypatch):
    buyer = market.buyer()
    order = buyer.buy()

    def bring_down(*_):
        raise Cut

    for _ in range(job_runner.ATTEMPTS):
        with monkeypatch.context() as patched:
            patched.setattr(market.sandbox, "run", bring_down)
            with pytest.raises(Cut):
                market.runner.run_next()
        market.crash()
    market.work()
    assert buyer.orders.progress(order).word == "failed"
    assert buyer.coins == 95 * COIN


@pytest.mark.parametrize("step", ["grant", "order", "submit"])
def test_a_buyer_who_was_cut_off_pays_once(market, step):
    buyer = market.buyer()
    number = "ab" * 16

    def cut(at):
        if at == step:
            raise Cut

    with pytest.raises(Cut):
        buyer.orders.buy(buyer.key, buyer.review(), number=number, say=cut)
    order = buyer.orders.buy(buyer.key, buyer.review(), number=number)
    assert buyer.orders.buy(buyer.key, buyer.review(), number=number).job_id == order.job_id
    assert buyer.coins == 95 * COIN - 5 * SECOND
    assert len(market.jobs.jobs_of(market.work_id)) == 1


def test_an_order_that_could_not_be_noted_is_found_on_chain(market, monkeypatch):
    buyer = market.buyer()
    order_on_chain = buyer.orders._jobs.order

    def cut(*arguments, **options):
        order_on_chain(*arguments, **options)
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(buyer.orders._jobs, "order", cut)
        with pytest.raises(Cut):
            buyer.orders.buy(buyer.key, buyer.review(), number="cd" * 16)
    order = buyer.orders.buy(buyer.key, buyer.review(), number="cd" * 16)
    assert len(market.jobs.jobs_of(market.work_id)) == 1
    assert buyer.orders.progress(order).word == "waiting"


# ------------------------------------------------------------ owners who do not answer


def test_an_owner_who_never_answers_keeps_no_money(own_chain, tmp_path, own_account, sandbox):
    market = Market(own_chain, tmp_path, own_account, sandbox=sandbox)
    buyer = market.buyer()
    order = buyer.buy()
    assert refused(buyer.orders.refund, buyer.key, order).startswith("chain.")
    own_chain.rpc.call("evm_increaseTime", order.deadline - own_chain.timestamp() + 1)
    own_chain.rpc.call("evm_mine")
    assert buyer.orders.progress(order).word == "overdue"
    market.runner.run_next()
    assert buyer.orders.refund(buyer.key, order) == 5 * SECOND
    assert buyer.orders.progress(order).word == "refunded"
    assert buyer.coins == 95 * COIN
    market.work()
    assert refused(market.desk.result, order.job_id) == "data.no_result"
    assert market.budget.of(market.work_id).spent == 1_000_000


def test_a_grant_that_has_expired_computes_nothing(own_chain, tmp_path, own_account, sandbox):
    market = Market(own_chain, tmp_path, own_account, sandbox=sandbox)
    buyer = market.buyer()
    order = unsent_order(buyer)
    own_chain.rpc.call("evm_increaseTime", 31 * 86_400)
    own_chain.rpc.call("evm_mine")
    assert buyer.review().grant_price == 5 * COIN
    order = buyer.orders.submit(buyer.key, order)
    assert "no running grant" in order.why


def test_an_order_of_another_data_directory_is_not_found(market):
    with pytest.raises(NotFound):
        market.buyer().orders.find(7)


# ------------------------------------------------------------ what goes over the wire


def test_a_bundle_has_the_digest_of_its_files_on_a_disk(tmp_path):
    for files in (
        {"main.py": b"print(1)"},
        {"main.py": b"import a", "requirements.txt": b"", "a/b.py": b"", "a.py": b"1"},
    ):
        bundle = Bundle(files)
        folder = tmp_path / bundle.digest.hex()
        folder.mkdir()
        assert bundle.write(folder).digest == bundle.digest
        assert Bundle.from_fields(bundle.to_fields()) == bundle
        assert Bundle.read(folder if len(files) > 1 else folder / "main.py") == bundle


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"other.py": b""},
        {"main.py": b"", "more.py": b""},
        {"main.py": b"", "requirements.txt": b"", "../up": b""},
        {"main.py": b"", "requirements.txt": b"", "/etc/passwd": b""},
        {"main.py": b"", "requirements.txt": b"", "a//b": b""},
        {"main.py": b"", "requirements.txt": b"", "a": b"", "a/b": b""},
        {"main.py": b" " * (5 << 20)},
        {"main.py": b"", "requirements.txt": b""} | {f"m{number}": b"" for number in range(300)},
    ],
)
def test_what_is_no_program_is_refused(files):
    with pytest.raises(BadInput):
        Bundle(files)


def test_hidden_files_and_links_do_not_travel(tmp_path):
    (tmp_path / "main.py").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / ".env").write_text("secret")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "main.pyc").write_text("")
    assert set(Bundle.read(tmp_path).files) == {"main.py", "requirements.txt"}
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(BadInput):
        Bundle.read(tmp_path)


def test_rows_fall_into_blocks_by_themselves(market):
    blocks = job_runner._blocks(market.kept.table, 8)
    together = np.concatenate([block.features for block in blocks])
    assert np.array_equal(np.sort(together, axis=0), np.sort(market.kept.table.features, axis=0))
    assert len({len(block) for block in blocks}) > 1


def test_a_block_that_hangs_takes_no_time_from_another(market, sandbox, monkeypatch):
    """Else one row could end the runs on all blocks after its own, and that would show."""
    given = []

    class Watched:
        def check(self):
            sandbox.check()

        def run(self, program, inputs, limits):
            finished = sandbox.run(program, inputs, limits)
            given.append((limits.wall_s, str(finished.outcome)))
            return finished

    monkeypatch.setattr(market.runner.admission, "sandbox", Watched())
    buyer = market.buyer()
    order = buyer.buy("while True: pass", blocks=4, seconds=1)
    market.work()
    assert given == [(pytest.approx(0.225), "timeout")] * 4
    assert buyer.orders.progress(order).word == "released"


# ------------------------------------------------------------ what else could tell how long a program ran


def test_neither_price_nor_queue_tells_how_long_a_program_ran_whose_noise_holds(
    chain, tmp_path, new_account, sandbox
):
    market = Market(chain, tmp_path, new_account, POLICY + "billing_step_s = 1\n", sandbox)
    buyer = market.buyer()
    order, other = buyer.buy(seconds=5), market.buyer()
    before = (market.desk.about()["waiting"], other.review().quote.waiting)
    assert market.runner.run_next()
    assert (market.desk.about()["waiting"], other.review().quote.waiting) == before == (1, 1)
    market.work()
    assert market.desk.about()["waiting"] == 0
    assert buyer.orders.progress(order).chain.seconds == 5


def test_that_a_job_failed_is_told_at_its_slot_to_those_who_would_ask_for_more(
    chain, tmp_path, new_account, sandbox
):
    market = Market(chain, tmp_path, new_account, LENIENT + "failures = 1\n", sandbox)
    buyer = market.buyer()
    buyer.buy("raise SystemExit(1)", VERDICT_SCHEMA, seconds=1)
    assert market.runner.run_next()
    assert buyer.review().quote.epsilon == 1.0
    market.work()
    assert refused(buyer.review) == "data.too_many_failures"


@pytest.mark.parametrize("fault", [OSError("row 7"), SetupError("row 7"), MemoryError("row 7")])
def test_whatever_goes_wrong_in_a_run_is_told_when_the_longest_run_would_have_ended(
    market, monkeypatch, fault
):
    buyer = market.buyer()
    order = buyer.buy(seconds=5)

    def trouble(*_):
        raise fault

    monkeypatch.setattr(market.sandbox, "run", trouble)
    assert market.runner.run_next()
    assert market.runner.tell_due() == 0
    assert market.desk.state(order.job_id)["stage"] == "running"
    assert market.journal.find(order.job_id).tell_at == market.now + 5
    market.work()
    assert buyer.orders.progress(order).word == "failed"
    assert "row 7" not in orjson.dumps(market.desk.state(order.job_id)).decode()
    assert buyer.coins == 95 * COIN


def test_a_key_that_nothing_can_be_sealed_to_is_refused_before_the_program_runs(market):
    buyer = market.buyer()
    order = unsent_order(buyer)
    request = request_of(market, buyer, order, sealing_key=bytes(32))
    assert "not a usable X25519 key" in market.desk.submit(sent(request))["why"]
    market.work()
    assert buyer.orders.progress(order).word == "refused"
    assert market.journal.find(order.job_id).attempts == 0
    assert buyer.coins == 95 * COIN


def test_a_node_goes_on_after_trouble_that_nobody_foresaw():
    stop, told = threading.Event(), list[Any]()
    steps = [ValueError("disk"), ValueError("disk"), False]

    def step():
        found = steps.pop(0)
        if isinstance(found, Exception):
            raise found
        stop.set()
        return found

    job_server._repeat(step, stop, told.append)
    assert [event["title"] for event in told] == ["The node is in trouble: ValueError: disk"]


# ------------------------------------------------------------ one job's trouble is not the others'


def test_a_job_that_cannot_be_told_does_not_keep_others_waiting(market, monkeypatch):
    buyer = market.buyer()
    first, second = buyer.buy(), buyer.buy()
    market.runner.run_next()
    market.pass_time(60)
    deliver = market.runner._jobs.deliver

    def refuse_first(operator, job_id, *arguments, **options):
        if job_id == first.job_id:
            raise TransactionFailed("only the owner or a named operator")
        return deliver(operator, job_id, *arguments, **options)

    monkeypatch.setattr(market.runner._jobs, "deliver", refuse_first)
    with pytest.raises(TransactionFailed):
        market.runner.tell_due()
    assert market.runner.run_next()
    market.pass_time(60)
    with pytest.raises(TransactionFailed):
        market.runner.tell_due()
    assert [buyer.orders.glance(order).word for order in (first, second)] == ["open", "released"]


def test_a_dataset_that_is_not_served_any_more_gives_the_money_back(market):
    buyer = market.buyer()
    order = buyer.buy()
    market.desk.admission.datasets.clear()
    market.work()
    assert buyer.orders.progress(order).word == "failed"
    assert buyer.coins == 95 * COIN


# ------------------------------------------------------------ nodes that lie


@pytest.mark.parametrize(
    "changes",
    [
        {"deadline_s": 10**9},
        {"deadline_s": 0},
        {"max_seconds": 50},
        {"price_per_second": "-1"},
        {"noise": 7},
        {"price_per_second": None},
    ],
)
def test_a_quote_that_makes_no_sense_is_not_paid(market, monkeypatch, changes):
    buyer, honest = market.buyer(), market.desk.check
    monkeypatch.setattr(market.desk, "check", lambda fields: honest(fields) | changes)
    with pytest.raises(PeerError):
        buyer.review()
    assert buyer.coins == 100 * COIN


def test_a_node_that_hands_out_another_result_than_it_stated_is_found_out(market, monkeypatch):
    buyer = market.buyer()
    order = buyer.buy()
    market.work()
    with monkeypatch.context() as patched:
        patched.setattr(market.desk, "result", lambda _job_id: b"another result")
        assert refused(buyer.orders.fetch, order) == "data.result_digest"
    assert buyer.orders.fetch(order)


@pytest.mark.parametrize(
    "content",
    [
        b'{"../../.bashrc": "AAAA"}',
        b'{"result.json": "AAAA", "/tmp/more": ""}',
        b"{}",
        b"[]",
        b"no",
        b'{"result.json": 7}',
        b'{"result.json": "/w=="}',
    ],
)
def test_an_owner_who_seals_other_files_than_were_declared_writes_none(content):
    box, domain = BoxKey.generate(), job_domain(1, "0x" + "11" * 20)
    context = b"koinon job result 1" + domain.separator + (7).to_bytes(32, "big")
    sealed = seal_to(box.public, content, context)
    with pytest.raises(IntegrityError, match="something else than the result"):
        open_result(sealed, box, domain, 7, hashlib.sha256(sealed).digest(), {"result.json"})
