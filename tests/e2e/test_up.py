# SPDX-License-Identifier: Apache-2.0
"""One command runs a node; whatever is killed comes back, and nothing is left that blocks the next start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from koinon.settings import Settings
from koinon.up.cli import examine

pytestmark = pytest.mark.e2e


class Command:
    """`koinon` in one data directory."""

    def __init__(self, home: Path, anvil: Path) -> None:
        self.home = home
        given = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
        self.environment = given | {"KOINON_HOME": str(home), "KOINON_ANVIL": str(anvil)}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "koinon", *arguments],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def status(self) -> dict:
        return examine(Settings.load({}, home=self.home))

    def json(self, *arguments: str) -> dict:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        found: dict = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def koinon(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Command]:
    command = Command(tmp_path_factory.mktemp("home"), anvil_path)
    yield command
    command.run("down")


@pytest.fixture
def there(koinon: Command) -> dict:
    if not koinon.status()["running"]:
        koinon.json("up", "--detach")
    return koinon.status()


def answers(url: str) -> bool:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("GET", "/decide")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def soon(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about in a minute")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_detached_node_says_where_it_is_and_others_share_it(koinon, there):
    assert koinon.json("status")["console"] == there["console"]
    assert there["running"] is True
    assert there["gateway_alive"] is True
    assert answers(there["console"])
    again = koinon.json("up")
    assert again["already"] is True
    assert again["console"] == there["console"]
    assert again["operator_link"].startswith(there["console"])
    listed = koinon.run("service", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    soon(lambda: koinon.status()["lag"] == 0)


def test_nothing_that_runs_is_reached_from_other_machines(there):
    for name in ("console", "gateway", "rpc_url"):
        assert urlsplit(there[name]).hostname == "127.0.0.1"


def test_a_killed_gateway_and_a_killed_chain_come_back_where_they_were(koinon, there):
    os.kill(there["gateway_pid"], signal.SIGKILL)
    soon(lambda: koinon.status()["gateway_pid"] not in {0, there["gateway_pid"]})
    chain = int((koinon.home / "devnet" / "anvil.pid").read_text())
    os.kill(chain, signal.SIGKILL)
    soon(lambda: koinon.status()["block"] is not None)
    now = koinon.status()
    assert now["gateway"] == there["gateway"]
    assert now["rpc_url"] == there["rpc_url"]
    assert now["block"] >= there["block"]


def test_a_killed_node_leaves_nothing_that_blocks_the_next(koinon, there):
    chain = int((koinon.home / "devnet" / "anvil.pid").read_text())
    os.kill(there["pid"], signal.SIGKILL)
    soon(lambda: not koinon.status()["running"])
    koinon.json("up", "--detach")
    now = koinon.status()
    assert now["pid"] != there["pid"]
    assert now["console"] == there["console"]
    assert now["gateway"] == there["gateway"]
    assert now["block"] >= there["block"]
    assert not alive(chain)
    assert not alive(there["gateway_pid"])


def test_the_log_of_a_detached_node_holds_no_way_in(koinon, there):
    link = koinon.json("up")["operator_link"]
    code = link.partition("#")[2]
    assert code
    log = (koinon.home / "up.log").read_text()
    assert "#" not in log
    assert code not in log
    assert (koinon.home / "up.log").stat().st_mode & 0o077 == 0


def test_a_node_that_is_told_to_stop_stops_with_all_its_processes(koinon, there):
    chain = int((koinon.home / "devnet" / "anvil.pid").read_text())
    assert koinon.json("down")["stopped"] == there["pid"]
    assert koinon.status()["running"] is False
    assert not any(alive(pid) for pid in (there["pid"], there["gateway_pid"], chain))
    assert koinon.json("down")["stopped"] is None


def test_a_taken_port_is_passed_over_by_default_and_named_where_it_was_chosen(koinon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = koinon.run("up", "--detach", "--json", KOINON_CONSOLE_PORT=str(port))
    assert failed.returncode == 3
    assert json.loads(failed.stderr.splitlines()[-1])["code"] == "setup.port"
    assert koinon.status()["running"] is False
