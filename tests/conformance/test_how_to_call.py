# SPDX-License-Identifier: Apache-2.0
"""The programs in "Call a service from an MCP or A2A client" run as they are printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.doors.stock import Served, served_in
from tests.services.support import Hall

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "call-from-a2a-and-mcp.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def served(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_in(hall, tmp_path_factory.mktemp("how-to")) as served:
        yield served


@pytest.mark.parametrize("program", PROGRAMS, ids=["mcp", "a2a"])
def test_a_program_of_the_page_pays_and_prints_the_answer(
    program: str, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    buyer = served.buyer()
    monkeypatch.setenv("GATEWAY", served.url)
    monkeypatch.setenv("SERVICE", str(served.double.work_id))
    monkeypatch.setenv("RPC", served.hall.chain.rpc.url)
    monkeypatch.setenv("KEY", "0x" + bytes(buyer._private.secret).hex())
    exec(compile(program, str(PAGE), "exec"), {"__name__": "__main__"})  # noqa: S102
    assert capsys.readouterr().out.startswith("42")
    assert served.spent(buyer) == served.double.price
