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

from koinon.agents.api import Agents
from koinon.data.job_client import JobClient
from koinon.errors import KoinonError, PeerError
from koinon.services.buying.transport import Http
from koinon.settings import Settings
from koinon.up.cli import examine
from tests.data.market_support import POLICY, table
from tests.ports import own_ports

pytestmark = pytest.mark.e2e

GREETER = '''
from koinon.agents import Agent, Context, message, on


@message
class Greet:
    name: str


@message
class Greeting:
    text: str


class Greeter(Agent):
    """Greets whoever asks."""

    @on(Greet, skill=True)
    def greet(self, asked: Greet, context: Context) -> Greeting:
        return Greeting(f"Hello {asked.name}")
'''


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
    command.environment |= own_ports()
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


def served(url: str) -> list[str]:
    """The datasets that the node there computes on."""
    try:
        return sorted(JobClient(url, timeout_s=5).about()["datasets"])
    except PeerError:
        return []


def agents_at(url: str) -> list[str]:
    """The Works of the agents that run there."""
    http = Http(5, whole_s=5)
    try:
        return sorted(str(each["work_id"]) for each in Agents.told_by(http, url))
    except KoinonError:
        return []
    finally:
        http.close()


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
    for name in ("console", "gateway", "data", "agents", "rpc_url"):
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


def test_a_killed_watch_comes_back_and_nobody_waits_for_it(koinon, there):
    soon(lambda: koinon.status()["watch_alive"])
    before = koinon.status()
    os.kill(before["watch_pid"], signal.SIGKILL)
    soon(lambda: koinon.status()["watch_pid"] not in {0, before["watch_pid"]})
    assert answers(there["console"])


def test_agents_run_from_when_they_are_made_and_their_killed_host_comes_back(koinon, there, tmp_path):
    assert not there["agents_alive"]
    (tmp_path / "greeter.py").write_text(GREETER)
    works = []
    for _ in range(2):
        made = koinon.json("agent", "new", f"{tmp_path}/greeter.py:Greeter")
        assert made["url"] == there["agents"]
        works.append(str(made["work_id"]))
        soon(lambda: agents_at(there["agents"]) == sorted(works))
    before = koinon.status()
    assert before["agents_alive"]
    os.kill(before["agents_pid"], signal.SIGKILL)
    soon(lambda: koinon.status()["agents_pid"] not in {0, before["agents_pid"]})
    soon(lambda: agents_at(there["agents"]) == sorted(works))
    told = koinon.json("agent", "send", works[0], "Greet", '{"name": "Ada"}')
    assert told["answer"] == {"text": "Hello Ada"}


def test_a_dataset_is_served_from_when_it_is_published_and_its_killed_node_comes_back(
    koinon, there, tmp_path
):
    assert not there["data_alive"]
    table().save(tmp_path / "loans.npz")
    (tmp_path / "policy.toml").write_text(POLICY)
    made = koinon.json(
        "data", "publish", str(tmp_path / "loans.npz"), str(tmp_path / "policy.toml"), "--label", "paid"
    )
    soon(lambda: served(there["data"]) == [str(made["work_id"])])
    before = koinon.status()
    assert before["data_alive"]
    os.kill(before["data_pid"], signal.SIGKILL)
    soon(lambda: koinon.status()["data_pid"] not in {0, before["data_pid"]})
    soon(lambda: served(there["data"]) == [str(made["work_id"])])


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
    assert not alive(there["data_pid"])


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
    assert not any(alive(pid) for pid in (there["pid"], there["gateway_pid"], there["data_pid"], chain))
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
