# SPDX-License-Identifier: Apache-2.0
"""``koinon markets fill`` in a new data directory: a chain that began in the past, whose history ends now."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import click
import orjson
import pytest

from koinon.chain.keys import Key
from koinon.cli import BROUGHT, open_node
from koinon.errors import BadInput
from koinon.lending.api import Lending
from koinon.markets.simulation.cli import command
from koinon.markets.simulation.truth import illicit_transactions, read
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from koinon.treasury.api import Treasury
from koinon.treasury.vault import Kind
from koinon.works.attestations import Attestations

pytestmark = pytest.mark.e2e


@pytest.fixture
def settings(tmp_path: Path, anvil_path: Path) -> Settings:
    return Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=tmp_path / "home")


def run(settings: Settings, *arguments: str) -> Any:
    out = io.StringIO()
    terminal = Terminal(json_output=True, stdout=out, stderr=io.StringIO())
    session = Session(settings, terminal, opener=open_node, brought=BROUGHT)
    command.main(list(arguments), standalone_mode=False, obj=session)
    return orjson.loads(out.getvalue())


def test_a_new_data_directory_is_filled_up_to_now_and_only_once(settings: Settings) -> None:
    before = int(time.time())
    told = run(settings, "--months", "0.02", "--seed", "3", "--scenario", "wild")
    assert told["already"] is False
    assert told["seed"] == 3
    assert told["counts"]["refused"] == 0
    assert told["begins"] < before - 14 * 3_600
    assert before - 2 * 3_600 < told["ends"] <= int(time.time())
    truth = read(Path(told["truth"]))
    with open_node(settings) as node:
        assert node.chain.timestamp() <= int(time.time()) + 60
        rows = node.index.rows('SELECT transaction_hash, "from", "to" FROM coin_transfer')
        hashes = {row["transaction_hash"] for row in rows}
        assert set(illicit_transactions(truth)) <= hashes
        swaps = node.index.rows("SELECT COUNT(*) AS n FROM sim3_seth_tusd_swap")[0]["n"]
        assert swaps > 0
        lent = node.index.rows("SELECT COUNT(*) AS n FROM sim3_seth_pool_deposited")[0]["n"]
        assert lent >= 2  # the underwriter and the first lender
        # A stranger is quoted by the pool whose scores the operator issues, and gets a signed offer.
        lending, pool = Lending.of(node), told["opened"]["credit pool"]
        state = lending.pool(pool)
        assert lending.me in Attestations(node.chain).issuers_of(state.terms.schema)[0]
        quote = lending.quote(pool, Key.generate().address)
        assert quote.amount > 0
        assert quote.collateral_needed > 0
        assert lending.offer(quote).issuer == lending.me
        vault = Treasury.of(node).vault(told["opened"]["vault"])
        lent = next(slot for slot in vault.slots if slot.strategy.kind is Kind.SHARES)
        assert 0.25 < lent.worth / vault.gross < 0.31
        deposits = node.index.rows("SELECT COUNT(*) AS n FROM vault_deposit")[0]["n"]
        assert deposits == 1
        members = {person["address"] for person in truth["people"]}
        assert {row["to"] for row in rows} & members
    again = run(settings, "--months", "0.02", "--seed", "3", "--scenario", "wild")
    assert again["already"] is True
    assert again["contracts"] == told["contracts"]
    assert again["opened"] == told["opened"]
    with pytest.raises(BadInput, match="no room"):
        run(settings, "--months", "1", "--seed", "4")


def test_what_it_cannot_do_is_refused_before_anything_starts(settings: Settings) -> None:
    with pytest.raises(BadInput, match="months"):
        run(settings, "--months", "40")
    with pytest.raises(click.BadParameter):
        run(settings, "--scenario", "heaven")
    assert not settings.devnet.exists()
