# SPDX-License-Identifier: Apache-2.0
"""Publishing in one line, from Python and from the shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import BadInput, NotFound
from koinon.services.api import Services
from koinon.services.buying.client import Buyer
from koinon.services.gateway.registry import Registry
from koinon.services.models.perceptron import Mlp, save
from koinon.services.prices import to_units
from koinon.settings import Settings
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.registration import Card, Metric, Registration
from tests.services.support import COIN, PASSWORD, Hall

pytestmark = pytest.mark.e2e

FRIEND = Key.from_bytes(b"\x33" * 32).address
PUBLISH = ("service", "publish", "--price", "0.001", "--share", f"{FRIEND}=30%", "--json")
CARD = Card(
    kind="model",
    summary="Who pays back.",
    data="Test rows.",
    limits=("Only for tests.",),
    contest="Write to the owner.",
    metric=Metric("auc", 0.75, (0.74, 0.76), 0.72, "best owner alone", "test rows", 100),
)


@pytest.fixture
def services(hall: Hall, tmp_path: Path) -> Services:
    return Services(hall.chain, BlockStore(tmp_path / "blocks"), tmp_path / "gateway", hall.publisher)


def test_one_line_makes_a_function_a_work_that_earns_for_its_shares(
    hall: Hall, tmp_path: Path, app: Path, services: Services
) -> None:
    listing = services.publish(f"{app}:score", "0.001", shares={FRIEND: Fraction(3, 10)})
    assert listing.price == 1000
    assert listing.price_text == "0.001 tUSD"
    assert listing.shares[FRIEND] == 300_000_000
    works = Works(hall.chain, BlockStore(tmp_path / "blocks"), hall.publisher)
    assert works.owner_of(listing.work_id) == hall.publisher.address
    assert works.till_of(listing.work_id) == listing.till
    before, ours = hall.coins(FRIEND), hall.coins(hall.publisher.address)
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        url = f"{gateway.url}/services/{listing.work_id}"
        assert services.running() == gateway.url
        with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
            assert buyer.call(url, json.loads(listing.command.split("'")[1])).result == 40.001
            assert buyer.call_many(url, [{"income": 0}] * 9).paid == 9000
        report = services.settle()
        assert report["settled"] == {listing.till: 10_000}
    works.collect(listing.work_id)
    assert hall.coins(FRIEND) - before == 3_000
    assert hall.coins(hall.publisher.address) - ours == 7_000
    assert services.running() is None
    assert services.settle()["claimed"] == 0, "without a gateway it settles here"


def test_a_work_that_exists_is_sold_by_its_model_file(hall: Hall, tmp_path: Path, services: Services) -> None:
    work_id, till = hall.work()
    model = Mlp(
        features=("income", "age"),
        signed_log=np.array([True, False]),
        center=np.zeros(2),
        scale=np.ones(2),
        layers=((np.ones((2, 1)), np.zeros(1)),),
        activation="tanh",
        classes=("pays", "defaults"),
    )
    save(tmp_path / "model.npz", model)
    listing = services.offer_model(
        work_id, tmp_path / "model.npz", "0.002", name="Credit", description="Who pays back.", card=CARD
    )
    assert (listing.till, listing.price) == (till, 2000)
    with (
        hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway,
        Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
    ):
        answer = buyer.call(f"{gateway.url}/services/{work_id}", {"features": {"income": 0, "age": 0}})
    assert answer.result["probability"] == 0.5
    assert answer.evidence["card"]["value"] == 0.75
    assert answer.evidence["card"]["baseline"] == 0.72
    services.withdraw(work_id)
    assert services.listings() == []


def test_a_finished_model_is_offered_from_the_shell(hall: Hall, tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = Settings.load({"KOINON_RPC_URL": hall.chain.rpc.url}, home=home)
    settings.ensure_home()
    hall.chain.network.save(settings.network)
    owner = Keyring(settings.keys, derivation="pbkdf2", environment={}).open("operator")
    hall.fund(owner.address, ether=10)
    registration = Registration(name="Credit", description="Who pays back.", card=CARD)
    work_id = Works(hall.chain, BlockStore(settings.blocks), owner).publish(registration).work_id
    file = tmp_path / "model.npz"
    save(
        file,
        Mlp(
            features=("income",),
            signed_log=np.array([False]),
            center=np.zeros(1),
            scale=np.ones(1),
            layers=((np.ones((1, 1)), np.zeros(1)),),
            activation="tanh",
            classes=("pays", "defaults"),
        ),
    )

    def offer(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "koinon", "service", "offer", *arguments, "--price", "0.002", "--json"],
            env={**os.environ, "KOINON_HOME": str(home), "KOINON_RPC_URL": hall.chain.rpc.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = offer(str(work_id), str(file), "--no-serve")
    assert done.returncode == 0, done.stderr
    listing = json.loads(done.stdout)
    assert (listing["work_id"], listing["name"], listing["price"]) == (work_id, "Credit", 2000)
    service = Registry(home / "gateway").all()[work_id]
    assert service.card["value"] == 0.75
    assert offer("999999", str(file), "--no-serve").returncode == NotFound.exit_status
    assert offer(str(work_id), str(tmp_path / "no.npz"), "--no-serve").returncode == BadInput.exit_status


@pytest.mark.parametrize(
    ("target", "price", "shares", "code"),
    [
        ("{app}:nothing", "0.001", {}, "service.function_missing"),
        ("missing.py:score", "0.001", {}, "service.file_missing"),
        ("{app}:score", "free", {}, "service.price"),
        ("{app}:score", "0.0000001", {}, "service.price"),
        ("{app}:score", "1", {FRIEND: Fraction(11, 10)}, "service.share"),
        ("{app}:score", "1", {"0x12": Fraction(1, 10)}, "chain.address"),
    ],
)
def test_a_mistake_registers_nothing(
    hall: Hall, app: Path, services: Services, target: str, price: str, shares: dict[str, Fraction], code: str
) -> None:
    before = hall.chain.contract("Works").call("total")
    with pytest.raises(BadInput) as refused:
        services.publish(target.format(app=app), price, shares=shares)
    assert refused.value.code == code
    assert hall.chain.contract("Works").call("total") == before
    assert services.listings() == []


def test_a_model_that_is_none_or_a_work_that_is_not_there(
    hall: Hall, tmp_path: Path, services: Services
) -> None:
    with pytest.raises(BadInput):
        services.offer_model(1, tmp_path / "missing.npz", "1", name="x", description="x")
    with pytest.raises(NotFound):
        services.settle()
    with pytest.raises(NotFound):
        services.withdraw(99)


def test_a_buyer_is_a_process_of_its_own(hall: Hall, tmp_path: Path, app: Path) -> None:
    service = hall.service(Registry(tmp_path / "gateway"), f"{app}:score", inline=True)
    key = hall.account(coins=COIN)
    key.save(tmp_path / "buyer.key", PASSWORD, derivation="pbkdf2")
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "inputs.json").write_text(json.dumps([{"income": 1000}, {"income": 2000}]))
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        config: dict[str, Any] = {
            "network": str(hall.network_file),
            "key": str(tmp_path / "buyer.key"),
            "password_file": str(tmp_path / "password"),
            "url": gateway.address(service),
            "inputs": str(tmp_path / "inputs.json"),
            "calls": 120,
            "spending_limit": COIN,
        }
        done, events = buy(tmp_path, config)
        assert done == 0
        assert events[-1]["event"] == "report"
        assert (events[-1]["calls"], events[-1]["paid"], events[-1]["failed"]) == (120, 120_000, 0)
        assert [event["calls"] for event in events[:-1]] == [50, 100, 120]
        assert events[-1]["sample"]["evidence"]["work_id"] == service.work_id
        done, events = buy(tmp_path, config | {"spending_limit": 5000, "calls": 10})
        assert done != 0
        assert events[-1]["paid"] == 5000
        assert events[-1]["errors"] == ["payment.spending_limit"]
    done, events = buy(tmp_path, config)
    assert done == 8
    assert events[-1]["event"] == "failed"
    assert hall.coins(service.till) == 125_000


def buy(folder: Path, config: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    (folder / "buyer.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "koinon.services.buying.buyer", str(folder / "buyer.json")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def koinon(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "koinon", "--home", str(home), *arguments, "--json"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    return done.returncode, json.loads(done.stdout or done.stderr)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "KOINON_PORT": "0"}


def test_from_the_shell(tmp_path: Path, app: Path) -> None:
    home = tmp_path / "home"
    publisher = subprocess.Popen(
        [sys.executable, "-m", "koinon", "--home", str(home), *PUBLISH, f"{app}:score"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert publisher.stdout is not None
        ready = json.loads(publisher.stdout.readline())
        assert ready["shares"][FRIEND] == 300_000_000
        status, answer = koinon(home, "call", "1", '{"income": 5000}')
        assert (status, answer["result"], answer["charged"]) == (0, 45.0, 1000)
        status, answer = koinon(home, "call", ready["url"], '{"income": 5000}', "--exact")
        assert (status, answer["result"]) == (0, 45.0)
        status, listed = koinon(home, "service", "list")
        assert (status, len(listed)) == (0, 1)
        status, report = koinon(home, "service", "settle")
        assert (status, report["claimed"]) == (0, 1000)
        for wrong, code in (
            (("call", "1", "{"), 2),
            (("call", "1", '{"income": "x"}'), 2),
            (("call", "2", "{}"), 2),
        ):
            assert koinon(home, *wrong)[0] == code
    finally:
        publisher.send_signal(signal.SIGINT)
        publisher.communicate(timeout=60)
    assert publisher.returncode == 0


def test_prices_in_the_shell_are_coins() -> None:
    assert to_units("0.001", 6) == 1000
