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

from koinon.cli import BROUGHT, open_node
from koinon.errors import BadInput
from koinon.markets.simulation.cli import command
from koinon.markets.simulation.truth import illicit_transactions, read
from koinon.settings import Settings
from koinon.terminal import Session, Terminal

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
        members = {person["address"] for person in truth["people"]}
        assert {row["to"] for row in rows} & members
    again = run(settings, "--months", "0.02", "--seed", "3", "--scenario", "wild")
    assert again["already"] is True
    assert again["contracts"] == told["contracts"]
    with pytest.raises(BadInput, match="no room"):
        run(settings, "--months", "1", "--seed", "4")


def test_what_it_cannot_do_is_refused_before_anything_starts(settings: Settings) -> None:
    with pytest.raises(BadInput, match="months"):
        run(settings, "--months", "40")
    with pytest.raises(click.BadParameter):
        run(settings, "--scenario", "heaven")
    assert not settings.devnet.exists()
