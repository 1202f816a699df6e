# SPDX-License-Identifier: Apache-2.0
"""How targets are written down, and where keys may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from koinon.errors import BadInput
from koinon.services.targets.address import MCP, OPENAI, Address, is_target, parse

SECRET = "sk-secret"


@pytest.mark.parametrize(
    "address",
    [
        Address(MCP, "https://host/mcp", "weather & more", "env:KEY"),
        Address(MCP, "http://127.0.0.1:9/mcp", "näme"),
        Address(OPENAI, "https://host/v1", "model", "file:/a b/key", most_tokens=7, streams=True),
    ],
)
def test_what_is_written_is_read_again(address: Address) -> None:
    assert is_target(str(address))
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "mcp+ftp://host/",
        "mcp+https://user:pw@host/",
        "openai+",
        "openai+https://host/v1#most_tokens=0",
        "openai+https://host/v1#most_tokens=many",
        f"openai+https://host/v1#key={SECRET}",
        "openai+https://host/v1#key=env:",
    ],
)
def test_anything_else_is_refused_and_no_key_is_said_again(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert SECRET not in str(caught.value) + caught.value.hint


def test_a_key_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    assert Address(OPENAI, "https://host/v1", "model", f"file:{file}").secret() == SECRET
    file.chmod(0o644)
    with pytest.raises(BadInput, match="Others"):
        Address(OPENAI, "https://host/v1", "model", f"file:{file}").secret()


def test_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", SECRET)
    assert Address(OPENAI, "https://host/v1", "model", "env:MODEL_KEY").secret() == SECRET


@pytest.mark.parametrize("content", ["", "two\nlines", "two words", "k\x00", "ключ", "x" * 10_000])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(BadInput) as caught:
        Address(OPENAI, "https://host/v1", "model", f"file:{file}").secret()
    assert not content or content not in str(caught.value)
    with pytest.raises(BadInput, match="cannot be read"):
        Address(OPENAI, "https://host/v1", "model", f"file:{tmp_path / 'none'}").secret()
