# SPDX-License-Identifier: Apache-2.0
"""``koinon job …`` as people and programs run it."""

from __future__ import annotations

import json

import pytest

from koinon.cli import main
from koinon.errors import BadInput
from koinon.services.jobs.cli import read_time
from koinon.services.jobs.contract import JobsContract

COIN = 10**6


@pytest.fixture
def here(network, devnet, tmp_path, monkeypatch):
    """A data directory on the session's chain."""
    network.save(tmp_path / "network.json")
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))
    monkeypatch.setenv("KOINON_RPC_URL", devnet.rpc_url)
    return tmp_path


@pytest.fixture
def run(here, capsys):
    """Runs a command; what it says, or the problem it tells."""

    def command(*words, status=0):
        assert main(["job", *words, "--json"]) == status
        said = capsys.readouterr()
        return json.loads(said.err if status else said.out)

    return command


def test_a_job_is_commissioned_settled_done_and_accepted_by_one_data_directory(run, here, chain, devnet):
    made = run("create", "Draw a map\nwith depths", "--lasts", "2h")
    job, me = str(made["job_id"]), made["client"]
    chain.sender(devnet.key(0)).send(chain.coin.transaction("mint", me, 9 * COIN))
    assert (made["state"], made["provider"], made["evaluator"]) == ("open", "", me)
    assert run("fund", job, "4", status=2)["code"] == "job.no_provider"
    assert run("assign", job, me)["provider"] == me
    assert run("propose", job, "3")["price"] == "3"
    assert run("fund", job, "4", status=6)["code"] == "job.price"
    assert run("fund", job, "3")["state"] == "funded"
    (here / "map.pdf").write_bytes(b"%PDF a map")
    assert run("submit", job, str(here / "nothing.pdf"), status=2)["code"] == "job.file"
    assert run("submit", job, str(here / "map.pdf"))["state"] == "submitted"
    assert run("refund", job, status=2)["code"] == "job.not_expired"
    shown = run("show", job, "--out", str(here / "out.pdf"))
    assert (here / "out.pdf").read_bytes() == b"%PDF a map"
    assert shown["deliverable"].startswith("bafkrei")
    assert run("accept", job, "--reason", "Right.")["reason"] == "Right."
    assert run("feedback", job, status=2)["code"] == "job.no_outcome"
    assert [row["state"] for row in run("list") if row["job_id"] == made["job_id"]] == ["completed"]
    assert JobsContract(chain).job(made["job_id"]).budget == 3 * COIN


def test_people_read_sentences_and_markup_of_strangers_is_shown_as_it_is(run, here, capsys):
    made = run("create", "[red]Draw[/red] a map", "--lasts", "2h", "--as", "artist")
    assert main(["job", "show", str(made["job_id"])]) == 0
    said = capsys.readouterr().out
    assert f"Job {made['job_id']} is open: [red]Draw[/red] a map" in said
    assert run("reject", str(made["job_id"]), status=5)["code"] == "job.not_party"
    assert run("reject", str(made["job_id"]), "--as", "artist")["state"] == "rejected"
    assert run("list") == []
    assert made["job_id"] in [row["job_id"] for row in run("list", "--all")]


def test_a_time_is_read_as_people_write_it():
    assert [read_time(text) for text in ("90s", "5m", "2h", " 7d ")] == [90, 300, 7_200, 604_800]
    for wrong in ("", "7", "d", "-1h", "1w", "1.5h"):
        with pytest.raises(BadInput, match="no time"):
            read_time(wrong)
