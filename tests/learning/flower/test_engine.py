# SPDX-License-Identifier: Apache-2.0
"""What surrounds Flower's processes, without Flower: where it is looked for, and how processes are ended."""

from __future__ import annotations

import os
import ssl
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest

from koinon.chain.keys import Key
from koinon.errors import BadInput, PeerError, SetupError
from koinon.learning.api import Learning
from koinon.learning.flower.engine import FlowerEngine, run_on_flower
from koinon.learning.flower.environment import PROGRAMS, FlowerEnvironment
from koinon.learning.flower.processes import FlowerProcess
from koinon.learning.flower.superlink import SuperLink, check_superlink, create_local_certificate, free_port
from koinon.learning.privacy.plan import SUM_PAY, SUM_RULE, Privacy
from koinon.learning.splits import Split
from koinon.settings import Settings
from tests.learning.support import recipe, table

# Starts a child in a session of its own that does not mind being asked to end, says its id, and waits.
STUBBORN = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import os, signal, time; signal.signal(15, signal.SIG_IGN);"
    "print(os.getpid(), flush=True); time.sleep(600)"],
    start_new_session=True)
time.sleep(600)
"""


def environment(folder: Path) -> FlowerEnvironment:
    """A folder with programs of Flower's names, which do nothing."""
    (folder / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        (folder / "bin" / name).touch()
    return FlowerEnvironment.find(folder)


def test_a_missing_environment_says_how_to_make_it(tmp_path):
    with pytest.raises(SetupError, match="Flower is not at") as caught:
        FlowerEngine.of(Settings.load({"KOINON_FLOWER": str(tmp_path)}, home=tmp_path))
    assert "tools/setup.sh flower" in caught.value.hint
    assert "KOINON_FLOWER" in caught.value.hint


def test_settings_name_the_environment_and_the_superlink(tmp_path):
    environment(tmp_path / "flower")
    variables = {
        "KOINON_FLOWER": str(tmp_path / "flower"),
        "KOINON_FLOWER_SUPERLINK": "flower.example:9000",
        "KOINON_FLOWER_CERTIFICATES": str(tmp_path / "ca.pem"),
    }
    engine = FlowerEngine.of(Settings.load(variables, home=tmp_path))
    assert engine.superlink == SuperLink("flower.example:9000", tmp_path / "ca.pem")
    assert FlowerEngine.of(Settings.load(variables | {"KOINON_FLOWER_SUPERLINK": ""})).superlink is None


def test_flower_tells_nobody_and_learns_no_password_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("KOINON_PASSWORD", "secret")
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    variables = environment(tmp_path).variables(tmp_path / "home")
    assert "secret" not in variables.values()
    assert variables["FLWR_TELEMETRY_ENABLED"] == "0"
    assert variables["PATH"].startswith(str(tmp_path / "bin"))


@pytest.mark.skipif(sys.platform != "linux", reason="children are found by /proc")
def test_a_process_ends_with_children_that_left_its_group_and_do_not_listen(tmp_path):
    ended = threading.Event()
    process = FlowerProcess(
        [sys.executable, "-c", STUBBORN], dict(os.environ), tmp_path / "log", ended=lambda _: ended.set()
    )
    end = time.monotonic() + 30
    while not (said := process.last_words()).isdigit() and time.monotonic() < end:
        time.sleep(0.05)
    assert {process.pid, int(said)} <= set(process.family())
    process.stop(1.0)
    assert process.family() == []
    assert not ended.is_set()


def test_a_process_that_ends_by_itself_is_told_with_its_last_words(tmp_path):
    found: list[FlowerProcess] = []
    process = FlowerProcess(
        [sys.executable, "-c", "print('cannot go on'); exit(3)"],
        dict(os.environ),
        tmp_path / "log",
        ended=found.append,
    )
    assert process.wait(30)
    process.stop()
    assert found == [process]
    assert process.last_words() == "cannot go on"


def test_a_connection_is_written_as_flower_reads_it(tmp_path):
    SuperLink("flower.example:9000", tmp_path / 'c"a.pem').configure(tmp_path / "home")
    found = tomllib.loads((tmp_path / "home" / "config.toml").read_text())["superlink"]
    assert found[found["default"]] == {
        "address": "flower.example:9000",
        "root-certificates": str(tmp_path / 'c"a.pem'),
    }


def test_the_local_certificate_is_its_own_authority_and_its_key_is_private(tmp_path):
    certificate, key = create_local_certificate(tmp_path)
    assert key.stat().st_mode & 0o077 == 0
    server, client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    there = serving.wrap_bio(client, server, server_side=True)
    here = ssl.create_default_context(cafile=str(certificate)).wrap_bio(
        server, client, server_hostname="127.0.0.1"
    )
    for side in (here, there, here, there):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert here.getpeercert()


def test_a_superlink_that_is_not_there_is_said():
    with pytest.raises(PeerError, match="Nobody answers at the SuperLink"):
        check_superlink(SuperLink(f"127.0.0.1:{free_port()}"))


def test_a_private_sum_is_refused_before_anything_starts(tmp_path):
    split = Split(tuple(table(60, seed) for seed in range(3)), table(300, 8), table(400, 9))
    private = recipe(
        privacy=Privacy("private_sum", "distributed", clip_norm=1.0, noise_multiplier=1.0),
        aggregation=SUM_RULE,
        contribution=SUM_PAY,
        minimum_owners=3,
    )
    with pytest.raises(BadInput, match="under masks"):
        run_on_flower(Learning(tmp_path, Key.generate()), private, split)
