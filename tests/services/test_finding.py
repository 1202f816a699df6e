# SPDX-License-Identifier: Apache-2.0
"""Searching services: words in two languages, conditions, a ring of a thousand accounts, and what was
measured."""

from __future__ import annotations

import math
import random
from collections import Counter
from types import SimpleNamespace

import pytest

from koinon.errors import PeerError
from koinon.services.finding.found import Filters
from koinon.services.finding.market import CANDIDATES, Market
from koinon.services.finding.measured import KEPT, Measurements, TimedHttp
from koinon.services.finding.price_list import Listed, PriceList
from koinon.services.finding.ranking import quality, score
from koinon.services.finding.text_index import K1, NAME_WEIGHT, B, TextIndex
from koinon.services.finding.words import asked_for, words_of
from koinon.works.hall import Hall
from koinon.works.shares import WHOLE
from tests.services.made_up_market import MadeUp, account

FARMER, MAKER, BUYER, RINGLEADER, AUDITOR = map(
    account, ("farmer", "maker", "buyer", "ringleader", "auditor")
)
COIN = 10**6


# ------------------------------------------------------------ words


def test_latin_words_are_folded_and_chinese_is_kept_by_signs_and_pairs():
    assert words_of("Credit SCORES, ｆｏｒ_loans!") == ["credit", "score", "for", "loan"]
    assert words_of("glass is as is") == ["glass", "is", "as", "is"]
    assert words_of("臺北雨量AI") == ["臺", "北", "雨", "量", "臺北", "北雨", "雨量", "ai"]
    assert asked_for("雨量 雨 Loans loans") == ["雨量", "雨", "loan"]


@pytest.mark.parametrize("text", ["", "!!! ---", "\0\ud800", "a" * 10_000, "雨" * 10_000, "٣٤ №㎡"])
def test_any_text_is_searched_without_an_error(text):
    index = TextIndex()
    index.add(text, [text])
    assert index.scores(text).shape == (1,)


def test_an_empty_index_finds_nothing():
    assert len(TextIndex().scores("anything")) == 0


def test_scores_are_those_of_the_formula():
    dice = random.Random(3)
    texts = [" ".join(dice.choices("abcdefgh", k=dice.randint(1, 9))) for _ in range(40)]
    index = TextIndex()
    for text in texts:
        index.add(text, ["z"])
    counted = [
        Counter({word: NAME_WEIGHT * n for word, n in Counter(text.split()).items()}) for text in texts
    ]
    for each in counted:
        each["z"] += 1
    average = sum(each.total() for each in counted) / len(counted)
    for question in ("a", "b c", "h z a"):
        expected = []
        for each in counted:
            total = 0.0
            for word in question.split():
                n = sum(1 for other in counted if other[word])
                idf = math.log(1 + (len(counted) - n + 0.5) / (n + 0.5))
                tf = each[word]
                total += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * each.total() / average))
            expected.append(total)
        assert index.scores(question) == pytest.approx(expected, rel=1e-5)


def test_the_last_word_may_be_the_beginning_of_one_and_others_may_not():
    index = TextIndex()
    index.add("Credit score")
    assert index.scores("cred")[0] > 0
    assert index.scores("cred zebra")[0] == 0


# ------------------------------------------------------------ ranking


def test_quality_starts_in_the_middle_and_moves_with_weight_alone():
    assert quality(None, 0, COIN) == 0.5
    assert (
        0.5 < quality(100, COIN // 100, COIN) < quality(100, COIN, COIN) < quality(100, 100 * COIN, COIN) < 1
    )
    assert quality(0, COIN, COIN) < 0.5
    assert score(1.0, 0.5) == 1.0


# ------------------------------------------------------------ the market


class Setting:
    """A market over a history that was made up, with a real chain's contracts."""

    def __init__(self, folder, chain):
        implementation = str(chain.contract("Works").call("TILL_IMPLEMENTATION"))
        self.made = MadeUp(folder, chain.network, implementation)
        self.hall = Hall(chain, self.made.index, self.made.store)
        ground = SimpleNamespace(chain=chain, store=self.made.store)
        self.prices = PriceList(ground, self.made.index, self.made.index)
        self.measurements = Measurements(folder)
        self.market = Market(
            self.hall, self.prices, self.measurements, contracts=[chain.network.address("Bonds")]
        )

    def find(self, words="", *, reader=(), named=(), limit=24, **filters):
        self.made.write()
        trust = self.market.trust(reader, named)
        return self.market.find(words, Filters(**filters), trust=trust, limit=limit, ask=False)

    def ids(self, words="", **options):
        return [each.work_id for each in self.find(words, **options).results]

    def told(self, work_id, price, state="open"):
        self.prices._keep([Listed(work_id, state, price, None, None, 0)])


@pytest.fixture
def setting(tmp_path, chain):
    setting = Setting(tmp_path, chain)
    yield setting
    setting.made.index.close()


def test_services_are_found_by_words_in_both_languages(setting):
    credit = setting.made.work(MAKER, name="Credit score", description="How likely a loan is paid back.")
    rain = setting.made.work(MAKER, name="臺北逐時降雨", description="未來六小時的雨量預報。")
    setting.made.work(MAKER, name="Credit data", kind="dataset")
    assert setting.ids("loans") == [credit]
    assert setting.ids("雨量") == [rain]
    assert setting.ids("降雨 預報") == [rain]
    assert setting.ids() == [rain, credit]
    nothing = setting.find("zebra")
    assert (nothing.results, nothing.matching, nothing.in_all) == ((), 0, 2)


def test_a_new_service_is_found_by_the_next_search_and_a_changed_one_by_its_new_words_only(setting):
    first = setting.made.work(MAKER, name="Weather")
    assert setting.ids("weather") == [first]
    second = setting.made.work(MAKER, name="Weather too")
    assert set(setting.ids("weather")) == {first, second}


def test_models_and_agents_are_found_where_their_file_names_a_gateway(setting):
    model = setting.made.work(MAKER, name="Weather", kind="model")
    assert setting.ids("weather") == [model]


def test_conditions_on_price_leave_out_what_is_dear_unknown_or_sold_by_nobody(setting):
    cheap, dear, unknown, unsold = (setting.made.work(MAKER, name=f"Tea {n}") for n in range(4))
    setting.told(cheap, 1_000)
    setting.told(dear, 9_000)
    setting.told(unsold, None, "unsold")
    found = setting.find("tea", max_price=1_000)
    assert [each.work_id for each in found.results] == [cheap]
    assert (found.matching, found.without_price) == (1, 1)
    assert set(setting.ids("tea")) == {cheap, dear, unknown}


def test_conditions_on_speed_look_at_own_calls_only(setting):
    fast, slow, never = (setting.made.work(MAKER, name=f"Tea {n}") for n in range(3))
    for _ in range(20):
        setting.measurements.note(fast, 12.0, answered=True)
        setting.measurements.note(slow, 900.0, answered=True)
    setting.measurements.note(slow, 5.0, answered=False)
    assert setting.ids("tea", max_latency_ms=50) == [fast]
    measured = {each.work_id: each.measured for each in setting.find("tea").results}
    assert measured[never] is None
    assert measured[slow].success == pytest.approx(20 / 21)
    assert measured[slow].p95_ms == 900.0


def test_a_check_counts_by_a_contract_of_the_network_or_somebody_believed(setting, chain):
    by_contract, by_friend, by_anybody, failed = (setting.made.work(MAKER, name=f"Tea {n}") for n in range(4))
    setting.made.check(chain.network.address("Bonds"), by_contract, 100)
    setting.made.check(AUDITOR, by_friend, 90)
    setting.made.check(RINGLEADER, by_anybody, 100)
    setting.made.check(chain.network.address("Bonds"), failed, 100)
    setting.made.check(chain.network.address("Bonds"), failed, 0)
    assert set(setting.ids("tea", validated=True)) == {by_contract}
    assert set(setting.ids("tea", validated=True, named=[AUDITOR])) == {by_contract, by_friend}


def test_a_condition_on_marks_asks_for_marks_that_count(setting):
    rain = setting.made.work(FARMER, name="Rain", kind="dataset")
    good, poor, silent = (
        setting.made.work(MAKER, {setting.made.till(rain): WHOLE // 2}, name=f"Tea {n}") for n in range(3)
    )
    for service, mark in ((good, 95), (poor, 20), (silent, None)):
        setting.made.pay(BUYER, service, COIN)
        if mark is not None:
            setting.made.say(BUYER, service, mark)
    assert setting.ids("tea", min_quality=50, named=[FARMER]) == [good]
    assert setting.ids("tea", min_quality=50) == []
    assert setting.ids("tea", named=[FARMER]) == [good, silent, poor]


def test_a_ring_of_a_thousand_accounts_does_not_lift_a_service(setting):
    made = setting.made
    rain = made.work(FARMER, name="Rain", kind="dataset")
    honest = made.work(MAKER, {made.till(rain): WHOLE // 2}, name="Loan score", description="Scores loans.")
    for number in range(3):
        made.pay(account(f"customer {number}"), honest, 5 * COIN)
        made.say(account(f"customer {number}"), honest, 80)
    ring = [account(f"ring {number}") for number in range(1_000)]
    purse = made.work(RINGLEADER, {ring[0]: WHOLE // 2}, name="Purse", kind="dataset")
    shares = {made.till(purse): WHOLE // 4} | dict.fromkeys(ring[:50], WHOLE // 100)
    pushed = made.work(RINGLEADER, shares, name="Loan score", description="Scores loans.")
    for place, member in enumerate(ring):
        made.send(ring[place - 1], member, 1_000 * COIN)
        made.pay(member, pushed, 1_000 * COIN)
        made.say(member, pushed, 100)
        made.say(member, honest, 0)
    found = setting.find("loan score", named=[FARMER])
    assert [each.work_id for each in found.results] == [honest, pushed]
    best, ring_result = found.results
    assert best.evidence.counted == 3
    assert best.evidence.mean == 80
    assert (ring_result.evidence.weight, ring_result.quality) == (0, 0.5)
    assert len(ring_result.evidence.words) == 1_000
    before = {each.work_id: each.score for each in setting.find("loan score").results}
    assert before[pushed] == before[honest], "to who believes nobody they are alike"
    assert setting.ids("loan score") == [honest, pushed]


def test_a_service_that_is_well_spoken_of_is_not_lost_among_many_with_the_same_words(setting):
    made = setting.made
    rain = made.work(FARMER, name="Rain", kind="dataset")
    for _ in range(CANDIDATES + 20):
        made.work(RINGLEADER, name="Loan score", description="Scores loans.")
    honest = made.work(MAKER, {made.till(rain): WHOLE // 2}, name="Loan score", description="Scores loans.")
    made.pay(BUYER, honest, 5 * COIN)
    made.say(BUYER, honest, 80)
    assert setting.ids("loan score", named=[FARMER], limit=1) == [honest]


# ------------------------------------------------------------ prices and times


def test_only_paid_calls_are_timed_and_refusals_say_nothing(tmp_path, answering):
    measurements = Measurements(tmp_path)
    assert measurements.all() == {}
    http = TimedHttp(measurements, 10.0)
    paid = {"PAYMENT-SIGNATURE": "e30="}
    http.request("POST", f"{answering.url}/good/7", b"{}", {"Content-Type": "application/json"})
    assert measurements.all() == {}
    with pytest.raises(PeerError):
        http.request("POST", "http://127.0.0.1:9/services/7", b"{}", paid)
    assert (measurements.all()[7].calls, measurements.all()[7].success) == (1, 0)
    http.close()


def test_only_the_newest_calls_are_kept(tmp_path):
    measurements = Measurements(tmp_path)
    for number in range(30):
        measurements.note(1, float(number), answered=True)
    assert (measurements.all()[1].calls, measurements.all()[1].p50_ms) == (30, 15.0)
    assert measurements.all()[1].p95_ms == 28.0
    assert KEPT >= 1_000
