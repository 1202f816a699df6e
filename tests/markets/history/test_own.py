# SPDX-License-Identifier: Apache-2.0
"""The node's own index tells the same of its markets as a scan of its own would, and nothing is believed of
those whom nobody named."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.index import EventIndex
from koinon.errors import BadInput
from koinon.lending.features.compute import features
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.pools import JUNIOR, SENIOR, CreditPool, CreditPools
from koinon.markets.api import Markets
from koinon.markets.feeds import Feed, Terms, scaled
from koinon.markets.history.cli import COMMANDS
from koinon.markets.history.facts import Facts
from koinon.markets.history.history import History
from koinon.markets.history.own import Own, venues
from koinon.markets.history.shadow import Shadow
from koinon.markets.history.tables import read_rows
from koinon.markets.pairs import Pair
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.treasury.api import Treasury
from koinon.treasury.charter_file import VaultTerms
from koinon.treasury.vault import Charter, Kind, Limits, Strategy
from koinon.works.attestations import Attestations, SchemaTerms
from tests.markets.test_pairs import ETHER, new_token
from tests.treasury.market_support import move_on, send

UNIT = 10**6
WINDOW_S = 800


@dataclass
class Town:
    """A pair, its feed, a credit pool with a loan, and a vault, each used once."""

    chain: Any
    pair: Pair
    feed: Feed
    pool: CreditPool
    vault: str
    borrower: str


@pytest.fixture(scope="module")
def town(own_chain, own_devnet, tmp_path_factory) -> Town:
    chain, owner = own_chain, own_devnet.key(0)
    for _ in range(3):
        send(chain, owner, chain.coin.transaction("mint", owner.address, 100_000 * UNIT))
    markets = Markets(chain)
    ether, dollars = new_token(chain, owner, "tETH", 18), markets.token()
    pair, _ = markets.provide(owner, ether, 50 * ETHER, dollars, 100_000 * UNIT)
    terms = Terms(pair.address, ether.address, 8, "tETH", (owner.address,), 1, 10**6, WINDOW_S, 300)
    feed = markets.create_feed(owner, terms)
    move_on(chain, WINDOW_S)
    collector = markets.collect(feed)
    collector.add(feed.sign(owner, scaled("2000", 8)))
    collector.post(owner)
    hops, due = markets.quote(ether, dollars, ETHER)
    markets.swap(owner, hops, ETHER, due)
    pool = lent(chain, owner, ether.address, feed.address)
    vault = saved(chain, owner, feed, pair, tmp_path_factory.mktemp("treasury"))
    return Town(chain, pair, feed, pool, vault, owner.address)


def lent(chain, owner, collateral: str, feed: str) -> CreditPool:
    schema = Attestations(chain).register(owner, SchemaTerms("score", issuers=(owner.address,)))
    tiers = (TierTerms(8_500, 150, 10**12, 100, 4_000, 50), TierTerms(5_000, 1_200, 10**11, 2_500, 4_000, 50))
    terms = PoolTerms(chain.coin.address, collateral, feed, schema, tiers, borrower_cap_bps=10_000)
    pool = CreditPools(chain).create(owner, terms)
    pool.deposit(owner, SENIOR, 80_000 * UNIT)
    pool.deposit(owner, JUNIOR, 20_000 * UNIT)
    pool.supply_collateral(owner, 10 * ETHER)
    pool.borrow(owner, 1_000 * UNIT)
    pool.repay(owner, 400 * UNIT)
    return pool


def saved(chain, owner, feed: Feed, pair: Pair, home: Path) -> str:
    base = feed.terms().base_token
    mine = owner.address
    charter = Charter(chain.coin.address, mine, mine, mine, mine, 1_000)
    strategies = (Strategy(Kind.TOKEN, base, feed.address, pair.address, 10**9, 0, 6_000),)
    treasury = Treasury(chain, home, owner)
    vault = treasury.create(
        VaultTerms("Test vault", "TV", charter, Limits(8_000, 100, 2_000, 500), strategies)
    )
    treasury.deposit(vault.address, 1_000 * UNIT)
    return str(vault.address)


def rows_of(history: History, *kinds: str) -> list[Any]:
    """What is not about who holds or may take what."""
    return [row for row in history.rows if row.kind in kinds]


KINDS = (
    "supply",
    "deposit_collateral",
    "borrow",
    "repay",
    "swap",
    "reserves",
    "price",
    "vault_deposit",
)


def test_it_says_what_a_scan_of_the_same_contracts_says(town, tmp_path):
    chain = town.chain
    with (
        EventIndex.open(tmp_path / "index.sqlite", chain) as index,
        Shadow(chain.rpc, tmp_path, depth=0) as shadow,
    ):
        own = Own(index, chain, [town.pool.address])
        assert own.sync() == own.confirmed() == chain.block_number()
        terms = town.pool.terms()
        shadow.watch(
            {
                town.pair.address: "koinon-pair",
                town.pool.address: "koinon-pool",
                town.feed.address: "koinon-feed",
                town.vault: "erc4626",
                chain.coin.address: "erc20",
                terms.collateral_token: "erc20",
            }
        )
        shadow.sync()
        ours, theirs = own.history(), shadow.history()
        assert ours.rows == theirs.rows
        assert {row.kind for row in ours.rows} >= set(KINDS)
        assert own.facts.markets[town.pair.address] == shadow.facts.markets[town.pair.address]
        assert own.facts.decimals == shadow.facts.decimals
        facts = own.facts.markets[town.pool.address]
        assert facts == shadow.facts.markets[town.pool.address]
        assert facts.lltvs_ppm == (850_000, 500_000)
        assert (facts.asset, facts.lltv_ppm) == (chain.coin.address, 850_000)
        last = ours.rows[-1].block_number
        vector = features(ours, town.borrower, last)
        assert vector.values["debt_value"] == pytest.approx(600)
        # A second look reads on, and asks no contract again.
        known = index.sources()
        assert own.sync() == chain.block_number()
        assert index.sources() == known
        assert [row.place for row in own.history(since=last).rows] == [
            row.place for row in ours.rows if row.block_number >= last
        ]


def test_feeds_that_nobody_named_are_not_believed(town, tmp_path):
    with EventIndex.open(tmp_path / "index.sqlite", town.chain) as index:
        own = Own(index, town.chain)
        own.sync()
        history = own.history()
        assert rows_of(history, "borrow")
        assert not rows_of(history, "price")
        assert own.facts.units == {town.chain.coin.address}
        stranger = Own(index, town.chain, [town.pair.address])
        with pytest.raises(BadInput, match="no credit pool of this network"):
            stranger.sync()
    with pytest.raises(BadInput, match="not negative"):
        Own(index, town.chain, depth=-1)


def test_only_what_stands_deep_enough_is_given_out(town, tmp_path):
    with EventIndex.open(tmp_path / "index.sqlite", town.chain) as index:
        own = Own(index, town.chain, depth=3)
        head = own.sync()
        assert own.confirmed() == head - 3
        assert all(row.block_number <= head - 3 for row in own.history().rows)
        assert own.history(unconfirmed=True).rows[-1].block_number > head - 3
        assert venues(index) == {town.pair.address, town.pool.address, town.vault}


def test_the_command_writes_what_lending_and_watch_read(town, tmp_path, capsys):
    command = next(each for each in COMMANDS if each.name == "history")

    class Opened:
        chain = town.chain
        index = EventIndex.open(tmp_path / "index.sqlite", town.chain)

    @contextmanager
    def opener(_settings):
        yield Opened

    session = Session(Settings.load({}, home=tmp_path), Terminal(json_output=True), opener=opener)
    out, facts = tmp_path / "rows.csv", tmp_path / "facts.json"
    arguments = ["--pool", town.pool.address, "--out", str(out), "--facts-out", str(facts)]
    command.main(arguments, standalone_mode=False, obj=session)
    told = json.loads(capsys.readouterr().out)
    rows = read_rows([out])
    assert told["rows"] == len(rows) > 0
    assert told["kinds"]["borrow"] == 1
    assert Facts.load(facts).units == {town.chain.coin.address}
    Opened.index.close()
