# SPDX-License-Identifier: Apache-2.0
"""The watch's pages: planted laundering on the desk, a decision by whoever runs the node, and what is not
there said in a sentence."""

from __future__ import annotations

import csv
import html
import json
import re
from dataclasses import replace

import pytest

from koinon.watch.api import Watch
from koinon.watch.findings import Finding
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.importing import Columns, read_labelled
from koinon.watch.laundering.again import of_file
from koinon.watch.laundering.planted import plant
from tests.pages_support import open_town, words

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def town(tmp_path_factory, network, devnet):
    with open_town(tmp_path_factory.mktemp("town"), network, devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def operator(town):
    return town.operator()


@pytest.fixture(scope="module")
def guest(town):
    return town.guest()


def address(number):
    return f"0x{number:040x}"


def cycle(names, *, start=1_760_000_000, amount=900.0):
    """Money that comes back, as a finding."""
    ends = [*names, names[0]]
    edges = Edges.of(
        ends[:-1], ends[1:], [start + 3_600 * at for at in range(len(names))], [amount] * len(names)
    )
    return Finding.of_rows(edges, "cycle", range(len(names)), why="It comes back.", strength=1.0, about=[0])


@pytest.fixture
def watch(town):
    with Watch.of(town.house) as opened:
        yield opened


def test_before_anything_was_looked_at_each_page_says_what_to_do(town):
    visit = town.nobody()
    page = visit.page("/watch")
    assert "What should somebody look at?" in page
    assert "koinon watch scan --chain" in page
    assert "koinon watch train --simulated" in page
    page = visit.page("/liquidity")
    assert "What can be paid out when many leave at once?" in page
    for command in ("measure --simulated", "tail prices.csv --keep", "warnings --keep"):
        assert f"koinon watch liquidity {command}" in page
    assert "There is no case 1." in visit.page("/watch/cases/1", 404)


def test_planted_laundering_is_on_the_desk_and_whoever_runs_the_node_decides(town, operator, guest, watch):
    [number] = watch.cases.add([cycle([address(at) for at in range(1, 5)])])
    page = operator.page("/watch")
    assert re.search(
        r"<h1>(One case waits; it looks|\d+ cases wait; \w+ of them looks?) "
        r"like money coming back to where it began</h1>",
        page,
    )
    assert "看起來像錢又回到原處" in operator.page("/zh-hant/watch")
    page = operator.page(f"/watch/cases/{number}")
    assert f"Case {number} looks like: a cycle" in page
    assert page.count("<circle") >= 8, "four accounts, in two forms"
    assert "paid 900 and received 900" in page
    assert "3,600 moved in all" in words(page)
    assert "koinon watch lists --add" in page
    assert "It is laundering" not in guest.page(f"/watch/cases/{number}")
    refused = guest.refused("watch.decide", case_id=str(number), status="cleared", why="No.")
    assert "Only this node's operator" in refused
    review = operator.review("watch.decide", case_id=str(number), status="confirmed", why="It comes back.")
    assert "Nobody is blocked" in review
    assert watch.case(number).status == "new", "a review changes nothing"
    operator.do("watch.decide", case_id=str(number), status="confirmed", why="It comes back.")
    found = watch.case(number)
    assert (found.status, found.decisions[-1].who) == ("confirmed", town.house.operator.address)
    assert "It comes back." in operator.page(f"/watch/cases/{number}")
    assert f"/watch/cases/{number}" in operator.page("/watch"), "it is in what was decided lately"
    assert next(iter(watch.cases.decided()))[1] is True, "and the model can learn from it"


@pytest.mark.parametrize(
    "wrong",
    [
        {"case_id": "1", "status": "escalated", "why": "x"},
        {"case_id": "1", "status": "confirmed", "why": "   "},
        {"case_id": "1", "status": "confirmed", "why": "x" * 2_001},
        {"case_id": "none", "status": "confirmed", "why": "x"},
        {"case_id": "987654", "status": "confirmed", "why": "x"},
        {},
    ],
)
def test_a_decision_that_says_nothing_is_refused(operator, wrong):
    operator.refused("watch.decide", **wrong)


def test_the_slider_draws_what_comes_later_faintly_and_a_wrong_time_is_all_of_it(operator, watch):
    [number] = watch.cases.add([cycle([address(at) for at in range(11, 15)], start=1_760_100_000)])
    page = operator.page(f"/watch/cases/{number}")
    assert "way later" not in page
    then = operator.page(f"/watch/cases/{number}?until={1_760_100_000 + 3_600}")
    assert then.count('class="way later"') == 8, "two of four, in two pictures of two forms"
    for wrong in ("x", "-1", "9" * 40, "٣", "1"):
        assert "way later" not in operator.page(f"/watch/cases/{number}?until={wrong}")


def test_names_from_a_file_are_text_and_never_markup(operator, watch):
    [number] = watch.cases.add([cycle([HOSTILE, "shop", "bank"], start=1_760_200_000)])
    text = operator.raw(f"/watch/cases/{number}").text
    assert "alert(&#34;x&#34;)" in text or "alert(&quot;x&quot;)" in text
    assert HOSTILE not in text


def test_a_great_case_is_drawn_with_its_smaller_accounts_as_one(operator, watch):
    names = [address(1_000 + at) for at in range(400)]
    edges = Edges.of(names, [address(999)] * 400, [1_760_300_000 + at for at in range(400)], [5.0] * 400)
    made = Finding.of_rows(edges, "fan_in", range(400), why="Many pay one.", strength=0.9, about=[400])
    [number] = watch.cases.add([made])
    page = operator.page(f"/watch/cases/{number}")
    assert "384 others" in page
    assert "1 to 25 of 400" in page
    assert len(page) < 400_000


def test_alerts_wait_until_the_operator_has_seen_them(operator, guest, watch):
    watch.alerts.raise_("drains pool", "Half of it left.", level=3)
    assert "Half of it left." in guest.page("/watch")
    assert "Half of it left." in guest.page("/watch"), "looking takes nothing away"
    (keys,) = re.findall(r'name="keys" value="([^"]*)"', operator.raw("/watch").text)
    asked = {"keys": html.unescape(keys)}
    assert json.loads(asked["keys"]) == ["drains pool"]
    assert "Only this node's operator" in guest.refused("watch.seen", **asked)
    review = operator.ask("watch.seen", **asked)
    watch.alerts.raise_("drains vault", "All of it left.", level=3, at=1)  # more urgent, and not reviewed
    page = operator.agree(review)
    assert "Half of it left." in page
    assert "All of it left." not in page
    page = operator.page("/watch")
    assert "Half of it left." not in page
    assert "All of it left." in page, "nobody has seen it"
    assert "None of these alerts waits any more" in operator.refused("watch.seen", **asked)
    for wrong in ("", "5", "[]", "[5]", "{}", "[" * 100_000, json.dumps(["x"] * 101)):
        assert "names no alerts" in operator.refused("watch.seen", keys=wrong)
    operator.do("watch.seen", keys='["drains vault"]')


def test_what_the_watch_writes_is_in_the_readers_language_and_folded(operator, watch):
    why = "Money came back over 2 transfers; the smallest is 80% of the largest."
    first = replace(cycle([address(0x901), address(0x902)], start=1_761_000_000), why=why)
    second = replace(cycle([address(0x903), address(0x904)], start=1_761_000_100), why=why)
    [one], [other] = watch.cases.add([first]), watch.cases.add([second])
    assert one != other
    accounts, edges = first.accounts + second.accounts, first.edges + second.edges
    both = replace(first, kind="fan_in", why="It connects them.", accounts=accounts, edges=edges)
    assert watch.cases.add([both]) == [one]
    page = operator.page(f"/watch/cases/{one}")
    assert f"Case {other} is part of it now." in page
    assert "2 notes of the watch itself" in page
    assert "What was decided?" not in page, "nobody has"
    assert "moved in all, in the unit of its transfers" in page
    chinese = operator.page(f"/zh-hant/watch/cases/{one}")
    assert f"案件 {other} 現在併入本案。" in chinese
    assert "錢經過 2 筆轉帳回到原處；最小的一筆是最大的 80%。" in chinese
    assert "Money came back" not in chinese
    assert 'lang="en">It connects them.' in chinese, "what is not the watch's own stays as it was said"


def test_lists_are_named_with_source_and_day_beside_who_is_on_them(town, operator, watch, tmp_path):
    listed = address(0xBAD)
    own = tmp_path / "partners.csv"
    own.write_text(f"{listed},stole from us\n")
    watch.add_list(own, "own", as_of="2026-11-01")
    [number] = watch.cases.add([cycle([listed, address(0x51), address(0x52)], start=1_760_400_000)])
    page = words(operator.page(f"/watch/cases/{number}"))
    assert "the file partners.csv, of 2026-11-01 (stole from us)" in page
    (watch.lists.folder / "partners.list").write_text(f"{listed},innocent\n")
    assert "is not the one that was added" in operator.page(f"/watch/cases/{number}")
    for path in watch.lists.folder.iterdir():
        path.unlink()


def test_where_money_is_real_cases_are_for_whoever_runs_the_node(town, operator, guest, watch):
    [number] = watch.cases.add([cycle([address(at) for at in range(61, 64)], start=1_760_500_000)])
    test = town.house.chain.network
    town.house.chain.network = replace(test, test_money=False)
    try:
        page = guest.page("/watch")
        assert f"/watch/cases/{number}" not in page
        assert "for whoever runs this node" in page
        guest.page(f"/watch/cases/{number}", 404)
        assert f"Case {number}" in operator.page(f"/watch/cases/{number}")
    finally:
        town.house.chain.network = test


def test_a_case_or_budget_that_cannot_be_is_told_as_such(operator, watch):
    watch.cases.add([cycle([address(at) for at in range(71, 74)], start=1_760_600_000)])
    for number in (0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 10**40):
        assert "There is no case" in operator.page(f"/watch/cases/{number}", 404)
    for budget in ("²", "٢٠", "0010" + "9" * 40, "0020", "1000000", "-10", " 10"):
        page = operator.page(f"/watch?budget={budget}")
        assert '<option value="20" selected>' in page, budget


def test_both_languages_and_every_budget(operator, watch):
    for path in ("/watch", "/watch?budget=50", "/watch?budget=x", "/liquidity"):
        assert "監看" in operator.page(f"/zh-hant{path}") or path == "/liquidity"


def test_what_was_measured_is_shown_with_red_said_in_words_and_simulated_called_so(operator, watch):
    watch.liquidity.simulate(runs=True, seed=3)
    page = operator.page("/liquidity")
    assert "✗ too little" in page
    assert "This pool is simulated" in page
    assert "What can be paid out when many leave at once?" in page, "a simulated one is no answer"
    assert "✗ rings" in page


def test_the_model_is_taught_again_with_what_was_decided_where_its_transfers_are_still_there(
    operator, guest, watch, tmp_path
):
    assert "No model was trained here yet." in operator.refused("watch.learn")
    planted = plant(seed=5, patterns=24)
    rows = zip(planted.edges.rows(range(len(planted.edges))), planted.illicit, strict=True)
    file = tmp_path / "labelled.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["source", "target", "timestamp", "amount", "illicit"])
        writer.writerows(
            [row["source"], row["target"], row["timestamp"], repr(row["amount"]), int(bad)]
            for row, bad in rows
        )
    edges, illicit, _ = read_labelled(file, "illicit")
    source = of_file(file, "illicit", Columns(), "", 0.05)
    watch.train(edges, illicit, data="the file labelled.csv", draws=20, source=source)
    number = next(iter(watch.scan(edges).cases))
    operator.do("watch.decide", case_id=str(number), status="cleared", why="Known to us.")
    assert "Teach it with what was decided" in operator.page("/watch")
    assert "Teach it with what was decided" not in guest.page("/watch")
    assert "Only this node's operator" in guest.refused("watch.learn")
    review = operator.review("watch.learn")
    assert "the file labelled.csv" in review
    page = operator.do("watch.learn")
    assert "The new model took over." in page or "The model that was there stays." in page
    assert watch.report()["looks"] == 2
    file.unlink()
    assert "are not there any more" in operator.refused("watch.learn")
    assert "Teach it with what was decided" not in operator.page("/watch")
