# SPDX-License-Identifier: Apache-2.0
"""`koinon agent` as the how-to page has it, its host as a process, stock clients at its doors."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types.a2a_pb2 import Message, Part, Role, SendMessageRequest
from google.protobuf.json_format import MessageToJson, ParseDict  # type: ignore[import-untyped]
from mcp import Client

from koinon.agents.api import Agents
from koinon.agents.asking import NO_WAY
from koinon.agents.loading import load_agent
from koinon.chain.devnet import Devnet
from koinon.cli import main
from tests.agents.test_host import free_port

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-an-agent.md"
PATIENCE_S = 120.0


@dataclass
class Shell:
    """One person's commands, in this process."""

    environment: dict[str, str]
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Any:
        """What a command says; its error's code where it refuses."""
        for name, text in self.environment.items():
            self.patch.setenv(name, text)
        self.captured.readouterr()
        status = main(["agent", *arguments, "--json"])
        said = self.captured.readouterr()
        return json.loads(said.out) if status == 0 else json.loads(said.err)["code"]

    @contextmanager
    def running(self, *arguments: str) -> Iterator[dict[str, Any]]:
        """`koinon agent run` as a process; what it says when it is ready."""
        process = subprocess.Popen(
            [sys.executable, "-m", "koinon", "agent", "run", *arguments, "--json"],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)


def printed(number: int) -> str:
    """A block of Python on the page."""
    return str(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[number])


@pytest.fixture
def shell(tmp_path, devnet: Devnet, network_file, monkeypatch, capsys):
    home = tmp_path / "home"
    home.mkdir()
    (home / "network.json").write_bytes(network_file.read_bytes())
    environment = {"KOINON_HOME": str(home), "KOINON_RPC_URL": devnet.rpc_url, "KOINON_LANG": "en"}
    monkeypatch.chdir(tmp_path)
    return Shell(environment, monkeypatch, capsys)


def test_the_page_s_agent_is_made_run_asked_and_stopped(shell, tmp_path):
    assert len(printed(0).strip().splitlines()) <= 24
    (tmp_path / "greeter.py").write_text(printed(0))
    made = shell("new", "greeter.py:Greeter")
    work = str(made["work_id"])
    assert shell("show", work)["manifest"] is None
    assert shell("send", work, "Greet", "{}") == "agents.away"
    with shell.running("--port", "0") as ready:
        assert ready["agents"] == [made["address"]]
        assert shell("list")["running"] == ready["url"]
        shown = shell("show", work)
        assert shown["seen_at"] > 0
        assert [x["message"] for x in shown["manifest"]["protocols"][0]["handles"]] == ["Greet"]
        answer = shell("send", work, "Greet", '{"name": "Ada"}')
        assert answer["answer"] == {"text": "Hello Ada, you are number 1."}
        assert shell("send", work, "Greet", '{"name": 1}') == "agents.refused"
        assert shell("send", work, "Nothing", "{}") == "agents.not_understood"
        assert shell("run", "--port", "0") == "agents.running"
        base = f"{ready['url']}/agents/{made['account']}"
        asyncio.run(asked_by_mcp(f"{base}/mcp"))
        asyncio.run(asked_by_a2a(base))
        assert shell("stop") == {"stopped": True}
    assert shell("stop") == {"stopped": False}
    assert shell("list")["running"] == ""


CLERK = '''
from koinon.agents import Agent, Context, message, on


@message
class Ask:
    text: str


@message
class Answer:
    text: str


@message
class Note:
    text: str


class Clerk(Agent):
    """Answers whoever signs."""

    @on(Ask)
    def ask(self, asked: Ask, context: Context) -> Answer:
        return Answer(asked.text.upper())

    @on(Note)
    def note(self, note: Note, context: Context) -> None:
        context.memory["note"] = note.text
'''


def test_a_reply_is_shown_where_one_can_come_and_its_lack_is_told_where_not(shell, tmp_path, monkeypatch):
    (tmp_path / "clerk.py").write_text(CLERK)
    port = free_port()
    work = str(shell("new", "clerk.py:Clerk", "--url", f"http://127.0.0.1:{port}")["work_id"])
    with shell.running("--port", str(port)):
        told = shell("send", work, "Ask", '{"text": "hello"}')
        assert (told["answer_type"], told["answer"], told["note"]) == ("Answer", {"text": "HELLO"}, "")
        assert told["message_id"]
        told = shell("send", work, "Note", '{"text": "hello"}')
        assert (told["answer"], told["note"]) == (None, "")
        monkeypatch.setattr(Agents, "_is_here", lambda *_: False)
        told = shell("send", work, "Ask", '{"text": "hello"}')
        assert (told["answer"], told["note"]) == (None, NO_WAY)
    assert shell("letters") == {"letters": []}
    assert shell("letters", "--drop", "1") == shell("letters", "--retry", "1") == "agents.no_letter"


async def asked_by_mcp(url: str) -> None:
    """The stock MCP client finds the skill as a tool and calls it."""
    async with Client(url) as client:
        (tool,) = (await client.list_tools()).tools
        assert (tool.name, tool.description) == ("Greet", "Greet somebody by name.")
        result = await client.call_tool("Greet", {"name": "Grace"})
        assert not result.is_error
        assert result.structured_content == {"text": "Hello Grace, you are number 2."}
        assert (await client.call_tool("Greet", {})).is_error


async def asked_by_a2a(base: str) -> None:
    """The stock A2A client reads the card and asks the agent."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        card = await A2ACardResolver(http, base).get_agent_card()
        assert [skill.id for skill in card.skills] == ["Greet"]
        client = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(card)
        part = ParseDict({"data": {"name": "Alan"}}, Part())
        message = Message(message_id="1", role=Role.ROLE_USER, parts=[part])
        events = [event async for event in client.send_message(SendMessageRequest(message=message))]
        assert "Hello Alan, you are number 3." in MessageToJson(events[-1])


def test_the_page_s_protocol_is_one(tmp_path):
    (tmp_path / "shop.py").write_text(printed(1))
    shop = load_agent(f"{tmp_path / 'shop.py'}:Shop")
    assert [protocol.name for protocol in shop.protocols.values()] == ["haggling"]


def test_what_is_no_agent_is_not_published(shell, tmp_path):
    (tmp_path / "no.py").write_text("class A:\n    pass\n")
    assert shell("new", "no.py:A") == "agents.class"
    assert shell("new", "missing.py:A") == "agents.class"
    assert shell("new", "no.py:A", "--arguments", "[]") == "agents.fields"
    assert shell("run") == "agents.none"
    assert shell("run", "5") == "agents.not_here"
