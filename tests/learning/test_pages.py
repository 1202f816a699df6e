# SPDX-License-Identifier: Apache-2.0
"""Training runs in the console: a finished one, one that goes on, and what strangers may have written."""

from __future__ import annotations

import re
import time

import orjson
import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.console.story import Applicant, Story
from koinon.learning.api import Learning
from koinon.learning.interrupted import Underway
from koinon.learning.ledger import Ledger
from koinon.learning.progress import FILE_NAME, ProgressLog
from koinon.learning.splits import Split
from tests.console.wallet_support import House, browser, open_console
from tests.learning.support import recipe, table

pytestmark = pytest.mark.e2e

SPLIT = Split(tuple(table(80 + 20 * seed, seed) for seed in range(3)), table(300, 8), table(400, 9))
HOSTILE = "<script>alert(1)</script>\"'"


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
    outcome = learning.run(recipe(), SPLIT, fund=house.fund, names=["Harbour", HOSTILE, "Station"])
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
    (led.folder / "outcome.json").write_text('{"owners": [3, {"index": 0, "rows": "many"}], "together": 4}')
    (led.folder / "contributions.json").write_text("{")
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
