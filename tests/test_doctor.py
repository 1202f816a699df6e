# SPDX-License-Identifier: Apache-2.0
import json
import socket

import pytest

from koinon.cli import main
from koinon.doctor import Check, examine, show
from koinon.settings import Settings
from koinon.terminal import Terminal


def named(settings, name, environment=None):
    (check,) = [check for check in examine(settings, environment or {}) if check.name == name]
    return check


@pytest.fixture
def settings(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Settings(home=home, network=home / "network.json", port=0)


def test_a_machine_that_is_set_up_has_all_it_needs(settings):
    wanting = [check.name for check in examine(settings, {}) if check.required and not check.fine]
    assert wanting == []


def test_looking_changes_nothing(tmp_path):
    home = tmp_path / "not" / "made"
    check = named(Settings(home=home, network=home / "network.json", port=0), "data directory")
    assert check.fine
    assert not home.parent.exists()


def test_a_data_directory_that_cannot_be_made_is_found(tmp_path):
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    check = named(Settings(home=home, network=home / "network.json"), "data directory")
    assert not check.fine
    assert "KOINON_HOME" in check.hint


def test_a_data_directory_open_to_others_is_said(settings):
    settings.home.chmod(0o755)
    check = named(settings, "data directory")
    assert not check.fine
    assert not check.required
    assert "chmod 700" in check.hint


def test_a_taken_port_is_said(settings):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        check = named(Settings(home=settings.home, network=settings.network, port=port), f"port {port}")
    assert not check.fine
    assert "KOINON_PORT" in check.hint


def test_an_anvil_that_is_not_there_is_said(settings, tmp_path):
    check = named(Settings(home=settings.home, network=settings.network, anvil=tmp_path / "none"), "anvil")
    assert not check.fine
    assert check.hint


def test_an_anvil_that_does_not_run_is_said(settings, tmp_path):
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    check = named(Settings(home=settings.home, network=settings.network, anvil=broken), "anvil")
    assert not check.fine
    assert "does not run" in check.detail


def test_with_a_node_of_ones_own_no_anvil_is_asked_for(settings):
    own = Settings(home=settings.home, network=settings.network, rpc_url="http://127.0.0.1:8545", port=0)
    assert {"anvil", "node", "npm"}.isdisjoint(check.name for check in examine(own, {}))


def test_a_misspelt_variable_is_said(settings):
    check = named(settings, "environment", {"KOINON_RPCURL": "http://x"})
    assert not check.fine
    assert "KOINON_RPCURL" in check.detail


def test_the_command_answers_in_json_and_its_status_says_what_is_missing(
    settings, monkeypatch, capsys, tmp_path
):
    monkeypatch.setenv("KOINON_HOME", str(settings.home))
    monkeypatch.setenv("KOINON_PORT", "0")
    monkeypatch.delenv("KOINON_RPC_URL", raising=False)
    assert main(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert {"python", "anvil", "disk space"} <= {check["name"] for check in checks}
    monkeypatch.setenv("KOINON_ANVIL", str(tmp_path / "none"))
    assert main(["doctor"]) == 3
    assert "anvil" in capsys.readouterr().out


def test_hints_are_shown_as_they_are_written(capsys):
    show([Check("koinon[parquet]", False, "missing", "Run: pip install 'koinon[parquet]'")], Terminal())
    assert "koinon[parquet]: Run: pip install 'koinon[parquet]'" in capsys.readouterr().out


def test_flower_is_needed_only_where_a_setting_asks_for_it(tmp_path):
    asked = named(Settings.load({"KOINON_FLOWER": str(tmp_path)}, home=tmp_path), "Flower")
    assert asked.required
    assert not asked.fine
    assert "tools/setup.sh flower" in asked.hint
    assert not named(Settings.load({}, home=tmp_path), "Flower").required
