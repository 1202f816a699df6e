# SPDX-License-Identifier: Apache-2.0
"""Both databases an index can be in, for tests: SQLite files, and a PostgreSQL server of their own."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.index_support import Place


def _server_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of these tests' own, on a socket nobody else can reach."""
    programs = _server_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here: install the package postgresql")
    folder = Path(tempfile.mkdtemp(prefix="koinon-postgres-", dir="/tmp"))  # a socket's path must be short
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
    run += ["--locale-provider=icu", "--icu-locale=en-US"]  # sorts as people do, not as bytes do
    subprocess.run(run, check=True, capture_output=True, cwd=folder, env=environment, **user)
    options = ["-c", "fsync=off", "-c", "listen_addresses=", "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *options],
            cwd=folder, env=environment, stdout=log, stderr=log, **user,
        )  # fmt: skip
    try:
        url = f"postgresql:///postgres?host={folder}&user=koinon"
        _await(url)
        yield url
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def _await(url: str) -> None:
    import psycopg  # noqa: PLC0415  (only where it is asked for)

    for _ in range(600):
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
            return
        time.sleep(0.1)  # it is starting up
    raise AssertionError("the PostgreSQL server does not start")


@pytest.fixture(scope="session")
def template() -> str:
    """The database that new ones on the server are copies of."""
    return "template1"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Makes empty places for an index: files, or databases on the server."""
    numbers = itertools.count()
    if request.param == "sqlite":
        yield lambda: tmp_path / f"index{next(numbers)}.sqlite"
        return
    import psycopg  # noqa: PLC0415  (only where it is asked for)

    url, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("template")
    made: list[str] = []

    def make() -> str:
        name = f"place_{os.getpid()}_{id(tmp_path)}_{next(numbers)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        made.append(name)
        return str(url).replace("/postgres?", f"/{name}?")

    yield make
    with psycopg.connect(url, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
