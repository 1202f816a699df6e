# SPDX-License-Identifier: Apache-2.0
"""``koinon markets fill`` killed in the middle, and run again: the same history, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from koinon.chain.rpc import Rpc
from koinon.cli import open_node
from koinon.errors import ChainError
from koinon.markets.simulation.truth import illicit_transactions, read
from koinon.settings import Settings

pytestmark = pytest.mark.e2e
PATIENCE_S = 300


def begin(home: Path, anvil_path: Path) -> subprocess.Popen[bytes]:
    arguments = ["markets", "fill", "--months", "0.06", "--seed", "5", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "koinon", "--home", str(home), *arguments],
        env={**os.environ, "KOINON_ANVIL": str(anvil_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def played(home: Path) -> int:
    """How many of the history's blocks there are: those after everybody got their test ETH."""
    plans = list((home / "simulations").glob("*-seed-5.json"))
    network = home / "network.json"
    if not plans or not network.exists():
        return 0
    start = orjson.loads(plans[0].read_bytes())["start"]
    try:
        with Rpc(orjson.loads(network.read_bytes())["rpc_url"]) as rpc:
            head: dict[str, Any] = rpc.call("eth_getBlockByNumber", "latest", False)
    except ChainError:
        return 0
    return int(int(head["timestamp"], 16) > start + 3 * 3_600)


def test_a_filling_that_was_killed_goes_on_where_it_stopped(tmp_path: Path, anvil_path: Path) -> None:
    home = tmp_path / "home"
    first = begin(home, anvil_path)
    end = time.monotonic() + PATIENCE_S
    while not played(home):
        assert first.poll() is None, "it was over before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    plan = next((home / "simulations").glob("*-seed-5.json"))
    assert orjson.loads(plan.read_bytes())["done"] is False
    assert not list((home / "simulations").glob("*-truth.json"))
    again = begin(home, anvil_path)
    out, _ = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0
    told = orjson.loads(out.splitlines()[-1])
    assert told["already"] is False
    assert set(told["opened"]) == {"credit pool", "vault"}
    assert orjson.loads(plan.read_bytes())["done"] is True
    # It compared every balance and reserve with the simulation; here, that the labelled transfers are there.
    truth = read(Path(told["truth"]))
    with open_node(Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=home)) as node:
        rows = node.index.rows("SELECT transaction_hash FROM coin_transfer")
        assert set(illicit_transactions(truth)) <= {row["transaction_hash"] for row in rows}
        assert len(node.index.rows("SELECT * FROM vault_factory_vault_created")) == 1
