# SPDX-License-Identifier: Apache-2.0
import stat
from pathlib import Path

import pytest

from koinon.errors import BadInput, SetupError
from koinon.settings import Settings, unknown_variables


def load(home, **variables):
    return Settings.load({"KOINON_HOME": str(home), **variables})


def test_without_anything_set_the_defaults_hold(tmp_path):
    settings = Settings.load({"HOME": str(tmp_path)})
    assert settings.home == tmp_path / ".local" / "share" / "koinon"
    assert settings.network == settings.home / "network.json"
    assert settings.rpc_url is None
    assert (settings.host, settings.port, settings.language) == ("127.0.0.1", 8402, "en")
    assert not settings.home.exists(), "reading settings makes nothing"


def test_the_data_directory_follows_the_xdg_specification(tmp_path):
    assert Settings.load({"HOME": "/x", "XDG_DATA_HOME": str(tmp_path)}).home == tmp_path / "koinon"
    relative = Settings.load({"HOME": str(tmp_path), "XDG_DATA_HOME": "data"})
    assert relative.home == tmp_path / ".local" / "share" / "koinon", "a relative one is to be ignored"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    (tmp_path / "koinon.toml").write_text('port = 9000\nworkers = 3\nrpc_url = "http://node:8545"\n')
    settings = load(tmp_path, KOINON_PORT="9001")
    assert (settings.port, settings.workers, settings.rpc_url) == (9001, 3, "http://node:8545")


def test_an_option_wins_over_the_environment_for_the_data_directory(tmp_path):
    assert Settings.load({"KOINON_HOME": "/elsewhere"}, home=tmp_path).home == tmp_path


def test_a_path_in_the_file_is_relative_to_the_file(tmp_path):
    (tmp_path / "koinon.toml").write_text('network = "main.json"\n')
    assert load(tmp_path).network == tmp_path / "main.json"


def test_an_empty_variable_is_as_good_as_none(tmp_path):
    assert load(tmp_path, KOINON_RPC_URL="").rpc_url is None


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "zh-Hant"),
        ({"LC_ALL": "zh_HK.UTF-8", "LANG": "en_US.UTF-8"}, "zh-Hant"),
        ({"LANG": "zh_TW.UTF-8", "KOINON_LANG": "en"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_language_is_the_systems_unless_set(tmp_path, variables, language):
    assert load(tmp_path, **variables).language == language


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KOINON_PORT", "http"),
        ("KOINON_PORT", "65536"),
        ("KOINON_PORT", "-1"),
        ("KOINON_WORKERS", "1.5"),
        ("KOINON_RPC_URL", "localhost:8545"),
        ("KOINON_RPC_URL", "ftp://node"),
        ("KOINON_RPC_URL", "http://"),
        ("KOINON_LANG", "fr"),
        ("KOINON_HOST", "http://host"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(tmp_path, name, value):
    with pytest.raises(BadInput, match=name) as caught:
        load(tmp_path, **{name: value})
    assert value in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = true", "whole number"),
        ("port = 1.5", "whole number"),
        ("anvil = 3", "a path"),
        ("rpc_url = 1", "http"),
        ("prot = 1", "prot, which Koinon does not know"),
        ("port = ", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(tmp_path, content, said):
    (tmp_path / "koinon.toml").write_text(content)
    with pytest.raises(BadInput, match=said) as caught:
        load(tmp_path)
    assert str(tmp_path / "koinon.toml") in caught.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "koinon.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path)


def test_the_data_directory_is_made_for_its_owner_only(tmp_path):
    settings = load(tmp_path / "deep" / "home")
    assert settings.ensure_home() == settings.home
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


def test_a_data_directory_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be made") as caught:
        load(tmp_path / "file" / "home").ensure_home()
    assert "KOINON_HOME" in caught.value.hint


def test_misspelt_variables_are_found():
    variables = {
        "KOINON_RPCURL": "x",
        "KOINON_HOME": "y",
        "KOINON_LANG": "en",
        "KOINON_PASSWORD": "p",
        "PATH": "z",
    }
    assert unknown_variables(variables) == ["KOINON_RPCURL"]


def test_the_folders_are_below_the_data_directory(tmp_path):
    settings = load(tmp_path)
    for folder in (settings.keys, settings.blocks, settings.devnet):
        assert isinstance(folder, Path)
        assert folder.parent == settings.home
