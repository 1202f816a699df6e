# SPDX-License-Identifier: Apache-2.0
"""A commission between three machines: one pays, one works by a program and is killed at it, one judges."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from koinon.chain.devnet import free_port
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.node import OPERATOR
from koinon.services.jobs.contract import JobsContract, JobStatus
from tests.e2e.test_two_nodes import CARD, Machine
from tests.test_node import run_anvil

pytestmark = pytest.mark.e2e

PATIENCE_S = 120.0
COIN = 10**6
TEXT = "chart the harbour"

SLOW = """
import pathlib, sys, time
text = sys.stdin.read()
begun = pathlib.Path(sys.argv[1])
if not begun.exists():
    begun.write_text("once")
    time.sleep(600)
print(text.upper())
"""


def key_of(machine: Machine) -> Key:
    """The operator's key of a machine."""
    return Keyring(machine.home / "keys", environment={}).open(OPERATOR)


def until(holds: Callable[[], Any], what: str) -> Any:
    """What it answers once that is true."""
    end = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < end, f"{what}: not in time"
        time.sleep(0.2)
    return found


@contextmanager
def working(machine: Machine, *command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A provider's process; killed at the end."""
    words = ("job", "work", "--price", "5", "--spare", "1s", "--json", "--", *command)
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "koinon", *words],
            env=machine.environment(),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def said(log: Path) -> list[dict[str, Any]]:
    """What a provider's process told."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


@dataclass(frozen=True)
class Harbour:
    """Three machines on one chain; the provider's gateway is the peer that the others ask for blocks."""

    client: Machine
    provider: Machine
    judge: Machine
    chain: Chain

    @property
    def jobs(self) -> JobsContract:
        return JobsContract(self.chain)

    def coins(self, account: str) -> int:
        return int(self.chain.coin.call("balanceOf", account))

    def status(self, job_id: int) -> JobStatus:
        return self.jobs.job(job_id).status


@pytest.fixture(scope="module")
def harbour(tmp_path_factory, anvil_path):
    folder = tmp_path_factory.mktemp("harbour")
    client, provider, judge = (
        Machine(folder / name, free_port()) for name in ("client", "provider", "judge")
    )
    file = folder / "network.json"
    with run_anvil(anvil_path, folder / "anvil.log") as rpc_url:
        client.run("network", "deploy", rpc_url, "--name", "Harbour")
        client.run("network", "export", str(file), "--peer", provider.url)
        for machine in (provider, judge):
            machine.run("network", "join", str(file))
        with Chain.open(client.settings.network) as chain:
            mint = chain.coin.transaction("mint", client.address(), 20 * COIN)
            chain.sender(key_of(client)).send(mint)
            yield Harbour(client, provider, judge, chain)


def test_a_provider_killed_at_its_work_does_it_again_and_is_paid_once(harbour, tmp_path):
    client, provider, judge = harbour.client, harbour.provider, harbour.judge
    card, log, begun = (tmp_path / name for name in ("card.json", "provider.log", "begun"))
    card.write_text(json.dumps(CARD))
    program = (sys.executable, "-c", SLOW, str(begun))
    key = judge.run("job", "reader")["reader"]
    work = provider.run("works", "publish", str(card))
    before = harbour.coins(client.address())
    job_id = client.run(
        *("job", "create", TEXT, "--provider", str(work["work_id"]), "--evaluator", judge.address()),
        *("--private", "--reader", key, "--lasts", "1d"),
    )["job_id"]

    with working(provider, *program, log=log) as first:
        until(lambda: harbour.jobs.job(job_id).budget == 5 * COIN, "a price is proposed")
        client.run("job", "fund", str(job_id), "5")
        until(begun.exists, "the work is begun")
        os.killpg(first.pid, signal.SIGKILL)
    assert harbour.status(job_id) is JobStatus.FUNDED

    with working(provider, *program, log=log):
        until(lambda: harbour.status(job_id) is JobStatus.SUBMITTED, "it is handed in")
        until(lambda: "handed in" in [event["event"] for event in said(log)], "that is said")
    assert [event["event"] for event in said(log)].count("begun") == 2
    assert [event["event"] for event in said(log)].count("handed in") == 1

    # The work lies on the provider's machine alone; its gateway gives it out, sealed.
    peers = {"KOINON_PEERS": provider.url}
    with provider.serving("serve"):
        for machine in (judge, client):
            out = tmp_path / f"{machine.home.name}.txt"
            machine.run("job", "show", str(job_id), "--out", str(out), more=peers)
            assert out.read_text().strip() == TEXT.upper()
    judge.run("job", "accept", str(job_id), "--reason", "As asked.", "--feedback")
    assert harbour.coins(client.address()) == before - 5 * COIN
    assert harbour.coins(harbour.jobs.contract.address) == 0
    given = harbour.chain.contract("Reputation").history("NewFeedback", agentId=work["work_id"])
    assert [(each["value"], each["tag2"]) for each in given] == [(100, "completed")]
    assert harbour.coins(work["till"]) == 5 * COIN


def test_a_client_that_never_judges_loses_nothing_and_pays_nothing(harbour, tmp_path):
    client, provider = harbour.client, harbour.provider
    work = tmp_path / "work.txt"
    work.write_text("a chart")
    mine, theirs = harbour.coins(client.address()), harbour.coins(provider.address())
    made = client.run("job", "create", TEXT, "--provider", provider.address(), "--lasts", "1h")
    client.run("job", "fund", str(made["job_id"]), "5")
    provider.run("job", "submit", str(made["job_id"]), str(work))
    assert harbour.coins(client.address()) == mine - 5 * COIN
    harbour.chain.rpc.call("evm_increaseTime", 3_601)
    harbour.chain.rpc.call("evm_mine")
    assert provider.run("job", "refund", str(made["job_id"]))["state"] == "expired", "anyone may"
    assert (harbour.coins(client.address()), harbour.coins(provider.address())) == (mine, theirs)
