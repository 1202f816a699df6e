# SPDX-License-Identifier: Apache-2.0
"""Staking on a service's answers from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.contract import Call
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.cli import main
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import SetupError
from koinon.services.gateway.registry import Registry
from koinon.services.verification.contract import Verification
from koinon.services.verification.pledge import read_pledges
from koinon.settings import Settings
from tests.services.verification.court import COIN, SOURCE

pytestmark = pytest.mark.e2e


@pytest.fixture
def koinon(
    chain: Chain,
    devnet: Devnet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[int, dict[str, Any]]]:
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    home = tmp_path / "home"
    settings = Settings.load({"KOINON_RPC_URL": chain.rpc.url}, home=home)
    settings.ensure_home()
    chain.network.save(settings.network)
    operator = Keyring(settings.keys, derivation="pbkdf2", environment={}).open("operator")
    sender = chain.sender(devnet.key(0))
    sender.send(Call(operator.address, value=10**19))
    sender.send(chain.coin.transaction("mint", operator.address, 500 * COIN))
    monkeypatch.setenv("KOINON_HOME", str(home))
    monkeypatch.setenv("KOINON_RPC_URL", chain.rpc.url)

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        status = main(["service", *arguments, "--json"])
        told = capsys.readouterr()
        return status, json.loads(told.out or told.err)

    return run


def test_a_service_is_bonded_and_its_verdicts_are_read(
    koinon: Callable[..., tuple[int, dict[str, Any]]], chain: Chain, tmp_path: Path
) -> None:
    source = tmp_path / "app.py"
    source.write_text(SOURCE)
    publish = ("publish", f"{source}:score", "--price", "0.001", "--no-serve", "--comparison", "exact")
    status, listing = koinon(*publish)
    assert status == 0, listing
    work_id = listing["work_id"]
    bond = ("bond", str(work_id), "--url", "http://127.0.0.1:8403/", "--window", "600")
    status, refused = koinon(*bond, "--stake", "0.001")
    assert (status != 0, refused["code"]) == (True, "verification.stake")
    status, bonded = koinon(*bond, "--answers", "10", "--audit-rate", "0.1")
    assert status == 0, bonded
    assert bonded["covered"] == 10
    home = tmp_path / "home" / "gateway"
    assert read_pledges(home)[work_id].bond_id == bonded["bond_id"]
    promise = Verification(chain).promise_of(bonded["bond_id"])
    assert (promise.terms.work_id, promise.terms.fee) == (work_id, 1_000)
    service = Registry(home).get(work_id)
    assert "crypto-economic" in service.supported_trust
    status, found = koinon("verdicts", str(work_id))
    assert (status, found) == (0, {"work_id": work_id, "summary": {}, "verdicts": []})
    for arguments, code in (
        (("judge", "--stake", "0.001"), "verification.juror_stake"),
        (("plant", str(bonded["bond_id"] + 10**6), "--reward", "1"), "verification.no_promise"),
        (("plant", str(bonded["bond_id"]), "--reward", "1", "--finders", "17"), "verification.plant"),
    ):
        status, refused = koinon(*arguments)
        assert (status != 0, refused["code"]) == (True, code)
    status, refused = koinon("bond", str(work_id + 10**6), "--url", "http://127.0.0.1:8403")
    assert (status != 0, refused["code"]) == (True, "service.unknown")
