# SPDX-License-Identifier: Apache-2.0
"""The mirror itself: it compares, it notices a difference, and one file of the suite always runs under it."""

import re
import subprocess
import sys
from pathlib import Path

import boa
import pytest

from tests.mirror import CHAIN_ID
from tests.mirror.evm import Difference, Mirror, MirroredEVM
from tests.mirror.hardhat import hardhat

ROOT = Path(__file__).parent.parent.parent
RETURN_SLOT = bytes.fromhex("5f545f5260205ff3")  # sload(0), whatever was asked
RETURN_CHAIN_ID = bytes.fromhex("465f5260205ff3")
REVERT = bytes.fromhex("602a5f5260205ffd")
LOG_SLOT = bytes.fromhex("5f545f5260205fa0")
SET_SLOT = bytes.fromhex("60015f55")
AT = "0x" + "77" * 20


@pytest.fixture(scope="module")
def node():
    with hardhat(chain_id=CHAIN_ID, hardfork="prague", timestamp=1_700_000_000) as rpc:
        yield rpc


@pytest.fixture
def mirrored(node):
    environment = boa.Env()
    environment.evm.patch.timestamp = int(node.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    MirroredEVM.attach(environment, Mirror(node, CHAIN_ID))
    with environment.anchor():
        yield environment


def store_elsewhere(environment, value):
    """Change what the second EVM holds, and only it."""
    environment.evm.mirror.rpc.call("hardhat_setStorageAt", AT, "0x0", "0x" + value.to_bytes(32, "big").hex())


def test_two_evms_that_hold_the_same_answer_the_same(mirrored):
    mirrored.set_code(AT, RETURN_SLOT)
    mirrored.set_storage(AT, 0, 42)
    mirrored.set_balance(mirrored.eoa, 10)
    for view in (False, True):
        answer = mirrored.execute_code(AT, value=0 if view else 7, is_modifying=not view)
        assert int.from_bytes(answer.output, "big") == 42
    assert mirrored.evm.mirror.messages == 2
    assert not mirrored.evm.mirror.differences


@pytest.mark.parametrize("view", [False, True])
def test_another_answer_fails_the_test(mirrored, view):
    mirrored.set_code(AT, RETURN_SLOT)
    store_elsewhere(mirrored, 43)
    with pytest.raises(Difference, match="the answer"):
        mirrored.execute_code(AT, is_modifying=not view)
    assert len(mirrored.evm.mirror.differences) == 1


def test_another_log_fails_the_test(mirrored):
    mirrored.set_code(AT, LOG_SLOT)
    mirrored.execute_code(AT)
    store_elsewhere(mirrored, 43)
    with pytest.raises(Difference, match="the logs"):
        mirrored.execute_code(AT)


@pytest.mark.parametrize("view", [False, True])
def test_a_refusal_on_one_side_alone_fails_the_test(mirrored, view):
    mirrored.set_code(AT, b"")
    mirrored.evm.mirror.rpc.call("hardhat_setCode", AT, "0x" + REVERT.hex())
    with pytest.raises(Difference, match="the success"):
        mirrored.execute_code(AT, is_modifying=not view)


def test_a_refusal_on_both_sides_is_compared_by_its_data(mirrored):
    mirrored.set_code(AT, REVERT)
    assert mirrored.execute_code(AT).is_error
    assert mirrored.execute_code(AT, is_modifying=False).is_error
    assert not mirrored.evm.mirror.differences


def test_what_an_anchor_undoes_is_undone_on_both_sides(mirrored):
    with mirrored.anchor():
        mirrored.set_code(AT, SET_SLOT)
        mirrored.execute_code(AT)
        mirrored.time_travel(seconds=100)
        mirrored.execute_code(AT)
    mirrored.set_code(AT, RETURN_SLOT)
    assert mirrored.execute_code(AT).output == bytes(32)


def test_deployments_after_calls_have_the_same_address(mirrored):
    mirrored.set_code(AT, RETURN_SLOT)
    mirrored.execute_code(AT)
    first, _ = mirrored.deploy_code(bytecode=bytes.fromhex("60015f5360015ff3"))
    second, _ = mirrored.deploy_code(bytecode=bytes.fromhex("60015f5360015ff3"))
    assert first != second
    assert not mirrored.evm.mirror.differences


def test_a_change_under_another_chain_id_fails_the_test(mirrored):
    mirrored.set_code(AT, RETURN_CHAIN_ID)
    with mirrored.anchor():
        mirrored.evm.patch.chain_id = 99
        mirrored.execute_code(AT, is_modifying=False)
        assert mirrored.evm.mirror.left_out == 1
        with pytest.raises(Difference, match="no mirror"):
            mirrored.execute_code(AT)


def test_a_file_of_the_contract_suite_passes_under_the_mirror():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.mirror", "tests/works/contracts/test_payouts.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = re.search(r"(\d+) messages mirrored onto hardhat .* 0 differences", run.stdout)
    assert told, run.stdout
    assert int(told[1]) > 100


def test_a_session_in_which_nothing_was_mirrored_has_failed():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.mirror", "tests/store/test_cid.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "0 messages mirrored" in run.stdout
    assert run.returncode == 1
