# SPDX-License-Identifier: Apache-2.0
"""A chain of its own that can be turned back, and both databases: a SQLite file and PostgreSQL."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from koinon.chain.anvil import spawn
from koinon.chain.deploy import deploy
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.keys import Key
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import NodeUnavailable
from tests.chain.index.liar import Liar
from tests.databases import new_place, postgres_url
from tests.index_support import Place, Town

__all__ = ["new_place", "postgres_url"]


@pytest.fixture(scope="session")
def fresh_town(anvil_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (tmp_path_factory.mktemp("town") / "log").open("wb") as log:
        child = spawn(anvil_path, ["--port", str(port), "--quiet"], log)
        rpc = Rpc(f"http://127.0.0.1:{port}")
        try:
            for _ in range(200):
                try:
                    chain_id = int(rpc.call("eth_chainId"), 16)
                    break
                except NodeUnavailable:
                    time.sleep(0.05)
            founder = Key.generate()
            rpc.call("anvil_setBalance", founder.address, hex(10**22))
            yield Town(Chain(deploy(rpc, Sender(rpc, founder, chain_id=chain_id), test_money=True), rpc))
        finally:
            rpc.close()
            child.kill()
            child.wait()


@pytest.fixture
def town(fresh_town: Town) -> Iterator[Town]:
    """As it was founded, for each test."""
    snapshot = fresh_town.snapshot()
    yield fresh_town
    fresh_town.revert(snapshot)


@pytest.fixture(scope="session")
def template(postgres_url: str, fresh_town: Town) -> str:
    """A database with the tables already made, so that not every test makes two hundred of them."""
    import psycopg  # noqa: PLC0415  (only where it is asked for)

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE prepared")
    EventIndex.open(postgres_url.replace("/postgres?", "/prepared?"), fresh_town.chain).close()
    return "prepared"


@pytest.fixture
def index(town: Town, new_place: Place) -> Iterator[EventIndex]:
    with EventIndex.open(new_place(), town.chain) as opened:
        yield opened


@pytest.fixture
def liar(town: Town) -> Iterator[Liar]:
    made = Liar(town.rpc.url)
    yield made
    made.close()
