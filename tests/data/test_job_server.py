# SPDX-License-Identifier: Apache-2.0
"""A dataset's node as a process: over the wire, killed at any moment, and asked for nonsense."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.data.job_client import JobClient
from koinon.data.job_door import BODY_LIMIT
from koinon.data.job_orders import JobOrders
from koinon.data.job_server import address_in
from koinon.data.jobs import Asked, Bundle
from koinon.data.policy_file import read_policy
from koinon.data.publishing import change_terms, publish_dataset
from koinon.errors import BadInput, NotFound, PeerError, SetupError
from koinon.store import BlockStore
from tests.conftest import account_maker
from tests.data.market_support import COIN, MEAN_AGE, MEAN_SCHEMA, POLICY, table

PATIENCE_S = 60.0


@dataclass
class NodeProcess:
    """One node; `kill` it and `start` it again on the same folder."""

    folder: Path
    network_file: Path
    owner: Key
    works: list[int]
    port: int = 0
    ready: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def run(self) -> subprocess.Popen[bytes]:
        (self.folder / "password").write_text("owner")
        self.owner.save(self.folder / "key.json", "owner", derivation="pbkdf2")
        config = {
            "network": str(self.network_file),
            "key": str(self.folder / "key.json"),
            "password_file": str(self.folder / "password"),
            "data_dir": str(self.folder),
            "works": self.works,
            "port": self.port,
        }
        (self.folder / "config.json").write_bytes(orjson.dumps(config))
        with (self.folder / "errors").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "koinon.data.job_server", str(self.folder / "config.json")],
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def start(self) -> NodeProcess:
        self.process = self.run()
        assert self.process.stdout is not None
        self.ready = orjson.loads(self.process.stdout.readline())
        assert self.ready["event"] == "ready", self.ready
        self.port = int(self.ready["url"].rpartition(":")[2])
        return self

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


@pytest.fixture(scope="module")
def node(network, network_file, devnet, tmp_path_factory) -> Iterator[NodeProcess]:
    """One for all tests here; who kills it starts it again."""
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    folder = tmp_path_factory.mktemp("node")
    with Chain.open(network) as chain:
        owner, store = account_maker(chain, devnet)(), BlockStore(folder / "store")
        kept = publish_dataset(chain, store, owner, folder / "datasets", table(), read_policy(POLICY))
    made = NodeProcess(folder, network_file, owner, [kept.work_id])
    try:
        yield made.start()
    finally:
        made.kill()


@pytest.fixture
def buyer(chain, new_account):
    key = new_account()
    chain.sender(key).send(chain.coin.transaction("mint", key.address, 100 * COIN))
    return key


def wait_until_over(orders, order):
    end = time.monotonic() + PATIENCE_S
    while not (progress := orders.progress(order)).over:
        assert time.monotonic() < end, progress
        time.sleep(0.05)
    return progress


def test_a_job_survives_a_node_that_is_killed_wherever_it_is(node, buyer, chain, tmp_path):
    orders = JobOrders(chain, tmp_path / "orders")
    program = Bundle({"main.py": f"import time\ntime.sleep(0.5)\n{MEAN_AGE}".encode()})
    asked = Asked(node.works[0], buyer.address, program, MEAN_SCHEMA, 1, 3)
    order = orders.buy(buyer, orders.review(node.url, asked))
    for moment in (0.4, 3.4):
        time.sleep(moment)
        node.kill()
        assert orders.progress(order).word in ("silent", "released")
        node.start()
    progress = wait_until_over(orders, order)
    assert progress.word == "released"
    told = json.loads(orders.fetch(order)["result.json"])["mean_age"]
    assert 18 - 80 * 25 < told < 98 + 80 * 25  # noise goes further once in 7 * 10^10 times
    till = str(chain.contract("Works").call("till_of", node.works[0]))
    coins = [int(chain.coin.call("balanceOf", each)) for each in (buyer.address, till)]
    assert sum(coins) == 100 * COIN
    assert coins[1] == 5 * COIN + progress.chain.paid


def test_the_node_says_who_it_is_and_nothing_else(node):
    about = JobClient(node.url).about()
    assert about["account"] == node.owner.address
    assert about["unavailable"] == ""
    assert about["datasets"][str(node.works[0])]["max_seconds"] == 20
    for path in ("/", "/jobs", "/jobs/x", "/jobs/-1", f"/jobs/{'9' * 100}", "/jobs/1/2", "/datasets"):
        assert asked(node, "GET", path)[0] == 404
    with pytest.raises(NotFound):
        JobClient(node.url).status(10**9)
    with pytest.raises(NotFound):
        JobClient(node.url).result(10**9)


def asked(node, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(urlsplit(node.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_huge_upload_is_refused_before_it_is_read(node):
    status, body = asked(node, "POST", "/jobs", b"", {"Content-Length": str(BODY_LIMIT + 1)})
    assert status == 413
    assert orjson.loads(body)["code"] == "data.body_too_large"
    chunks = (b"x" * 65_536 for _ in range(BODY_LIMIT // 65_536 + 2))
    with contextlib.suppress(ConnectionError, http.client.HTTPException):  # shut while we were sending
        assert asked(node, "POST", "/checks", chunks, {"Transfer-Encoding": "chunked"})[0] == 413
    assert JobClient(node.url).about()["account"] == node.owner.address


def test_nonsense_is_answered_with_its_name(node):
    assert asked(node, "POST", "/jobs", b"\xff")[0] == 422
    status, body = asked(node, "POST", "/checks", b"{}")
    assert (status, orjson.loads(body)["code"]) == (422, "data.job")


def test_two_processes_never_serve_one_folder(node):
    second = node.run()
    told, _ = second.communicate(timeout=60)
    assert orjson.loads(told)["code"] == "data.serving"
    assert second.returncode == 3


def test_who_may_not_act_for_a_dataset_does_not_serve_it(node, new_account, tmp_path):
    folder = shutil.copytree(node.folder / "datasets", tmp_path / "node" / "datasets").parent
    process = NodeProcess(folder, node.network_file, new_account(), node.works).run()
    told, _ = process.communicate(timeout=60)
    assert orjson.loads(told)["code"] == "data.not_operator"


def test_a_node_that_is_not_there_is_silent():
    with pytest.raises(PeerError) as silent:
        JobClient("http://127.0.0.1:9", timeout_s=2).about()
    assert silent.value.code == "data.node_silent"
    with pytest.raises(BadInput):
        JobClient("ftp://node.example")


def test_a_dataset_is_served_from_when_it_is_published_on_the_terms_that_stand(
    chain, new_account, tmp_path, network_file
):
    owner, store = new_account(), BlockStore(tmp_path / "store")
    datasets = tmp_path / "node" / "datasets"

    def published(seed):
        return publish_dataset(chain, store, owner, datasets, table(seed=seed), read_policy(POLICY)).work_id

    first = published(1)
    other = shutil.copytree(datasets / str(first), datasets / "999999999")
    node = NodeProcess(tmp_path / "node", network_file, owner, [])
    node.process = node.run()
    try:
        assert node.process.stdout is not None
        lines = iter(node.process.stdout.readline, b"")
        told = orjson.loads(next(lines))
        assert (told["event"], told["work_id"], told["code"]) == (
            "not served",
            999999999,
            "data.other_network",
        )
        assert set(orjson.loads(next(lines))["datasets"]) == {str(first)}
        second = published(2)
        assert orjson.loads(next(lines))["works"] == [first, second]
        cheaper = read_policy(POLICY.replace('price_per_second = "0.01"', 'price_per_second = "0.002"'))
        change_terms(chain, store, owner, datasets, second, cheaper)
        assert orjson.loads(next(lines))["works"] == [first, second]
        shutil.rmtree(other)
        shutil.rmtree(datasets / str(first))
        served: list[int] = []
        while served != [second]:
            served = orjson.loads(next(lines))["works"]
        url = address_in(node.folder)
        about = JobClient(url).about()["datasets"]
        assert {name: terms["price_per_second"] for name, terms in about.items()} == {
            str(second): COIN // 500
        }
    finally:
        node.kill()
    assert address_in(node.folder) == ""
