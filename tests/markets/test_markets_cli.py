# SPDX-License-Identifier: Apache-2.0
"""``koinon markets …`` as people and programs run it."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from koinon.errors import BadInput, NotFound
from koinon.markets.api import Markets
from koinon.markets.cli import group
from koinon.markets.feeds import Collector, Terms, scaled
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from tests.markets.test_pairs import DOLLAR, new_token


@pytest.fixture
def stage(own_chain, own_account):
    trader = own_account()
    return (
        own_chain,
        trader,
        new_token(own_chain, trader, "tETH", 18),
        new_token(own_chain, trader, "t[b]", 6),
    )


@pytest.fixture
def run(stage, tmp_path):
    """Run a command: its document with ``--json``, what it says without."""
    chain, trader, *_ = stage

    def command(*arguments, as_json=True):
        out = io.StringIO()
        terminal = Terminal(json_output=as_json, stdout=out, stderr=io.StringIO())
        node = SimpleNamespace(chain=chain, operator=trader)
        session = Session(Settings.load({}, home=tmp_path), terminal, opener=lambda _: nullcontext(node))
        group.main([str(each) for each in arguments], standalone_mode=False, obj=session)
        return json.loads(out.getvalue()) if as_json else out.getvalue()

    return command


def test_from_nothing_to_a_swap_and_out_again(stage, run):
    _, _, ether, dollars = stage
    assert "no pairs yet" in run("pairs", as_json=False)
    added = run("liquidity", "add", ether.address, "100", dollars.address, "200000")
    assert {added["amount0"], added["amount1"]} == {100 * 10**18, 200_000 * DOLLAR}
    (listed,) = run("pairs")
    assert listed == run("pair", added["pair"])
    assert {listed["token0"]["symbol"], listed["token1"]["symbol"]} == {"tETH", "t[b]"}
    quoted = run("swap", "1", ether.address, dollars.address, "--quote")
    assert quoted["amount_out"] is None
    done = run("swap", "1", ether.address, dollars.address)
    assert done["amount_out"] == done["quoted"] == quoted["quoted"] == 1_974_316_068
    said = run("swap", "1", ether.address, dollars.address, "--minimum", "1900", as_json=False)
    assert said.startswith("1 tETH brought 1,9")
    assert "t[b]" in said  # a symbol is never markup
    out = run("liquidity", "remove", added["pair"], "50")
    assert out["shares"] == added["shares"] // 2
    assert "came out" in run("liquidity", "remove", added["pair"], "100", as_json=False)


def test_a_price_or_the_reason_why_there_is_none(stage, run):
    chain, trader, ether, dollars = stage
    pair, _ = Markets(chain).provide(trader, ether, 10**20, dollars, 200_000 * DOLLAR)
    terms = Terms(pair.address, ether.address, 8, "ether [in] dollars", (trader.address,), 1, 3_600, 800, 300)
    feed = Markets(chain).create_feed(trader, terms)
    collector = Collector(feed)
    collector.add(feed.sign(trader, scaled("2000", 8)))
    collector.post(trader)
    with pytest.raises(NotFound, match="Nobody observed the pair"):
        run("price", feed.address)
    assert run("price", feed.address, "--feeders")["price"] == "2000.00000000"
    assert "ether [in] dollars: 2000" in run("price", feed.address, "--feeders", as_json=False)


def test_what_cannot_be_asked_for(stage, run):
    _, _, ether, dollars = stage
    with pytest.raises(BadInput) as fault:
        run("swap", "0", ether.address, dollars.address)
    assert fault.value.code == "markets.nothing_to_swap"
    with pytest.raises(NotFound):
        run("swap", "1", ether.address, "coin")


def test_the_other_tools_commands_are_there():
    assert {"pairs", "pair", "liquidity", "swap", "price", "follow", "import", "fill"} <= set(group.commands)
