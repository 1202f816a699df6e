# SPDX-License-Identifier: Apache-2.0
"""Methods on made-up markets whose answer is known, what they may see, and what trading costs."""

import numpy as np
import pytest

from koinon.errors import BadInput, NotFound
from koinon.treasury.allocation import backtest as testing
from koinon.treasury.allocation.backtest import Plan, backtest, walk
from koinon.treasury.allocation.methods import METHODS, WITHOUT_VIEWS, Views, allocate
from koinon.treasury.allocation.prices import Prices, aligned, read_prices

SPREADS = np.array([0.01, 0.02, 0.04])
NAMES = ("calm", "middling", "wild")
SHORT = Plan(train=60, step=20, samples=50)


def market(rows=300, seed=5, drift=0.0005):
    drawn = np.random.default_rng(seed).standard_normal((rows, 3)) * SPREADS + drift
    values = 100 * np.vstack([np.ones(3), np.cumprod(1 + drawn, axis=0)])
    dates = np.datetime64("2020-01-01", "s") + np.arange(rows + 1) * np.timedelta64(86_400, "s")
    return Prices(dates, NAMES, values, "made up")


def test_inverse_volatility_is_what_it_says():
    returns = market(20_000).returns
    wanted = (1 / SPREADS) / (1 / SPREADS).sum()
    assert np.allclose(allocate("inverse-volatility", returns, NAMES), wanted, atol=0.01)


def test_every_method_finds_weights_and_prefers_the_calm():
    returns = market(400).returns
    views = Views({"wild": 0.01}, {"wild": 0.9})
    for name in METHODS:
        weights = allocate(name, returns, NAMES, views)
        assert weights.sum() == pytest.approx(1)
        assert np.all(weights >= 0)
        if name in ("min-variance", "risk-budget", "hrp", "min-cvar"):
            assert weights[0] > weights[1] > weights[2]
    # Minimum variance without correlation: in proportion to one over the variance.
    wanted = SPREADS**-2 / (SPREADS**-2).sum()
    assert np.allclose(allocate("min-variance", returns, NAMES), wanted, atol=0.08)
    assert weights[2] > 0.5  # a good view of the wild one moves Black and Litterman's weights there


def test_views_must_fit():
    returns = market(60).returns
    with pytest.raises(BadInput, match="needs views"):
        allocate("black-litterman", returns, NAMES)
    with pytest.raises(BadInput, match="not held"):
        allocate("black-litterman", returns, NAMES, Views({"other": 0.1}))
    with pytest.raises(BadInput, match="no return"):
        Views({"calm": float("nan")})
    with pytest.raises(BadInput, match="confidence"):
        Views({"calm": 0.1}, {"calm": 0.0})


def test_unknown_methods_and_short_histories_are_said():
    with pytest.raises(NotFound, match="crystal-ball"):
        allocate("crystal-ball", market(60).returns, NAMES)
    with pytest.raises(BadInput, match="returns to learn from"):
        allocate("equal-weight", market(10).returns, NAMES)
    flat = np.zeros((60, 3))
    with pytest.raises(BadInput, match="never changed"):
        allocate("inverse-volatility", flat, NAMES)


def test_later_prices_change_nothing_that_was_decided_before(monkeypatch):
    """Every price after a moment is replaced by nonsense: all that was decided by then stays the same."""
    prices = market()
    plan = SHORT
    honest = walk(prices, "inverse-volatility", plan)
    changed = prices.values.copy()
    cut = 161  # the last decision before it is at return 141
    changed[cut + 1 :] = np.random.default_rng(0).uniform(1, 1_000, changed[cut + 1 :].shape)
    other = walk(Prices(prices.dates, NAMES, changed), "inverse-volatility", plan)
    decided = 1 + (cut - plan.train - plan.embargo) // plan.step
    assert np.array_equal(honest.weights[:decided], other.weights[:decided])
    assert not np.array_equal(honest.weights[-1], other.weights[-1])


def test_a_method_that_writes_into_what_it_sees_changes_nothing(monkeypatch):
    prices = market()
    before = prices.values.copy()

    def vandal(method, returns, names, views=None):
        returns[:] = 0
        return np.full(len(names), 1 / len(names))

    monkeypatch.setattr(testing, "allocate", vandal)
    walk(prices, "equal-weight", SHORT)
    assert np.array_equal(prices.values, before)


def test_views_are_asked_with_past_returns_only():
    seen = []

    def model(returns, names):
        seen.append(len(returns))
        return Views({"calm": 0.001})

    walk(market(100), "black-litterman", Plan(train=60, step=40, samples=10), model)
    assert seen == [60]


def test_trading_costs_what_is_moved():
    prices = market()
    free = walk(prices, "equal-weight", Plan(train=60, step=20, cost_bps=0))
    paid = walk(prices, "equal-weight", Plan(train=60, step=20, cost_bps=100))
    assert paid.turnover == pytest.approx(free.turnover) == pytest.approx(0.055, abs=0.05)
    grown = np.prod(1 + paid.returns) / np.prod(1 + free.returns)
    first, later = 1 - 0.01, (1 - 0.01 * free.turnover) ** (free.rebalances - 1)
    assert grown == pytest.approx(first * later, rel=1e-4)


def test_equal_weight_is_always_beside_it():
    report = backtest(market(), ["inverse-volatility"], SHORT, folds=4)
    assert [row.method for row in report.rows] == ["equal-weight", "inverse-volatility"]
    base, other = report.rows
    assert base.beats == 0
    assert base.beats_interval == (0, 0)
    assert not base.better
    for row in report.rows:
        assert row.sharpe_interval[0] < row.sharpe < row.sharpe_interval[1]
        assert 0 <= row.deflated <= row.probable <= 1
    assert other.sharpe - base.sharpe == pytest.approx(other.beats)
    assert report.tested == 300 - 61
    assert {len(values) for values in report.paths.values()} == {6}
    assert report.to_dict()["baseline"] == "equal-weight"
    assert "black-litterman" not in WITHOUT_VIEWS


# ---------------------------------------------------------------- prices


def test_prices_are_read_from_files(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    text = tmp_path / "prices.csv"
    text.write_text("date,A,B\n2024-01-01,1,10\n2024-01-02,2,10.5\n2024-01-03,1.5,11\n")
    found = read_prices(text)
    assert found.names == ("A", "B")
    assert found.returns[0].tolist() == [1.0, pytest.approx(0.05)]
    table = pyarrow.table({"date": found.dates, "A": found.values[:, 0], "B": found.values[:, 1]})
    parquet.write_table(table, tmp_path / "prices.parquet")
    again = read_prices(tmp_path / "prices.parquet")
    assert np.array_equal(again.values, found.values)
    assert np.array_equal(again.dates, found.dates)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "date\n2024-01-01\n",
        "date,A\n2024-01-01,1\n",
        "date,A\n2024-01-01,1\n2024-01-02\n2024-01-03,1\n",
        "date,A\nyesterday,1\n2024-01-02,1\n2024-01-03,1\n",
        "date,A\n2024-01-01,1\n2024-01-02,\n2024-01-03,1\n",
        "date,A\n2024-01-01,1\n2024-01-02,0\n2024-01-03,1\n",
        "date,A\n2024-01-02,1\n2024-01-01,1\n2024-01-03,1\n",
        "date,A,A\n2024-01-01,1,1\n2024-01-02,1,1\n2024-01-03,1,1\n",
    ],
)
def test_files_that_are_no_prices_are_said(tmp_path, content):
    path = tmp_path / "prices.csv"
    path.write_text(content)
    with pytest.raises(BadInput):
        read_prices(path)


def test_files_that_are_not_there_or_no_parquet(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_prices(tmp_path / "missing.csv")
    (tmp_path / "wrong.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadInput, match="no Parquet"):
        read_prices(tmp_path / "wrong.parquet")


def test_prices_told_at_any_moment_are_aligned_without_looking_ahead():
    found = aligned({"A": ([0, 15, 35], [1, 2, 3]), "B": ([10, 20, 40], [10, 20, 40])}, 10)
    assert found.dates.astype(int).tolist() == [10, 20, 30, 40]
    assert found.values.tolist() == [[1, 10], [2, 20], [2, 20], [3, 40]]
    with pytest.raises(BadInput, match="no price"):
        aligned({"A": ([], [])}, 10)
