# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import pytest

from koinon import __version__
from koinon.cli import MOUNTS, Mount, main


@pytest.fixture
def koinon(tmp_path, monkeypatch, capsys):
    """Run the command in its own data directory: ``(status, stdout, stderr)``."""
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))
    monkeypatch.setenv("KOINON_LANG", "en")
    monkeypatch.delenv("KOINON_RPC_URL", raising=False)
    monkeypatch.setitem(MOUNTS, "fault", Mount("tests.faulty_commands", "group", "Ends badly."))
    monkeypatch.setitem(MOUNTS, "absent", Mount("koinon.not_written_yet.cli", "group", "Not there."))

    def run(*arguments):
        status = main(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_the_version_is_the_packages(koinon):
    assert koinon("--version") == (0, f"koinon {__version__}\n", "")


def test_help_lists_the_commands_there_are_and_no_others(koinon):
    status, out, _err = koinon("--help")
    assert status == 0
    assert "doctor" in out
    assert "Ends badly." in out
    assert "absent" not in out


def test_help_imports_no_domain(koinon):
    code = (
        "import sys; from koinon.cli import main; main(['--help']);"
        "heavy = {'numpy', 'httpx', 'coincurve', 'koinon.chain'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_a_result_is_text_for_people_and_json_for_programs(koinon):
    assert koinon("fault", "double", "21")[:2] == (0, "It is 42.\n")
    assert koinon("fault", "double", "21", "--json") == (0, '{"double": 42}\n', "")
    assert koinon("--json", "fault", "double", "21") == (0, '{"double": 42}\n', "")


def test_an_error_is_a_sentence_a_hint_a_code_and_its_class_status(koinon):
    status, out, err = koinon("fault", "payment")
    assert (status, out) == (6, "")
    assert "The voucher is not covered.\n  Deposit more.\n  payment.uncovered\n" in err
    assert "Traceback" not in err


def test_an_error_is_problem_details_with_json(koinon):
    status, out, err = koinon("fault", "payment", "--json")
    assert (status, out) == (6, "")
    assert json.loads(err) == {
        "type": "urn:koinon:error:payment.uncovered",
        "title": "The voucher is not covered.",
        "status": 402,
        "detail": "Deposit more.",
        "code": "payment.uncovered",
    }


def test_what_nobody_foresaw_is_one_sentence_without_details(koinon):
    status, _out, err = koinon("fault", "surprise")
    assert status == 70
    assert "ZeroDivisionError" in err
    assert "--debug" in err
    assert "Traceback" not in err
    assert "a secret detail" not in err


def test_debug_shows_the_traceback(koinon):
    status, _out, err = koinon("--debug", "fault", "surprise")
    assert status == 70
    assert "Traceback" in err
    assert "a secret detail" in err


def test_ctrl_c_is_clean(koinon):
    status, out, err = koinon("fault", "interrupt")
    assert (status, out) == (130, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["absent"],
        ["fault", "double"],
        ["fault", "double", "two"],
        ["fault", "double", "2", "--wrong"],
        ["--home"],
    ],
)
def test_a_wrong_command_line_points_to_the_help(koinon, arguments):
    status, out, err = koinon(*arguments)
    assert (status, out) == (2, "")
    assert "--help" in err
    assert "usage.command_line" in err


def test_a_wrong_setting_is_said_before_anything_runs(koinon, monkeypatch):
    monkeypatch.setenv("KOINON_PORT", "http")
    status, out, err = koinon("fault", "double", "1")
    assert (status, out) == (2, "")
    assert "KOINON_PORT" in err


def test_a_reader_that_left_is_no_error(tmp_path):
    code = (
        "import sys; from koinon.cli import MOUNTS, Mount, main;"
        "MOUNTS['fault'] = Mount('tests.faulty_commands', 'group', ''); sys.exit(main(['fault', 'deaf']))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0
    assert "Traceback" not in finished.stderr


def test_test_money_is_named_on_every_command(koinon):
    _status, _out, err = koinon("fault", "double", "1")
    assert "Koinon devnet · test money, worth nothing" in err


def test_the_networks_own_name_and_money_are_shown(koinon, tmp_path):
    (tmp_path / "network.json").write_text(
        json.dumps({"name": "main", "chain_id": 8453, "test_money": False})
    )
    _status, _out, err = koinon("fault", "double", "1")
    assert "main (chain 8453) · REAL MONEY" in err


def test_the_banner_speaks_the_users_language(koinon, monkeypatch):
    monkeypatch.setenv("KOINON_LANG", "zh-Hant")
    _status, _out, err = koinon("fault", "double", "1")
    assert "測試幣" in err


@pytest.mark.parametrize(
    "content", ["", "[]", '{"name": "x"}', '{"name": "x", "chain_id": "y", "test_money": true}']
)
def test_a_broken_network_file_is_named_and_never_taken_for_test_money(koinon, tmp_path, content):
    (tmp_path / "network.json").write_text(content)
    status, _out, err = koinon("fault", "double", "1")
    assert status == 0
    assert "network.json does not name a network" in err.replace("\n", " ")
    assert "test money" not in err


def test_the_data_directory_can_be_named_on_the_command_line(koinon, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "network.json").write_text(json.dumps({"name": "other", "chain_id": 7, "test_money": True}))
    _status, _out, err = koinon("--home", str(elsewhere), "fault", "double", "1")
    assert "other (chain 7)" in err
