# SPDX-License-Identifier: Apache-2.0
"""A model that somebody copied is sold at another gateway, and found by asking it as any buyer would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koinon.chain.keyring import Keyring
from koinon.cli import main
from koinon.errors import BadInput, PeerError
from koinon.services.api import Services
from koinon.services.buying.client import Buyer
from koinon.services.lineage.probing import service_answers
from koinon.services.models import perceptron as models
from koinon.services.models.files.prints import answers_of, kept_probes
from koinon.services.models.perceptron import Mlp
from koinon.settings import Settings
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.fingerprints.behaviour import NEAR, distance, follow_the_rule
from koinon.works.fingerprints.registry import FingerprintRegistry
from tests.services.support import COIN, Hall


def network(seed: int) -> Mlp:
    draw = np.random.default_rng(seed)
    return Mlp(
        features=("a", "b", "c", "d"),
        signed_log=np.array([False, False, True, False]),
        center=np.array([1.0, 0.0, 2.0, 5.0]),
        scale=np.array([1.0, 2.0, 1.0, 0.5]),
        layers=(
            (draw.standard_normal((4, 12)), draw.standard_normal(12)),
            (draw.standard_normal((12, 3)), draw.standard_normal(3)),
        ),
        activation="tanh",
        classes=("x", "y", "z"),
    )


def copied(model: Mlp) -> Mlp:
    draw = np.random.default_rng(99)
    order = draw.permutation(12)
    (first, bias), (last, end) = model.layers
    noisy = first + 0.01 * draw.standard_normal(first.shape)
    return Mlp(
        model.features,
        model.signed_log,
        model.center,
        model.scale,
        ((noisy[:, order], bias[order]), (last[order], end)),
        model.activation,
        model.classes,
    )


def test_a_copy_for_sale_is_found_by_asking_it(hall: Hall, tmp_path: Path) -> None:
    for name, model in (("mine", network(1)), ("stolen", copied(network(1))), ("other", network(2))):
        models.save(tmp_path / f"{name}.npz", model)
    store = BlockStore(tmp_path / "blocks")
    mine = Services(hall.chain, store, tmp_path / "mine", hall.publisher)
    original = mine.publish_model(tmp_path / "mine.npz", "0.001", name="Mine")
    probes = kept_probes(tmp_path / "mine", original.work_id)
    registered = FingerprintRegistry(Works(hall.chain, store)).registered(original.work_id)
    assert registered.behaviour == probes.digest
    assert follow_the_rule(probes, answers_of(tmp_path / "mine.npz"))
    thief = hall.account(ether=10)
    theirs = Services(hall.chain, store, tmp_path / "theirs", thief)
    sold = {
        name: theirs.publish_model(tmp_path / f"{name}.npz", "0.001", name=name).work_id
        for name in ("stolen", "other")
    }
    with (
        hall.gateway(tmp_path / "theirs", thief) as gateway,
        Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN, deposit=200_000) as buyer,
    ):
        found = {}
        for name, work_id in sold.items():
            url = f"{gateway.url}/services/{work_id}"
            schema = buyer.describe(url)["schema"]["input"]
            ask = service_answers(lambda body, url=url: buyer.call(url, body).result, schema)  # type: ignore[misc]
            found[name] = distance(probes, ask)
    assert found["stolen"] <= NEAR < found["other"]


def test_lineage_from_the_shell(
    hall: Hall, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    settings = Settings.load({"KOINON_RPC_URL": hall.chain.rpc.url}, home=home)
    settings.ensure_home()
    hall.chain.network.save(settings.network)
    owner = Keyring(settings.keys, derivation="pbkdf2", environment={}).open("operator")
    hall.fund(owner.address, ether=10)
    monkeypatch.setenv("KOINON_HOME", str(home))
    monkeypatch.setenv("KOINON_RPC_URL", hall.chain.rpc.url)
    models.save(tmp_path / "mine.npz", network(3))
    models.save(tmp_path / "copy.npz", copied(network(3)))

    def koinon(*arguments: str) -> tuple[int, Any]:
        status = main([*arguments, "--json"])
        told = capsys.readouterr()
        return status, json.loads(told.out or told.err)

    published = ("service", "publish", str(tmp_path / "mine.npz"), "--price", "0.001", "--no-serve")
    status, listing = koinon(*published)
    assert status == 0, listing
    work = str(listing["work_id"])
    assert koinon("lineage", "probe", work, str(tmp_path / "copy.npz"))[1]["match"] is True
    assert koinon("lineage", "probe", work, work)[1]["distance"] < 1e-6
    assert koinon("lineage", "probe", "999", str(tmp_path / "copy.npz"))[0] == BadInput.exit_status
    assert koinon("lineage", "find", work) == (0, [])
    status, adopted = koinon("adopt", str(tmp_path / "copy.npz"))
    assert (status, adopted["kind"], adopted["control"]["proven"]) == (0, "model", False)
    assert koinon("adopt", str(tmp_path / "copy.npz"))[0] == BadInput.exit_status
    assert koinon("adopt", "--check", str(adopted["work_id"]))[1]["source"] == adopted["source"]
    assert koinon("adopt")[0] == BadInput.exit_status
    document = koinon("works", "export-8004", work)[1]
    assert document["registrations"][0]["agentId"] == int(work)


@pytest.mark.parametrize("schema", [{}, {"properties": {"x": {}}}, {"properties": 5, "required": ["x"]}])
def test_a_service_that_does_not_say_what_it_takes_is_not_asked(schema: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        service_answers(lambda _body: None, schema)


@pytest.mark.parametrize(
    ("result", "right"),
    [
        ({"label": "x", "probability": 0.5, "probabilities": {"x": 0.5, "y": 0.5}}, True),
        ({"y": [0.5, 0.5]}, True),
        ("no numbers", False),
        ({"y": list(range(10_000))}, False),
    ],
)
def test_what_a_service_answers_is_read_as_numbers(result: Any, *, right: bool) -> None:
    ask = service_answers(lambda _body: result, {"properties": {"x": {}}, "required": ["x"]})
    if right:
        assert ask(np.zeros((2, 3))).tolist() == [[0.5, 0.5]] * 2
    else:
        with pytest.raises((BadInput, PeerError)):
            ask(np.zeros((2, 3)))


def test_inputs_are_given_by_position_where_there_are_as_many() -> None:
    asked: list[Any] = []
    schema = {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}

    def call(body: dict[str, Any]) -> float:
        asked.append(body)
        return 1.0

    assert service_answers(call, schema)(np.array([[1.0, 2.0]])).tolist() == [[1.0]]
    assert asked == [{"a": 1.0, "b": 2.0}]
    with pytest.raises(BadInput):
        service_answers(call, schema)(np.array([[1.0, 2.0, 3.0]]))
