# SPDX-License-Identifier: Apache-2.0
"""``pytest -p tests.mirror``: every message that contract tests execute is executed by a second EVM, too.

titanoboa runs contracts on py-evm; this mirrors each deployment and call, each balance, code and storage
patch and each snapshot onto a hardhat node, and fails the test in which the two answer differently. The end
of the session says how many messages both executed; none is a failure.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

import boa
import pytest

from tests.mirror.evm import Mirror, MirroredEVM
from tests.mirror.hardhat import hardhat

CHAIN_ID: Final = 1337  # what tests that set one set
MIRROR: Final = pytest.StashKey[Mirror]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the second EVM before any contract is deployed."""
    evm = boa.env.evm
    fork = type(evm.vm).__name__.removesuffix("VM").lower()
    stack = ExitStack()
    config.add_cleanup(stack.close)
    node = hardhat(chain_id=CHAIN_ID, hardfork=fork, timestamp=evm.patch.timestamp)
    mirror = Mirror(stack.enter_context(node), CHAIN_ID)
    MirroredEVM.attach(boa.env, mirror)
    config.stash[MIRROR] = mirror


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session in which the two differed, or nothing was compared, has failed."""
    mirror = session.config.stash[MIRROR]
    if (mirror.differences or not mirror.messages) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How much was compared."""
    mirror = config.stash[MIRROR]
    terminalreporter.section("second EVM")
    for difference in mirror.differences:
        terminalreporter.line(difference)
    terminalreporter.line(
        f"{mirror.messages} messages mirrored onto hardhat ({mirror.deployments} deployments, "
        f"{mirror.transactions} transactions, {mirror.views} views), {len(mirror.differences)} differences, "
        f"{mirror.left_out} left out under another chain id; "
        f"gas {mirror.gas} on py-evm, {mirror.mirrored_gas} on hardhat"
    )
