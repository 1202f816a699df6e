# SPDX-License-Identifier: Apache-2.0
"""Cases: what hangs together is one, what was decided stays, and what was kept survives a kill."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from koinon.errors import BadInput, NotFound
from koinon.watch.cases.forming import form, priority
from koinon.watch.cases.store import FILE_NAME, CaseStore
from koinon.watch.findings import Finding

DAY_S = 86_400


def finding(kind, *payments, strength=0.5, about=None):
    edges = tuple(
        {"source": source, "target": target, "timestamp": at, "amount": 1.0}
        for source, target, at in payments
    )
    accounts = dict.fromkeys(
        [about or payments[0][0], *(each for source, target, _ in payments for each in (source, target))]
    )
    times = [at for _, _, at in payments]
    return Finding(kind, "Because.", strength, tuple(accounts), edges, min(times), max(times))


@pytest.fixture
def store(tmp_path):
    with CaseStore(tmp_path, clock=lambda: 1_000) as opened:
        yield opened


def test_findings_that_share_a_transfer_are_one_case(store):
    cycle = finding("cycle", ("a", "b", 1), ("b", "c", 2), ("c", "a", 3), strength=0.9)
    fan = finding("fan_out", ("b", "c", 2), ("b", "d", 4))
    apart = finding("fan_out", ("x", "y", 2))
    one, two, three = store.add([cycle, fan, apart])
    assert one == two != three
    case = store.case(one)
    assert len(case.edges) == 4
    assert case.accounts[:2] == ("a", "b")
    assert (case.start, case.end, case.status) == (1, 4, "new")
    assert case.document()["kinds"] == ["cycle", "fan_out"]


def test_the_same_account_much_later_is_another_case_and_a_shared_partner_joins_nothing(store):
    first = finding("fan_out", ("a", "exchange", 1))
    soon = finding("fan_in", ("c", "a", DAY_S), about="a")
    later = finding("fan_out", ("a", "exchange", 30 * DAY_S))
    other = finding("fan_out", ("b", "exchange", 2))
    numbers = store.add([first, soon, later, other])
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3
    assert sorted(map(len, form([first, soon, later, other]))) == [1, 1, 2]


def test_what_everybody_uses_joins_nothing(store):
    there = finding("cycle", ("a", "exchange", 1), ("exchange", "b", 2), ("b", "a", 3))
    other = finding("cycle", ("b", "exchange", 4), ("exchange", "c", 5), ("c", "b", 6))
    shared = finding("fan_in", ("a", "exchange", 1), ("d", "exchange", 2), about="exchange")
    again = finding("fan_out", ("exchange", "b", 2), about="exchange")
    found = [there, other, shared, again]
    assert len(set(store.add(found, {"exchange"}))) == 4
    assert list(map(len, form(found, services={"exchange"}))) == [1, 1, 1, 1]
    assert sorted(map(len, form(found))) == [1, 3]


def test_a_finding_that_connects_two_cases_makes_them_one_and_says_so(store):
    left, right = store.add([finding("cycle", ("a", "b", 1)), finding("cycle", ("c", "d", 1))])
    store.decide(right, "in review", who="reviewer", why="I look at it.")
    both = finding("peel_chain", ("a", "b", 1), ("c", "d", 1), ("d", "e", 2))
    assert store.add([both]) == [left]
    assert store.case(right).id == left
    assert store.case(left).status == "in review"
    told = [each.why for each in store.case(left).decisions]
    assert "I look at it." in told
    assert f"Case {right} is part of it now." in told
    assert len(store.queue()) == 1
    assert store.decide(right, "cleared", who="reviewer", why="A family.").case_id == left


def test_a_finding_seen_again_is_counted_and_not_added(store):
    one = finding("cycle", ("a", "b", 1))
    assert store.add([one, one, one]) == store.add([one]) * 3
    assert len(store.case(1).findings) == 1


def test_a_cleared_case_with_a_new_finding_is_new_again_and_a_confirmed_one_stays(store):
    store.add([finding("cycle", ("a", "b", 1)), finding("cycle", ("x", "y", 1))])
    store.decide(1, "cleared", who="reviewer", why="A refund.")
    store.decide(2, "confirmed", who="reviewer", why="Known.")
    store.add(
        [finding("fan_out", ("a", "b", 1), ("a", "c", 2)), finding("fan_out", ("x", "y", 1), ("x", "z", 2))]
    )
    assert [store.case(each).status for each in (1, 2)] == ["new", "confirmed"]
    assert store.case(1).decisions[-1].who == "the watch"


def test_the_queue_is_ranked_for_a_budget_and_escalated_cases_come_first(store):
    for name, strength in (("a", 0.2), ("b", 0.9), ("c", 0.5)):
        store.add([finding("structuring", (name, "z" + name, 1), strength=strength)])
    assert [each.id for each in store.queue(2)] == [2, 3]
    store.decide(1, "escalated", who="reviewer", why="The police asked.")
    assert [each.id for each in store.queue()] == [1, 2, 3]
    store.decide(2, "cleared", who="reviewer", why="Rent.")
    assert [each.id for each in store.queue()] == [1, 3]
    assert store.counts() == {"new": 1, "in review": 0, "escalated": 1, "confirmed": 0, "cleared": 1}


def test_more_kinds_of_evidence_come_first():
    strong = finding("structuring", ("a", "b", 1), strength=1.0)
    other = finding("peel_chain", ("a", "c", 1), strength=1.0)
    assert priority([strong]) < priority([strong, other]) < 1
    assert priority([strong], {"structuring": 0.1}) == pytest.approx(0.1)


def test_the_audit_trail_cannot_be_changed_even_in_the_file(store, tmp_path):
    store.add([finding("cycle", ("a", "b", 1))])
    store.decide(1, "confirmed", who="reviewer", why="Known.")
    base = sqlite3.connect(tmp_path / FILE_NAME)
    for sql in ("UPDATE decisions SET who = 'me'", "DELETE FROM decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="not changed"):
            base.execute(sql)
    base.close()
    (decision,) = store.case(1).decisions
    assert (decision.before, decision.status, decision.who, decision.at) == (
        "new",
        "confirmed",
        "reviewer",
        1_000,
    )


def test_decisions_name_who_and_why(store):
    store.add([finding("cycle", ("a", "b", 1))])
    for arguments in ({"who": "", "why": "x"}, {"who": "x", "why": " "}, {"who": "the watch", "why": "x"}):
        with pytest.raises(BadInput):
            store.decide(1, "cleared", **arguments)
    with pytest.raises(BadInput):
        store.decide(1, "guilty", who="x", why="x")
    with pytest.raises(NotFound):
        store.decide(9, "cleared", who="x", why="x")
    with pytest.raises(NotFound):
        store.case(9)


def test_decided_cases_are_labels(store):
    store.add(
        [finding("cycle", ("a", "b", 1)), finding("cycle", ("x", "y", 1)), finding("cycle", ("p", "q", 1))]
    )
    store.decide(1, "confirmed", who="one", why="Known.")
    store.decide(2, "cleared", who="two", why="A refund.")
    assert [(edge["source"], bad, who) for edge, bad, who in store.decided()] == [
        ("a", True, "one"),
        ("x", False, "two"),
    ]


def test_a_batch_is_kept_whole_or_not_at_all(store):
    def broken():
        yield finding("cycle", ("a", "b", 1))
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        store.add(broken())
    assert store.queue() == []


WRITER = """
import sys
from pathlib import Path
from koinon.watch.cases.store import CaseStore
from koinon.watch.findings import Finding
store, number = CaseStore(Path(sys.argv[1])), 0
while True:
    edge = {"source": f"a{number}", "target": "b", "timestamp": number, "amount": 1.0}
    store.add([Finding("cycle", "Because.", 0.5, (f"a{number}",), (edge,), number, number)])
    print(number, flush=True)
    number += 1
"""


def test_every_finding_that_was_acknowledged_survives_a_kill(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    for _ in range(25):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    acknowledged = 25 + len(rest)
    with CaseStore(tmp_path) as store:
        kept = sum(store.counts().values())
        assert acknowledged <= kept <= acknowledged + 1
        assert store.case(acknowledged).findings
