# SPDX-License-Identifier: Apache-2.0
"""Two hosts as processes that know of each other by the chain alone; what they believe, and how they fail."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from koinon.agents.api import Agents
from koinon.agents.client import Hosts
from koinon.agents.directory import ChainReach
from koinon.agents.host import run_config
from koinon.agents.verdicts import ACCEPTED, NOT_ITS_ACCOUNT
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import NotFound, PeerError
from koinon.store import BlockStore
from tests.agents.support import envelope
from tests.browser.traders import Ask

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
TRADERS = "tests.browser.traders"
PATIENCE_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config_of(agents: Agents, network_file: Path, rpc_url: str, port: int, **more: Any) -> dict[str, Any]:
    ring = agents._keyring
    return {
        "network": str(network_file),
        "rpc_url": rpc_url,
        "blocks": str(agents.home.parent.parent / "blocks"),
        "data_dir": str(agents.home),
        "port": port,
        "agents": [
            {
                "work_id": each.work_id,
                "target": each.target,
                "arguments": dict(each.arguments),
                "key": str(ring.path(each.key)),
                "password_file": str(ring.password_file),
            }
            for each in agents.kept()
        ],
    } | more


@contextmanager
def hosting(folder: Path, config: Any) -> Iterator[dict[str, Any]]:
    """A host that says that it is ready."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "koinon.agents.host", str(file)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert json.loads(said.splitlines()[-1])["event"] == "stopped"


@pytest.fixture
def people(tmp_path, chain, new_account):
    """Two owners with data directories of their own, and one store, as over a content network."""
    store = BlockStore(tmp_path / "blocks")
    made = []
    for name in ("buyer", "seller"):
        home = tmp_path / name
        ring = Keyring(home / "keys", derivation="pbkdf2")
        made.append(Agents(chain, store, home / "agents", ring, new_account()))
    return made


def handled(url: str, work_id: int) -> int:
    return int(httpx.get(f"{url}/agents/{work_id}", timeout=PATIENCE_S).json()["handled"])


def test_two_hosts_find_each_other_by_their_works_and_trade(people, tmp_path, network_file, devnet, chain):
    buyer, seller = people
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    mill = seller.create(f"{TRADERS}:Mill", url=urls[1], arguments={"price": 9})
    baker = buyer.create(f"{TRADERS}:Baker", url=urls[0], arguments={"mills": [str(mill.address)]})
    with ExitStack() as stack:
        for who, port in zip((buyer, seller), ports, strict=True):
            config = config_of(who, network_file, devnet.rpc_url, port)
            ready = stack.enter_context(hosting(who.home, config))
            assert ready["event"] == "ready"
        end = time.monotonic() + PATIENCE_S
        while handled(urls[1], mill.work_id) < 5 or handled(urls[0], baker.work_id) < 3:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert buyer.see(mill.work_id).beat is not None
        told = buyer.send(mill.work_id, "Ask", {"sacks": 7})
        assert told.answer == {"price": 63}
        assert len(buyer.send(mill.work_id, "Order", {"sacks": 7, "price": 63}).message_id) == 64
        with pytest.raises(PeerError):
            buyer.send(mill.work_id, "Order", {"sacks": "7"})
        asyncio.run(lying(buyer, seller, baker, mill, urls[1]))
    assert "dead" not in {each.state for each in seller.flow().messages}


async def lying(buyer: Agents, seller: Agents, baker: Any, mill: Any, url: str) -> None:
    """Nobody speaks for a Work but its account, and that only for the owner who said so."""
    domain, hosts = seller.directory.domain, Hosts()
    key = buyer._keyring.open(baker.key)
    stranger = Key.generate()

    def letter(signer: Key, work_id: int) -> bytes:
        return envelope(signer, mill.address, Ask(1), work_id=work_id, domain=domain)

    spare = await asyncio.to_thread(buyer.create, f"{TRADERS}:Mill", url=url, arguments={"price": 1})
    spare_key = buyer._keyring.open(spare.key)
    works = buyer._chain.contract("Works")
    sold = works.transaction("transferFrom", buyer._operator.address, stranger.address, spare.work_id)
    await asyncio.to_thread(buyer._chain.sender(buyer._operator).send, sold)
    letters = [
        letter(key, baker.work_id),
        letter(stranger, 0),
        letter(stranger, baker.work_id),
        letter(key, mill.work_id),
        letter(spare_key, spare.work_id),
        letter(key, 10**9),
    ]
    assert await hosts.hand_in(url, letters) == [ACCEPTED] * 2 + [NOT_ITS_ACCOUNT] * 4
    await hosts.close()
    reach = ChainReach(seller.directory)
    assert await reach.endpoint(mill.address) == url
    for nobody in (spare.address, mill.address.of(mill.work_id, bytes(20)), mill.address.of(0, bytes(20))):
        with pytest.raises(NotFound):
            await reach.endpoint(nobody)


@pytest.mark.parametrize("change", ["agents", "key", "network", "unknown", "port", "target"])
def test_a_host_that_cannot_start_says_why(people, network_file, devnet, capsys, change):
    buyer, _seller = people
    buyer.create(f"{TRADERS}:Mill", arguments={"price": 9})
    config = config_of(buyer, network_file, devnet.rpc_url, free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if change == "agents":
            del config["agents"]
        elif change == "key":
            config["agents"][0]["key"] += ".missing"
        elif change == "network":
            config["network"] += ".missing"
        elif change == "unknown":
            config["colour"] = "red"
        elif change == "port":
            config["port"] = taken.getsockname()[1]
        else:
            config["agents"][0]["target"] = "nowhere:Agent"
        file = buyer.home / "config.json"
        file.write_text(json.dumps(config))
        assert run_config(file) in (2, 3, 4, 5)
    assert json.loads(capsys.readouterr().out)["event"] == "failed"
