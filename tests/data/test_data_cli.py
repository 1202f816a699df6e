# SPDX-License-Identifier: Apache-2.0
"""`koinon data` as an owner and a buyer type it, each in a data directory of their own on one chain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.address import checksum
from koinon.chain.devnet import Devnet
from koinon.cli import main
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.data.shown import amount, read_amount
from koinon.errors import BadInput, SetupError
from tests.data.keeper_support import KeeperProcess
from tests.data.market_support import COIN, MEAN_AGE, MEAN_SCHEMA, POLICY, table

pytestmark = pytest.mark.e2e
TERMS = POLICY + '\n[download]\nprice = "3"\n'


@dataclass
class Shell:
    """One person's commands, in this process."""

    environment: dict[str, str]
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Any:
        """What a command says; its error's code where it refuses."""
        for name, text in self.environment.items():
            self.patch.setenv(name, text)
        status = main(["data", *arguments, "--json"])
        said = self.captured.readouterr()
        return json.loads(said.out) if status == 0 else json.loads(said.err)["code"]

    @property
    def home(self) -> Path:
        return Path(self.environment["KOINON_HOME"])


@pytest.fixture
def people(tmp_path, devnet: Devnet, network_file, monkeypatch, capsys):
    """An owner's and a buyer's shell; both read one store, as they would over a content network."""
    shells = []
    for name in ("owner", "buyer"):
        home = tmp_path / name
        home.mkdir()
        (home / "network.json").write_bytes(network_file.read_bytes())
        environment = {"KOINON_HOME": str(home), "KOINON_RPC_URL": devnet.rpc_url, "KOINON_LANG": "en"}
        shells.append(Shell(environment, monkeypatch, capsys))
    owner, buyer = shells
    (owner.home / "blocks").mkdir()
    (buyer.home / "blocks").symlink_to(owner.home / "blocks")
    return owner, buyer


@pytest.fixture
def published(people, tmp_path):
    """The owner's dataset, published by the shell: its id as text."""
    table().save(tmp_path / "loans.npz")
    (tmp_path / "policy.toml").write_text(TERMS)
    arguments = ("publish", str(tmp_path / "loans.npz"), str(tmp_path / "policy.toml"), "--label", "paid")
    made = people[0](*arguments)
    assert people[0](*arguments)["work_id"] == made["work_id"]
    return str(made["work_id"])


def test_an_owner_sells_and_a_stranger_buys_by_their_shells_alone(people, published, chain, tmp_path):
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    owner, buyer = people
    (tmp_path / "mean_age.py").write_text(MEAN_AGE)
    (tmp_path / "results.toml").write_text(MEAN_SCHEMA)
    job = (published, str(tmp_path / "mean_age.py"), "--results", str(tmp_path / "results.toml"))
    node = subprocess.Popen(
        [sys.executable, "-m", "koinon", "data", "serve", "--json"],
        env={**os.environ, **owner.environment},
        stdout=subprocess.PIPE,
    )
    try:
        assert node.stdout is not None
        ready = json.loads(node.stdout.readline())
        assert ready["event"] == "ready"
        shown = buyer("show", published)
        assert (shown["columns"], shown["here"]) == (["income", "age"], False)
        assert 18 <= buyer("try", *job)["results"]["mean_age"][0] <= 98
        assert buyer("submit", *job) == "data.no_node"
        options = ("--url", ready["url"], "--seconds", "2", "--most")
        assert buyer("submit", *job, *options, "5") == "data.price_rose"
        bought = buyer("submit", *job, *options, "6")
        done = buyer("result", str(bought["job_id"]), "--out", str(tmp_path / "out"))
        assert done["state"] == "released"
        assert json.loads((tmp_path / "out" / "result.json").read_bytes()) == json.loads(done["result"])
        assert [each["job_id"] for each in buyer("jobs")["jobs"]] == [bought["job_id"]]
        assert buyer("refund", str(bought["job_id"])).startswith("chain.")
    finally:
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=30)
    assert node.returncode == 0
    assert int(published) in [each["work_id"] for each in owner("list", "--search", "loans")["datasets"]]
    earned = {each["kind"]: each["amount"] for each in owner("earnings", published)["sources"]}
    assert earned == {"compute": 5 * COIN, "seconds": done["paid"]}
    (row,) = owner("served", published)["jobs"]
    assert (row["outcome"], row["epsilon"], row["note"]) == ("released", 1.0, "ok")
    policy = tmp_path / "policy.toml"
    policy.write_text(TERMS.replace('price = "5"', 'price = "4"\nconsent = "listed"'))
    assert owner("terms", published, str(policy))["offers"]["compute"] == 4 * COIN
    address = _address(buyer)
    assert owner("allow", published, "compute", address)["allowed"]
    assert owner("allow", published, "train", address, "--free", "--days", "1")["grant_id"]
    assert owner("budget", published, "9")["total"] == 9
    assert owner("budget", published, "12")["announced"] == 12


def test_a_sealed_file_is_bought_and_downloaded(people, published, chain, network_file, tmp_path):
    owner, buyer = people
    keepers = [KeeperProcess(tmp_path / f"keeper{number}", network_file).start() for number in range(2)]
    try:
        named = [text for each in keepers for text in ("--keeper", each.ready["url"])]
        assert buyer("download", published, str(tmp_path / "bought.npz")) == "data.not_sold"
        assert owner("seal", published, str(tmp_path / "loans.npz"), *named)["threshold"] == 2
        assert buyer("download", published, str(tmp_path / "bought.npz")) == "data.not_granted"
        assert buyer("buy", published, "download", "--most", "2.99") == "data.price_rose"
        buyer("buy", published, "download", "--most", "3")
        buyer("download", published, str(tmp_path / "bought.npz"))
        assert (tmp_path / "bought.npz").read_bytes() == (tmp_path / "loans.npz").read_bytes()
    finally:
        for each in keepers:
            each.kill()


def test_a_use_that_asks_for_consent_is_bought_with_the_owners_signature_once(people, chain, tmp_path):
    owner, buyer = people
    table(rows=200, seed=3).save(tmp_path / "loans.npz")
    policy = TERMS.replace('[train]\nprice = "7"', '[train]\nprice = "7"\nconsent = "signed"')
    (tmp_path / "policy.toml").write_text(policy)
    made = owner("publish", str(tmp_path / "loans.npz"), str(tmp_path / "policy.toml"), "--label", "paid")
    buyer("show", str(made["work_id"]))
    wanted = ("buy", str(made["work_id"]), "train", "--most", "7")
    assert buyer(*wanted) == "terms.consent"
    assert buyer(*wanted, "--consent", "0x00") == "terms.no_consent"
    assert buyer(*wanted, "--consent", str(tmp_path / "nothing")) == "data.consent_file"
    signed = owner("consent", str(made["work_id"]), "train", _address(buyer), "--days", "1")
    (tmp_path / "consent.txt").write_text(signed["consent"] + "\n")
    assert buyer(*wanted, "--consent", str(tmp_path / "consent.txt"))["grant_id"]
    assert buyer(*wanted, "--consent", signed["consent"]).startswith("chain.")
    assert (
        owner("consent", str(made["work_id"]), "train", _address(buyer), "--days", "0") == "data.consent_days"
    )


def _address(shell):
    told = json.loads((shell.home / "keys" / "operator.json").read_bytes())["address"]
    return checksum("0x" + told.removeprefix("0x"))


def test_amounts_are_read_and_shown_to_the_unit():
    assert read_amount("0.25", 6) == 250_000
    assert amount(1_250_000, 6) == "1.25"
    assert amount(5_000_000_000, 6) == "5,000"
    for wrong in ("", "-1", "nan", "a", "0.0000001"):
        with pytest.raises(BadInput):
            read_amount(wrong, 6)
