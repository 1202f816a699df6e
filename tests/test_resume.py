# SPDX-License-Identifier: Apache-2.0
"""What `koinon up` brings to an end after a kill."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from koinon.chain.keyring import Keyring
from koinon.learning.interrupted import Underway, close_interrupted
from koinon.node import OPERATOR, Node
from koinon.resume import TOUR_UNDERWAY, resume_interrupted
from koinon.services.api import Services
from koinon.services.buying.client import Buyer
from koinon.settings import Settings
from koinon.works.api import Works
from koinon.works.registration import Card, Registration
from koinon.works.shares import OWNER, ShareTable

FRIEND = "0x" + "44" * 20
CARD = Card(
    kind="service", summary="A test.", data="None.", limits=("Few.",), contest="Write.", unmeasured="A test."
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Node]:
    settings = Settings.load({"KOINON_ANVIL": str(anvil_path)}, home=tmp_path_factory.mktemp("home"))
    with Node.open(settings) as opened:
        yield opened


def resumed(node: Node) -> list[str]:
    said: list[str] = []
    resume_interrupted(node, said.append)
    return said


def cut_off(monkeypatch: pytest.MonkeyPatch, works: Works) -> int:
    """A Work whose publisher was killed before its shares were written."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    registration = Registration(name="Half", description="Half published.", card=CARD)
    with monkeypatch.context() as patched:
        patched.setattr(Works, "write_root", die)
        with pytest.raises(Killed):
            works.publish(registration, shares={FRIEND: 0.25})
    return int(works.contract.call("total"))


def test_nothing_was_interrupted_so_nothing_is_said(node: Node) -> None:
    assert resumed(node) == []


def test_a_work_whose_publishing_was_cut_off_gets_the_shares_its_owner_signed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = Works(node.chain, node.store, node.operator)
    work_id = cut_off(monkeypatch, works)
    assert works.unwritten(work_id) is not None
    (said,) = resumed(node)
    assert f"Work {work_id}" in said
    assert works.unwritten(work_id) is None
    assert works.shares_of(work_id).get(FRIEND) == 250_000_000
    assert resumed(node) == []


def test_a_run_that_nobody_leads_any_more_is_closed_once_and_its_evidence_is_named(tmp_path: Path) -> None:
    led = Underway(tmp_path / "7", 7, 15)
    led.reached(4)
    assert close_interrupted(tmp_path) == []  # it is being led
    led.close()
    (said,) = close_interrupted(tmp_path)
    assert "Run 7 was stopped after round 4 of 15" in said
    assert "evidence.bin" in said
    assert json.loads((tmp_path / "7" / "stopped.json").read_bytes())["round"] == 4
    assert close_interrupted(tmp_path) == []


def test_a_run_that_ended_well_is_not_closed(tmp_path: Path) -> None:
    led = Underway(tmp_path / "7", 7, 15)
    led.done()
    led.close()
    assert close_interrupted(tmp_path) == []


def test_a_damaged_marker_of_a_run_is_closed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "underway.json").write_bytes(b"[")
    (said,) = close_interrupted(tmp_path)
    assert "Run 7" in said


def test_a_killed_tours_parties_are_paid_and_a_living_tour_is_left_alone(node: Node) -> None:
    tour = node.settings.home / "tour"
    home = tour / "owners" / "1"
    lender = Keyring(home / "keys", derivation="pbkdf2", environment={}).open(OPERATOR)
    node.fund(lender.address)
    works = Works(node.chain, node.store, lender)
    published = works.publish(
        Registration(name="Data", description="Rows.", card=CARD),
        shares=ShareTable({FRIEND: 400_000_000, OWNER: 600_000_000}),
    )
    coin = node.chain.coin
    node.chain.sender(node.operator).send(coin.transaction("mint", published.till, 1000))
    (tour / TOUR_UNDERWAY).touch()
    with (tour / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert resumed(node) == []
    (said,) = resumed(node)
    assert "2 payments" in said
    assert int(coin.call("balanceOf", FRIEND)) == 400
    assert int(coin.call("balanceOf", lender.address)) == 600
    assert resumed(node) == []


def test_a_killed_gateways_vouchers_are_settled_into_the_tills(node: Node, tmp_path: Path) -> None:
    home = node.settings.home
    (tmp_path / "app.py").write_text("def double(number: int) -> int:\n    return 2 * number\n")
    services = Services(node.chain, node.store, home / "gateway", node.operator)
    listing = services.publish(f"{tmp_path / 'app.py'}:double", "0.001")
    ring = Keyring(node.settings.keys)
    config = {
        "network": str(node.settings.network),
        "key": str(ring.path(OPERATOR)),
        "password_file": str(ring.password_file),
        "data_dir": str(home / "gateway"),
        "settle_every_s": 0,
    }
    (tmp_path / "gateway.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "koinon.services.gateway.app", str(tmp_path / "gateway.json")]
    environment = {**os.environ, "KOINON_RPC_URL": node.chain.rpc.url}
    buyer_key = Keyring(tmp_path / "keys", derivation="pbkdf2", environment={}).open("buyer")
    coin = node.chain.coin
    node.chain.sender(node.operator).send(coin.transaction("mint", buyer_key.address, 10_000))
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        url = f"{json.loads(gateway.stdout.readline())['url']}/services/{listing.work_id}"
        with Buyer(node.chain, buyer_key, spending_limit=10_000) as buyer:
            assert [buyer.call(url, {"number": n}).result for n in range(3)] == [0, 2, 4]
        gateway.kill()
        gateway.wait()
    (said,) = resumed(node)
    assert "0.003" in said
    assert int(coin.call("balanceOf", listing.till)) == 3000
    assert resumed(node) == []
