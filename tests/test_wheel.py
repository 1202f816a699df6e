# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from koinon import __version__
from koinon.chain.anvil import find_anvil
from koinon.chain.rpc import Rpc
from koinon.errors import NodeUnavailable

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("koinon-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of commands of an environment that holds the wheel, and what it depends on from here."""
    environment = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        wheel,
    ]
    subprocess.run(install, check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def run(command, folder):
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "KOINON_PORT": "0"}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_the_installed_command_is_the_wheels_and_not_the_repositorys(installed, tmp_path):
    where = run([installed / "python", "-c", "import koinon; print(koinon.__file__)"], tmp_path)
    assert str(installed.parent) in where.stdout
    assert run([installed / "koinon", "--version"], tmp_path).stdout == f"koinon {__version__}\n"


def test_the_doctor_runs_without_the_repository(installed, tmp_path):
    finished = run([installed / "koinon", "doctor", "--json"], tmp_path)
    checks = {check["name"]: check for check in json.loads(finished.stdout)}
    assert checks["python"]["fine"]
    assert finished.returncode == (0 if checks["anvil"]["fine"] else 3)
    assert checks["anvil"]["fine"] or checks["anvil"]["hint"]


def test_a_node_runs_without_the_repository_until_it_is_stopped(installed, tmp_path):
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KOINON_ANVIL": str(find_anvil())}
    command = [installed / "koinon", "up", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = json.loads(running.stdout.readline())
        network = json.loads(Path(said["network"]).read_text())
        with Rpc(said["rpc_url"]) as rpc:
            assert int(rpc.call("eth_chainId"), 16) == network["chain_id"]
            assert rpc.call("eth_getCode", network["contracts"]["Works"], "latest") != "0x"
        running.send_signal(signal.SIGINT)
        assert running.wait() == 0
    with pytest.raises(NodeUnavailable), Rpc(said["rpc_url"]) as rpc:
        rpc.call("eth_chainId")


def test_the_wheel_carries_contracts_artifacts_and_licences(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("koinon/py.typed", "koinon/works/contracts/Works.vy", "koinon/chain/artifacts/Works.json"):
        assert name in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if not name.startswith("koinon")], "only Koinon's own files"


def test_every_command_is_there(installed, tmp_path):
    listed = run([installed / "koinon", "--help"], tmp_path).stdout
    for command in ("tour", "learn", "service", "call", "works", "up", "doctor"):
        assert command in listed
