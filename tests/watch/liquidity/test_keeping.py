# SPDX-License-Identifier: Apache-2.0
"""What is kept of liquidity, what is told at once, and the days that early warning looks at."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.markets.history.history import History
from koinon.watch.api import Watch
from koinon.watch.liquidity.flows import DAY_S, flows
from koinon.watch.liquidity.reading import Position
from koinon.watch.liquidity.series import liquid_by_day, top_share_by_day
from tests.lending.features.chronicle import DOLLAR, FACTS, POOL, Chronicle, role


@pytest.fixture
def watch(tmp_path):
    with Watch(tmp_path, clock=lambda: 1_000) as opened:
        yield opened


def pool(days=80, share=0.9):
    """A great holder and small ones put money in; some leaves every day, and borrowers take a part."""
    told = Chronicle().price(2000).tell("supply", "whale", asset=DOLLAR, amount=900 * 10**6)
    told.tell("supply", "small", asset=DOLLAR, amount=100 * 10**6)
    for _ in range(days):
        told.wait(1).tell("withdraw", "small", asset=DOLLAR, amount=10**6)
        told.tell("supply", "small", asset=DOLLAR, amount=10**6)
    told.wait(1).tell("borrow", "debtor", asset=DOLLAR, amount=round(share * 1_000 * 10**6))
    return told.history()


def test_what_was_liquid_is_told_backwards_from_what_is_now():
    history = pool(days=4, share=0.3)
    moved = flows(history, POOL)
    told = liquid_by_day(history, POOL, moved, DOLLAR, 700 * 10**6)
    assert told[-1] == 700 * 10**6
    assert told[0] == 1_000 * 10**6, "before the loan"
    paid = Chronicle().price(1).tell("supply", "a", asset=DOLLAR, amount=5 * 10**6)
    paid.tell("transfer", "a", asset=DOLLAR, amount=5 * 10**6, counterparty="")
    rows = [*paid.history().rows]
    own = History.of([row if row.kind != "transfer" else _to(row, POOL) for row in rows], FACTS)
    assert liquid_by_day(own, POOL, flows(own, POOL), DOLLAR, 5 * 10**6).tolist() == [5 * 10**6]


def _to(row, receiver):
    return type(row)(**{name: getattr(row, name) for name in row.__slots__} | {"counterparty": receiver})


def test_the_largest_holders_share_follows_who_puts_in_and_takes_out():
    told = Chronicle().tell("supply", "one", asset=DOLLAR, amount=60)
    for name in ("two", "three", "four", "five"):
        told.tell("supply", name, asset=DOLLAR, amount=10)
    told.wait(1).tell("withdraw", "one", asset=DOLLAR, amount=60)
    history = told.history()
    moved = flows(history, POOL)
    assert len(moved) == 2
    np.testing.assert_allclose(top_share_by_day(history, POOL, moved), [0.8, 0.75])
    assert moved.first_day == history.rows[0].timestamp // DAY_S


def test_a_red_pool_is_kept_and_told_and_a_sound_one_is_kept_alone(watch):
    red = watch.liquidity.measure(pool(), POOL, Position(DOLLAR, 10**6), data="rows of a test")
    assert red["red"]
    told = {each.key: (each.level, each.text) for each in watch.alerts.waiting()}
    assert told[f"liquidity coverage {POOL}"][0] == 2
    assert "The largest holder" in told[f"liquidity run {POOL}"][1]
    assert f"liquidity warning {POOL}" not in told, "too few days for it"
    [kept] = watch.liquidity.kept("pool")
    assert (kept["contract"], kept["made_at"], kept["data"]) == (POOL, 1_000, "rows of a test")
    watch.alerts.take()
    sound = watch.liquidity.measure(pool(), POOL, Position(DOLLAR, 10**12), data="later rows")
    assert not sound["red"]
    assert watch.liquidity.kept("pool")[0]["data"] == "later rows", "the newest takes its place"
    assert len(watch.liquidity.kept("pool")) == 1
    assert watch.alerts.waiting() == []


def test_what_is_not_kept_is_not_told(watch):
    watch.liquidity.measure(pool(), POOL, Position(DOLLAR, 1), data="x", keep=False)
    assert watch.liquidity.kept("pool") == []
    assert watch.alerts.counts()["noticed"] == 0


def test_an_early_warning_is_the_most_urgent(watch):
    document = {
        "contract": "pool",
        "red": True,
        "coverage": {"ratio": 0.5},
        "warning": {"combined": True},
        "holders": {"breaks_at": 3},
    }
    assert len(watch.liquidity.tell(document)) == 3
    first = watch.alerts.waiting()[0]
    assert (first.level, first.key) == (3, "liquidity warning pool")
    assert "3 largest holders" in watch.alerts.waiting()[-1].text
    assert (
        watch.liquidity.tell({**document, "red": False, "warning": None, "holders": {"breaks_at": None}})
        == []
    )


def test_a_simulated_pool_says_so_and_alarms_nobody(watch):
    made = watch.liquidity.simulate(seed=3)
    assert "simulated" in made["data"]
    assert made["warning"]["combined"]
    assert watch.alerts.counts()["noticed"] == 0
    assert role("nobody") not in str(made)
