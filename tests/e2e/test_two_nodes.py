# SPDX-License-Identifier: Apache-2.0
"""Two data directories, as on two machines: one deploys and hands a file on, one joins, and they trade."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.devnet import free_port
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.errors import NotFound
from koinon.node import OPERATOR, Node
from koinon.services.gateway.files import PublicFiles
from koinon.settings import Settings
from koinon.store import BlockStore
from koinon.works.api import Works
from tests.test_node import run_anvil

pytestmark = pytest.mark.e2e

PRICE = 500_000
GIFT = 2_000_000
CARD = {
    "name": "Tides",
    "description": "A year of tides.",
    "card": {
        "kind": "dataset",
        "summary": "Heights of the tide, hour by hour.",
        "data": "One gauge.",
        "limits": ["One harbour only."],
        "contest": "Write to the harbour master.",
        "unmeasured": "No model was trained on it.",
    },
}


@dataclass(frozen=True)
class Machine:
    """A data directory with a port for its gateway."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
        return {**kept, "KOINON_HOME": str(self.home), "KOINON_PORT": str(self.port), **(more or {})}

    def run(self, *arguments: str, more: dict[str, str] | None = None) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "koinon", *arguments, "--json"],
            env=self.environment(more),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return json.loads(done.stdout)

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[dict[str, Any]]:
        """A gateway of this machine; it settles when it ends."""
        child = subprocess.Popen(
            [sys.executable, "-m", "koinon", "service", *arguments, "--json"],
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout is not None
            yield json.loads(child.stdout.readline())
            child.send_signal(signal.SIGINT)
            assert child.wait(100) == 0
        finally:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

    @property
    def settings(self) -> Settings:
        return Settings.load({}, home=self.home)

    def address(self, name: str = OPERATOR) -> str:
        return Keyring(self.home / "keys", environment={}).open(name).address


def test_two_who_meet_by_a_file_trade_and_every_unit_is_there(tmp_path, anvil_path):
    first, second = Machine(tmp_path / "first", free_port()), Machine(tmp_path / "second", free_port())
    app = tmp_path / "app.py"
    app.write_text('def double(number: int) -> int:\n    """Twice the number."""\n    return 2 * number\n')
    card, file = tmp_path / "card.json", tmp_path / "harbour.json"
    card.write_text(json.dumps(CARD))

    with run_anvil(anvil_path, tmp_path / "anvil.log") as rpc_url:
        deployed = first.run("network", "deploy", rpc_url, "--name", "Harbour")
        first.run("network", "export", str(file), "--peer", first.url)
        joined = second.run("network", "join", str(file))
        assert joined["contracts"] == deployed["contracts"]
        assert joined["signer"] == first.address()
        assert first.address() != second.address(), "each has a key of its own"

        with first.serving("publish", f"{app}:double", "--price", "0.5") as service:
            answer = second.run("call", service["url"], '{"number": 21}')
            assert answer["result"] == 42
            assert answer["charged"] == PRICE
            # The second machine never had the registration file: it asks the peer that the network names.
            shown = second.run("works", "show", str(service["work_id"]))
            assert "double" in json.dumps(shown)

        dataset = second.run("works", "publish", str(card), "--share", f"{first.address()}=25%")
        with Node.open(first.settings) as node:
            coin, sender = node.chain.coin, node.chain.sender(node.operator)
            sender.send(coin.transaction("mint", dataset["till"], GIFT))
            with pytest.raises(NotFound):
                Works(node.chain, node.store).registration_of(dataset["work_id"])

        with second.serving("serve"):
            peers = {"KOINON_PEERS": second.url}
            collected = first.run("works", "collect", str(dataset["work_id"]), more=peers)
        assert collected["received"] == GIFT // 4
        first.run("works", "collect", str(service["work_id"]))
        second.run("works", "collect", str(dataset["work_id"]))

        with Chain.open(first.settings.network) as chain:
            coin = chain.coin

            def coins(address: str) -> int:
                return int(coin.call("balanceOf", address))

            assert coins(first.address()) == PRICE + GIFT // 4
            assert coins(second.address()) == GIFT - GIFT // 4
            held = [
                first.address(),
                second.address(),
                second.address("buyer"),
                service["till"],
                dataset["till"],
            ]
            held.append(chain.network.contracts["Channels"])
            assert sum(coins(address) for address in held) == coin.call("totalSupply"), "every unit is there"
            check_what_is_given_out(chain, second)


def check_what_is_given_out(chain: Chain, machine: Machine) -> None:
    """Registration files of this network, and nothing else that lies in the store."""
    store = BlockStore(machine.settings.blocks)
    given = PublicFiles(chain, store)
    files = list(store.cids())
    assert files
    assert all(given(cid) for cid in files)
    private = store.put(b"sealed content")
    for cid in (private, "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"):
        with pytest.raises(NotFound):
            given(cid)
