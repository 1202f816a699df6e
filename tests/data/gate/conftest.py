# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import SetupError
from tests.data.gate.support import Desk, make_desk


@pytest.fixture(scope="session")
def gate_sandbox() -> BubblewrapSandbox:
    """The real sandbox; what needs it is left out where the host cannot isolate."""
    made = BubblewrapSandbox()
    try:
        made.check()
    except SetupError as reason:
        pytest.skip(reason.message)
    return made


@pytest.fixture
def desk(gate_sandbox: BubblewrapSandbox, tmp_path: Path) -> Desk:
    return make_desk(gate_sandbox, tmp_path)
