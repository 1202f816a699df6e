# SPDX-License-Identifier: Apache-2.0
"""A chain of its own that can be turned back, and both databases: a SQLite file and PostgreSQL."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.anvil import spawn
from koinon.chain.deploy import deploy
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.keys import Key
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import NodeUnavailable
from tests.index_support import Place, Town


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


def _server_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of these tests' own, on a socket nobody else can reach."""
    programs = _server_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here: install the package postgresql")
    folder = Path("/tmp") / f"koinon-postgres-{os.getpid()}"  # noqa: S108  (a socket's path must be short)
    folder.mkdir(mode=0o700)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            entry = pwd.getpwnam("nobody")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    data = folder / "data"
    run = [str(programs / "initdb"), "-D", str(data), "-U", "koinon", "-A", "trust", "-N", "-E", "UTF8"]
    subprocess.run(run, check=True, capture_output=True, cwd=folder, env=environment, **user)
    options = ["-c", "fsync=off", "-c", "listen_addresses=", "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *options],
            cwd=folder, env=environment, stdout=log, stderr=log, **user,
        )  # fmt: skip
    try:
        for _ in range(400):
            if (folder / ".s.PGSQL.5432").exists():
                break
            time.sleep(0.05)
        yield f"postgresql:///postgres?host={folder}&user=koinon"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Makes empty places for an index: files, or databases on the server."""
    numbers = itertools.count()
    if request.param == "sqlite":
        yield lambda: tmp_path / f"index{next(numbers)}.sqlite"
        return
    import psycopg  # noqa: PLC0415  (only where it is asked for)

    url = request.getfixturevalue("postgres_url")
    made: list[str] = []

    def make() -> str:
        name = f"place_{os.getpid()}_{id(tmp_path)}_{next(numbers)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        made.append(name)
        return str(url).replace("/postgres?", f"/{name}?")

    yield make
    with psycopg.connect(url, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def index(town: Town, new_place: Place) -> Iterator[EventIndex]:
    with EventIndex.open(new_place(), town.chain) as opened:
        yield opened
