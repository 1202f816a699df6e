# SPDX-License-Identifier: Apache-2.0
"""Training runs in the console: a finished one, one that goes on, and what strangers may have written."""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import asdict, replace

import orjson
import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.console.story import Applicant, Story
from koinon.learning.api import Learning
from koinon.learning.disputes import disputes
from koinon.learning.fairness import Fairness
from koinon.learning.interrupted import Underway
from koinon.learning.ledger import Ledger
from koinon.learning.privacy.plan import Privacy
from koinon.learning.progress import FILE_NAME, ProgressLog
from koinon.learning.splits import Split
from koinon.learning.swarm.ledger import SwarmLedger
from koinon.learning.swarm.run import local_rules
from koinon.learning.swarm_view import swarm_view
from tests.console.wallet_support import House, browser, open_console
from tests.learning.support import recipe, table

pytestmark = pytest.mark.e2e

SPLIT = Split(tuple(table(80 + 20 * seed, seed) for seed in range(3)), table(300, 8), table(400, 9))
HOSTILE = "<script>alert(1)</script>\"'"
BY_AGE = Fairness(group="age", edges=(45,), names=("younger", HOSTILE))
RECIPE = recipe(fairness=replace(BY_AGE, own_rows=0.25, told="gain", populations=True))


@pytest.fixture(scope="module")
def house(tmp_path_factory, network, devnet):
    with Chain.open(network) as chain:
        yield House(tmp_path_factory.mktemp("home"), chain, devnet.key(6))


@pytest.fixture(scope="module")
def app(house):
    return open_console(house)


@pytest.fixture
def client(app):
    with browser(app) as one:
        yield one


@pytest.fixture(scope="module")
def finished(house):
    """A run of three owners whose model is published: (run id, Work id)."""
    home = house.settings.home / "learning"
    learning = Learning(home, house.operator, chain=house.chain, store=house.store)
    outcome = learning.run(RECIPE, SPLIT, fund=house.fund, names=["Harbour", HOSTILE, "Station"])
    published = learning.publish(outcome)
    house.index.sync()
    return outcome.run_id, published.work_id


class Led:
    """A run that is open on the chain, told of by hand as its leader would."""

    def __init__(self, house, **changes):
        self.recipe = recipe(seed=77, **changes)
        opener = house.operator
        self.run_id = Ledger(house.chain, opener).open(
            self.recipe, SPLIT.contribution.digest, SPLIT.held_out.digest
        )
        house.index.sync()
        self.folder = house.settings.home / "learning" / "runs" / str(self.run_id)
        self.log = ProgressLog(self.folder)
        self.underway = Underway(self.folder, self.run_id, self.recipe.rounds)
        self.owners = [Key.generate().address for _ in range(3)]
        self.write(
            "opened",
            run=self.run_id,
            name=self.recipe.name,
            recipe=self.recipe.digest.hex(),
            rounds=self.recipe.rounds,
            owners=3,
        )

    def write(self, event, **more):
        self.log.write({"event": event, **more})

    def join(self):
        for waiting, owner in enumerate(self.owners, 1):
            self.write("joined", owner=owner, waiting=3 - waiting)

    def close_round(self, number, missing=(), score=0.7):
        self.write("round", round=number, rounds=self.recipe.rounds, missing=list(missing))
        self.write(
            "score", round=number, metric="AUC", score=score, low=score - 0.1, high=score + 0.1, chance=0.5
        )


@pytest.fixture
def led(house):
    one = Led(house)
    yield one
    one.underway.close()
    one.log.close()


def test_a_finished_run_says_who_taught_how_good_it_is_and_who_gained(client, finished):
    run_id, work_id = finished
    page = client.get(f"/runs/{run_id}").text
    assert re.search(r"3 owners taught “Late payers”: AUC 0\.\d{3} together, 0\.\d{3} alone", page)
    assert "Harbour" in page
    assert page.count("gains") + page.count("loses") >= 3
    assert f'href="/works/{work_id}"' in page
    assert f"koinon learn check learning/runs/{run_id}/evidence.bin --run {run_id}" in page
    assert page.count("/chain/transaction/0x") >= 5  # opened, three rounds, finished
    assert "every 1s" not in page
    assert 'http-equiv="refresh"' not in page


def test_a_finished_run_shows_its_errors_its_groups_who_gains_and_who_differs(client, finished):
    page = client.get(f"/runs/{finished[0]}").text
    for picture in ("gains", "worth", "curve", "gaps"):
        assert f'id="{picture}"' in page
    assert "What a threshold costs" in page
    assert "The gaps round by round" in page
    assert page.count("not told") >= 6  # the recipe has owners tell the difference, and nothing else
    assert "Harbour: +" in page or "Harbour: -" in page
    assert "How different are the owners?" in page
    assert "What was disputed?" not in page
    chinese = client.get(f"/zh-hant/runs/{finished[0]}").text
    assert "各族群受到同樣的對待嗎？" in chinese


def test_a_run_of_several_classes_shows_what_is_taken_for_what(client, led):
    led.join()
    findings = {"classes": ["a", "b", HOSTILE], "confusion": [[8, 2, 0], [0, 0, 0], [1, 1, 2]]}
    (led.folder / "outcome.json").write_bytes(orjson.dumps({"findings": findings}))
    page = client.get(f"/runs/{led.run_id}").text
    assert 'class="number heat-8 right">8<' in page
    assert 'class="number heat-0 right">0<' in page
    assert "<script>alert" not in page


def test_sampled_contributions_have_intervals_and_copies_are_named(client, led):
    led.join()
    found = {"values": [0.1, 0.1, -0.02], "low": [0.08, 0.08, -0.02], "high": [0.12, 0.12, -0.02]}
    told = found | {"copies": [[0, 1]], "shares": {"0": 400_000_000, "1": 400_000_000, "2": 1}}
    (led.folder / "contributions.json").write_bytes(orjson.dumps(told))
    page = client.get(f"/runs/{led.run_id}").text
    assert page.count('class="whisker"') == 4  # two owners, on wide pages and on phones
    assert "+0.100 [+0.080, +0.120] → 50.0 %" in page
    first, second = (f"{owner[:6]}…{owner[-4:]}" for owner in led.owners[:2])
    assert f"share one portion: {first}, {second}." in page


def test_groups_are_followed_while_a_run_goes_on(client, led):
    led.join()
    figures = {"value": 0.7, "low": 0.6, "high": 0.8}
    groups = [
        {"name": name, "rows": 200, "selected": figures, "opportunity": figures, "score": None}
        for name in ("younger", HOSTILE)
    ]
    gap = {"figure": "selected", "difference": {"value": 0.1, "low": 0.02, "high": 0.2}, "most": "younger"}
    told = {"column": "age", "favourable": "pays", "groups": groups, "gaps": [gap | {"least": HOSTILE}]}
    led.write("score", round=1, metric="AUC", score=0.7, low=0.6, high=0.8, chance=0.5, groups=told)
    page = client.get(f"/runs/{led.run_id}").text
    assert "Are groups treated alike?" in page
    assert "younger above" in page
    assert "too few rows" in page
    assert "<script>alert" not in page


def test_what_peers_disputed_is_told_newest_first():
    names = "(run_id, round, peer, leader, amount, transaction_hash, block_number, log_index)"
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    for table_name in ("swarm_missed", "swarm_objected", "swarm_overturned"):
        database.execute(f"CREATE TABLE {table_name} {names}")
    database.execute("INSERT INTO swarm_missed VALUES (7, 1, '0xA', '', 5, '0x01', 10, 0)")
    database.execute("INSERT INTO swarm_objected VALUES (7, 2, '0xB', '', 0, '0x02', 11, 0)")
    database.execute("INSERT INTO swarm_overturned VALUES (7, 2, '', '0xC', 90, '0x03', 11, 1)")
    database.execute("INSERT INTO swarm_missed VALUES (8, 1, '0xD', '', 5, '0x04', 12, 0)")

    class Index:
        def rows(self, sql, parameters=()):
            return [dict(row) for row in database.execute(sql, parameters)]

    told = disputes(Index(), 7)
    assert [(one.kind, one.account, one.amount) for one in told] == [
        ("overturned", "0xC", 90),
        ("objected", "0xB", 0),
        ("missed", "0xA", 5),
    ]


def test_who_led_and_what_a_liar_lost_is_told():
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    place = "run_id, block_number, log_index"
    tables = {
        "swarm_swarm_opened": "initiator",
        "swarm_peer_joined": "peer, work_id",
        "swarm_proposed": "round, leader, participants",
        "swarm_overturned": "round, leader, amount",
        "swarm_missed": "peer, amount",
    }
    for name, columns in tables.items():
        database.execute(f"CREATE TABLE {name} ({place}, {columns})")
    for table_name, *values in [
        ("swarm_swarm_opened", 1, 0, "0xI"),
        ("swarm_peer_joined", 2, 0, "0xA", 4),
        ("swarm_peer_joined", 2, 1, "0xB", 0),
        ("swarm_proposed", 10, 0, 1, "0xA", 3),
        ("swarm_proposed", 11, 0, 2, "0xB", 3),
        ("swarm_proposed", 12, 0, 3, "0xA", 3),
        ("swarm_overturned", 12, 1, 2, "0xB", 90),
        ("swarm_missed", 13, 0, "0xA", 5),
        ("swarm_proposed", 13, 1, 2, "0xA", 1),
    ]:
        places = ", ".join("?" * len(values))
        database.execute(f"INSERT INTO {table_name} VALUES (7, {places})", values)  # noqa: S608  (our names)

    class Index:
        def rows(self, sql, parameters=()):
            return [dict(row) for row in database.execute(sql, parameters)]

    found = swarm_view(Index(), 7)
    assert found is not None
    assert (found.initiator, found.participants) == ("0xI", {1: 3, 2: 1})
    told = [(one.account, one.work_id, one.led, one.missed, one.lost) for one in found.peers]
    assert told == [("0xA", 4, 2, 1, 5), ("0xB", 0, 0, 0, 90)]
    assert swarm_view(Index(), 8) is None


def test_a_swarm_has_no_leader(client, house):
    run_id = SwarmLedger(house.chain, house.operator).open(
        RECIPE, SPLIT.contribution.digest, SPLIT.held_out.digest, local_rules(house.chain.coin.address)
    )
    house.index.sync()
    page = client.get(f"/runs/{run_id}").text
    for told in ("nobody is in charge", "Who led?", "peers by turns", "Its peers do not run on this machine"):
        assert told in page
    assert house.operator.address in page
    assert "updates go to the leader" not in page
    assert "由誰主持？" in client.get(f"/zh-hant/runs/{run_id}").text


def test_its_model_and_its_datasets_lead_to_it(client, finished, house):
    run_id, work_id = finished
    assert f'href="/runs/{run_id}"' in client.get(f"/works/{work_id}").text
    (row, *_) = house.index.rows("SELECT work_id FROM federation_owner_joined WHERE run_id = ?", (run_id,))
    assert f'href="/runs/{run_id}"' in client.get(f"/works/{row['work_id']}").text


def test_all_runs_stand_in_one_list_in_both_languages(client, finished):
    run_id, work_id = finished
    page = client.get("/runs").text
    assert f'href="/runs/{run_id}"' in page
    assert f'href="/works/{work_id}"' in page
    assert "published" in page
    assert "共同訓練" in client.get("/zh-hant/runs").text
    assert client.get("/runs?page=99999999").status_code == 200


def test_names_that_strangers_wrote_stay_words(client, finished, led):
    assert HOSTILE not in client.get(f"/runs/{finished[0]}").text
    led.write("opened", name=HOSTILE, recipe=led.recipe.digest.hex(), rounds=3, owners=3)
    led.write("joined", owner=HOSTILE)
    (led.folder / FILE_NAME).write_bytes(
        (led.folder / FILE_NAME).read_bytes().split(b"\n", 1)[1]  # the hostile name is the first that is told
    )
    page = client.get(f"/runs/{led.run_id}").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_run_is_followed_while_it_goes_on_and_calls_for_its_page_once_it_is_over(client, led):
    path = f"/runs/{led.run_id}"
    page = client.get(path).text
    assert 'data-stage="joining"' in page
    assert "every 1s" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    led.join()
    assert "3 of 3 owners are here" in client.get(path).text
    led.write("started", owners=3, rounds=3)
    led.close_round(1, missing=led.owners[2:])
    led.write("update", owner=led.owners[0], round=2)
    page = client.get(path).text
    assert 'data-stage="teaching"' in page
    assert "update sent" in page
    assert re.search(r"seconds? left", page)
    assert "baseline" in page
    assert f'hx-get="{path}?was=running"' in page
    live = {"HX-Request": "true"}
    assert "hx-refresh" not in client.get(f"{path}?was=running", headers=live).headers
    led.close_round(2)
    led.close_round(3, score=0.8)
    assert 'data-stage="measuring"' in client.get(path).text
    led.write("measured", together=0.8, metric="AUC", alone=0.75)
    led.underway.done()
    over = client.get(f"{path}?was=running", headers=live)
    assert over.headers["hx-refresh"] == "true"
    assert "AUC 0.800 together, 0.750 alone" in over.text
    assert "hx-refresh" not in client.get(f"{path}?was=running").headers


def test_a_torn_last_line_and_nonsense_change_nothing(client, led):
    led.join()
    led.close_round(1)
    before = client.get(f"/runs/{led.run_id}").text
    with (led.folder / FILE_NAME).open("ab") as file:
        file.write(
            b'{"event":"round","round":"2"}\n{"event":"score","round":1,"score":"x"}\n'
            b'{"event":"round","round":-4,"missing":7}\n\xff\xfe\n[]\n{"event":"round","rou'
        )
    for outcome in (
        '{"owners": [3, {"index": 0, "rows": "many"}], "together": 4}',
        '{"findings": {"curve": [[0, 1e999]], "groups": 3}}',
        '{"findings": {"curve": [["0", "1"]]}}',
        '{"findings": {"gains": [{"difference": {"value": 1}}]}}',
        '{"findings": 7}',
        "[]",
    ):
        (led.folder / "outcome.json").write_text(outcome)
        (led.folder / "contributions.json").write_text(
            '{"values": [1, 2], "low": [1], "high": 3, "shares": 4}'
        )
        after = client.get(f"/runs/{led.run_id}")
        assert after.status_code == 200
        assert _region(after.text) == _region(before)


def test_a_run_whose_leader_died_says_so_and_is_not_asked_for_again(client, led):
    led.join()
    led.close_round(1)
    led.underway.close()
    page = client.get(f"/runs/{led.run_id}").text
    assert 'data-stage="stopped"' in page
    assert "was stopped after round 1 of 3" in page
    assert "every 1s" not in page


def test_a_folder_of_another_chains_run_is_not_taken_for_this_one(client, led):
    led.log.close()
    led.log = ProgressLog(led.folder)
    led.write("opened", name="Another", recipe="ab" * 32, rounds=9, owners=9)
    page = client.get(f"/runs/{led.run_id}").text
    assert 'data-stage="elsewhere"' in page
    assert "Another" not in page


@pytest.mark.parametrize("run", ["999999", "0", "-1", "abc", "1e3", "9" * 40, "%3Cscript%3E", "unrecorded"])
def test_a_run_that_is_not_there_is_said_not_to_be(client, run):
    answer = client.get(f"/runs/{run}")
    assert answer.status_code == 404
    assert "<script>" not in answer.text.split("</head>", 1)[1]


def test_a_run_without_a_chain_is_shown_too(client, house):
    learning = Learning(house.settings.home / "learning", Key.generate())
    learning.run(recipe(rounds=2), SPLIT)
    page = client.get("/runs/unrecorded").text
    assert "This run has no chain" in page
    assert "gains" in page or "loses" in page
    assert 'href="/runs/unrecorded"' in client.get("/runs").text


def test_a_private_run_says_what_is_seen_and_spent(client, led):
    settings = Privacy("private_sum", "distributed", clip_norm=1.0, epsilon=4.0)
    promised = {"protects": "owner", "whole": 4.0, **asdict(settings)}
    led.write("opened", run=led.run_id, recipe=led.recipe.digest.hex(), rounds=3, owners=3, privacy=promised)
    led.join()
    for number, epsilon in ((1, 2.0), (2, 2.9)):
        led.write("round", round=number, rounds=3, missing=[], epsilon=epsilon, delta=1e-5)
    page = client.get(f"/runs/{led.run_id}").text
    assert "The leader sees only the sum" in page
    assert "is paid the same. Every owner adds a part of the noise" in page
    assert "hidden to ε 2.90 so far, at δ 1e-05" in page
    assert "all rounds" in page
    chinese = client.get(f"/zh-hant/runs/{led.run_id}").text
    part = chinese.split("隱私保護到什麼程度？", 1)[1].split("</figure>", 1)[0]
    assert "每位擁有者各加一部分雜訊" in part
    assert "至今以 ε 2.90（δ 1e-05）為限" in part
    assert not re.search(r">[^<]*\b(round|owner|spent|noise|leader)", part, re.IGNORECASE)


def test_the_tour_says_what_it_will_show_before_anyone_took_it(client, house):
    assert "koinon tour" in client.get("/tour").text
    (house.settings.home / "tour").mkdir()
    for nonsense in ("", "[]", "{}", '{"began_at": "x"}', '{"began_at": 1, "parties": 3}'):
        (house.settings.home / "tour" / "story.json").write_text(nonsense)
        assert "Nobody took the tour" in client.get("/tour").text


def test_the_tour_goes_with_its_run_and_asks_about_applicants_only_what_is_sold(client, house, finished):
    run_id, work_id = finished
    story = Story(int(time.time()), {house.operator.address: HOSTILE}, run_id)
    story.save(house.settings.home)
    page = client.get("/tour").text
    assert "This tour was interrupted" in page
    assert "every 1s" not in page
    (house.settings.home / "tour" / "underway").touch()
    page = client.get("/tour").text
    assert "Harbour" in page
    assert "every 1s" in page
    assert "interrupted" not in page
    applicant = Applicant({"age": 41.0, HOSTILE: 2.0}, True)
    Story(1, story.parties, run_id, work_id, (applicant,), over=True).save(house.settings.home)
    page = client.get("/tour").text
    assert "This node does not sell it at the moment" in page
    assert "/act/services.call" not in page
    gateway = house.settings.home / "gateway"
    gateway.mkdir()
    (gateway / "services.json").write_bytes(_sold(work_id))
    page = client.get("/zh-hant/tour").text
    assert "/act/services.call" in page
    assert "換你了" in page
    assert "<script>alert" not in page


def _sold(work_id):
    service = {
        "work_id": work_id,
        "name": "Late payers",
        "description": "d",
        "till": "0x" + "11" * 20,
        "price": 1000,
        "kind": "model",
        "target": "/nowhere.npz",
    }
    return orjson.dumps({"services": [service]})


def _region(page):
    return page.split('<section id="run"', 1)[1].split("</section>", 1)[0]
