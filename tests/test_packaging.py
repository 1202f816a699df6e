# SPDX-License-Identifier: Apache-2.0
"""The container file and the systemd unit: what they promise, and that what they start starts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import KeyFault

ROOT = Path(__file__).parent.parent
UNIT = (ROOT / "packaging" / "koinon.service").read_text()
CONTAINER = (ROOT / "packaging" / "Containerfile").read_text()
PASSWORD = "of the service"


def lines(text: str, word: str) -> list[str]:
    return re.findall(rf"^{word}[ =](.+)$", text.replace("\\\n", " "), re.MULTILINE)


def test_the_container_runs_as_nobody_special_and_holds_no_secret():
    assert lines(CONTAINER, "USER") == ["koinon"]
    assert lines(CONTAINER, "VOLUME") == ["/var/lib/koinon"]
    assert lines(CONTAINER, "HEALTHCHECK")
    assert len(lines(CONTAINER, "FROM")) == 3
    last = CONTAINER[CONTAINER.rindex("\nFROM ") :]
    assert "PASSWORD" not in last
    assert "COPY ." not in CONTAINER, "only what is named goes in"
    for copied in lines(CONTAINER, "COPY"):
        if not copied.startswith("--from"):
            for source in copied.split()[:-1]:
                assert (ROOT / source).exists(), source


@pytest.mark.parametrize(
    "promise",
    [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "StateDirectory=koinon",
        "LoadCredential=password:/etc/koinon/password",
        "CapabilityBoundingSet=",
        "DynamicUser=yes",
        "UMask=0077",
    ],
)
def test_the_unit_gives_its_process_nothing_it_does_not_need(promise):
    assert promise in UNIT.splitlines()


def test_systemd_takes_the_unit(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        assert lines(UNIT, "ExecStart"), "there is no systemd here to ask"
        return
    unit = tmp_path / "koinon.service"
    unit.write_text(UNIT.replace("/opt/koinon/bin/koinon", sys.executable))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert str(unit) not in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.e2e
def test_what_the_unit_starts_runs_with_its_password_and_ends_when_told(tmp_path, anvil_path):
    command = lines(UNIT, "ExecStart")[0].split()
    assert command[0].endswith("/koinon")
    state, credentials = tmp_path / "state", tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "password").write_text(PASSWORD + "\n")
    settings = dict(line.split("=", 1) for line in lines(UNIT, "Environment"))
    settings = {
        name: value.replace("%S", str(state)).replace("%d", str(credentials))
        for name, value in settings.items()
    }
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KOINON_")}
    child = subprocess.Popen(
        [sys.executable, "-m", "koinon", *command[1:]],
        env={**kept, **settings, "KOINON_ANVIL": str(anvil_path), "KOINON_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert any("http://127.0.0.1:" in line for line in iter(child.stdout.readline, ""))
        child.send_signal(signal.SIGTERM)
        child.stdout.read()
        assert child.wait(90) == 0
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    keys = state / "koinon" / "keys"
    assert not (keys / "password").exists(), "no other password is made"
    assert Key.load(keys / "operator.json", PASSWORD).address


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_password_file_that_cannot_be_used_is_said_and_no_other_is_made(tmp_path, content):
    file = tmp_path / "given"
    if content is not None:
        file.write_bytes(content)
    ring = Keyring(tmp_path / "keys", environment={"KOINON_PASSWORD_FILE": str(file)})
    with pytest.raises(KeyFault) as caught:
        ring.open("operator")
    assert caught.value.code == "key.password_file"
    assert not (tmp_path / "keys").exists()


def test_a_password_file_opens_what_the_password_made(tmp_path):
    file = tmp_path / "given"
    file.write_text(PASSWORD + "\n")
    made = Keyring(tmp_path / "keys", derivation="pbkdf2", environment={"KOINON_PASSWORD": PASSWORD}).open(
        "a"
    )
    assert Keyring(tmp_path / "keys", environment={"KOINON_PASSWORD_FILE": str(file)}).open("a") == made
