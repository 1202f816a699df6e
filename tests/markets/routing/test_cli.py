# SPDX-License-Identifier: Apache-2.0
"""``koinon markets route | arbitrage | depth`` on a real node."""

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from koinon.markets.api import Markets
from koinon.markets.routing_cli import LOCAL, arbitrage, depth, route
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from tests.markets.test_pairs import new_token

ETHER, DOLLAR = 10**18, 10**6


@pytest.fixture
def trader(new_account):
    return new_account()


@pytest.fixture
def tokens(chain, trader):
    """Three tokens whose pairs are 5 % out of line."""
    markets = Markets(chain)
    ether, dollars, euros = (
        new_token(chain, trader, *each) for each in (("tETH", 18), ("tUSD", 6), ("tEUR", 6))
    )
    markets.provide(trader, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    markets.provide(trader, ether, 100 * ETHER, euros, 180_000 * DOLLAR)
    markets.provide(trader, euros, 90_000 * DOLLAR, dollars, 105_000 * DOLLAR)
    return ether.address, dollars.address, euros.address


@pytest.fixture
def run(chain, trader, tmp_path):
    node = SimpleNamespace(chain=chain, operator=trader)

    def ask(command, *words, people=False):
        said = io.StringIO()
        terminal = Terminal(stdout=said, stderr=said)
        session = Session(Settings.load({}, home=tmp_path), terminal, opener=lambda _: nullcontext(node))
        arguments = list(words) if people else [*words, "--json"]
        command.main(args=arguments, obj=session, standalone_mode=False)
        return said.getvalue() if people else json.loads(said.getvalue().splitlines()[-1])

    return ask


def test_an_order_is_shown_then_sent(run, tokens):
    ether, dollars, _ = tokens
    shown = run(route, ether, dollars, "10")
    assert shown["executed"] is None
    assert len(shown["steps"]) == 2
    sent = run(route, ether, dollars, "10", "--execute")
    assert sent["executed"]["as_planned"]
    assert sent["executed"]["brought"][dollars] == shown["planned"] == sent["planned"]
    assert sent["executed"]["local"]


def test_arbitrage_is_shown_sent_and_then_there_is_none(run, tokens):
    _, dollars, _ = tokens
    shown = run(arbitrage, "--in", dollars)
    assert shown["planned"] > 10 * DOLLAR
    done = run(arbitrage, "--in", dollars, "--watch", "--looks", "1", "--least", "1")
    assert done["executed"]["brought"] == {dollars: shown["planned"]}
    assert run(arbitrage, "--in", dollars, "--execute", "--least", "1")["executed"] is None


def test_depth_is_a_curve(run, tokens):
    ether, dollars, _ = tokens
    found = run(depth, ether, dollars, "--fall", "1", "--fall", "5")
    assert found["price"] == pytest.approx(2_000, rel=0.05)
    assert [each["fall"] for each in found["curve"]] == [0.01, 0.05]
    assert found["curve"][0]["amount_in"] < found["curve"][1]["amount_in"]


def test_people_read_ways_and_that_it_is_local(run, tokens):
    ether, dollars, _ = tokens
    told = run(route, ether, dollars, "1", "--execute", people=True)
    assert "tETH → tUSD" in told
    assert LOCAL in told
    assert "price falls by" in run(depth, ether, dollars, people=True)
    assert "The pools are in line" in run(arbitrage, "--in", dollars, "--eth", "1e9", people=True)
