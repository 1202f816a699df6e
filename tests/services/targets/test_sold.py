# SPDX-License-Identifier: Apache-2.0
"""Tools and models that stand already, sold by a gateway: published from a shell, paid by the call and by the
token, and paid for by nobody while they are away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from koinon.chain.network import Network
from koinon.cli import main
from koinon.errors import PeerError
from koinon.services.buying.client import Buyer
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.gateway.registry import Registry, Service
from koinon.services.targets.address import MCP, OPENAI, Address
from koinon.services.targets.publishing import Standing, model_at, tools_at
from tests.services.support import COIN, GatewayProcess, Hall
from tests.services.targets.scripted import Says, Scripted, scripted

pytestmark = pytest.mark.e2e
ADD = {
    "name": "add",
    "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "outputSchema": {"type": "object", "properties": {"result": {"type": "integer"}}},
}
QUESTION = {"messages": [{"role": "user", "content": "Hi"}]}


def standing(body: dict[str, Any], _headers: Any) -> Says:
    """A server that is an MCP server and a model at once."""
    if "messages" in body:
        if body["messages"][0]["content"] == "fail":
            return Says(500)
        if body.get("stream"):
            chunks = [{"choices": [{"delta": {"content": text}}]} for text in ("Hel", "lo")]
            return Says.events(*chunks, {"choices": [], "usage": {"total_tokens": 7}}, b"[DONE]")
        message = {"role": "assistant", "content": "Hello"}
        return Says.json({"choices": [{"message": message}], "usage": {"total_tokens": 7}})
    if "id" not in body:
        return Says(202, [b""])
    results: dict[str, Any] = {
        "initialize": {"protocolVersion": "2025-11-25"},
        "tools/list": {"tools": [ADD]},
        "tools/call": {"content": [], "structuredContent": {"result": 3}},
    }
    return Says.json({"jsonrpc": "2.0", "id": body["id"], "result": results[body["method"]]})


def sell(hall: Hall, registry: Registry, found: Standing, **fields: Any) -> Service:
    return hall.service(
        registry,
        str(found.address),
        kind="endpoint",
        name=found.name,
        description=found.description,
        schema=found.signature.to_dict(),
        example=dict(found.example),
        **fields,
    )


class Sold(NamedTuple):
    """A gateway that sells a tool, and a model whole and in parts."""

    server: Scripted
    gateway: GatewayProcess
    add: Service
    chat: Service
    stream: Service


@pytest.fixture(scope="module")
def sold(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sold]:
    folder = tmp_path_factory.mktemp("standing")
    registry = Registry(folder)
    with scripted() as server:
        server.answer = standing
        (tool,) = tools_at(Address(MCP, server.url))
        model = model_at(Address(OPENAI, server.url, "small", most_tokens=100))
        add = sell(hall, registry, tool)
        chat = sell(hall, registry, model, price=10, unit="token", most_units=100)
        parts = model_at(Address(OPENAI, server.url, "small", most_tokens=100, streams=True))
        stream = sell(hall, registry, parts, price=10, unit="token", most_units=100)
        with hall.gateway(folder, hall.account(ether=10)) as gateway:
            yield Sold(server, gateway, add, chat, stream)


def test_a_tool_is_sold_by_the_call_and_a_model_by_the_token(hall: Hall, sold: Sold) -> None:
    gateway, add, chat = sold.gateway, sold.add, sold.chat
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        tool = buyer.call(gateway.address(add), {"a": 2})
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        said = buyer.call(gateway.address(chat), QUESTION)
    assert (tool.result, tool.charged) == ({"result": 3}, add.price)
    assert said.result["choices"][0]["message"]["content"] == "Hello"
    assert said.charged == 7 * chat.price


def test_a_model_that_streams_is_paid_as_it_does_and_costs_what_its_usage_says(
    hall: Hall, sold: Sold
) -> None:
    with (
        StreamingBuyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer,
        buyer.stream(sold.gateway.address(sold.stream), QUESTION) as stream,
    ):
        items = [part.item for part in stream]
    assert [choice["delta"]["content"] for item in items for choice in item["choices"]] == ["Hel", "lo"]
    assert items[-1]["usage"] == {"total_tokens": 7}
    assert stream.end is not None
    assert (stream.end.reason, stream.end.units, stream.end.charged) == ("complete", 7, 7 * sold.stream.price)


def test_a_model_that_fails_costs_nothing_and_is_told_without_its_address(hall: Hall, sold: Sold) -> None:
    server, gateway, chat = sold.server, sold.gateway, sold.chat
    with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
        with pytest.raises(PeerError) as caught:
            buyer.call(gateway.address(chat), {"messages": [{"role": "user", "content": "fail"}]})
        assert server.url.rpartition("/")[2] not in str(caught.value)
        assert buyer.call(gateway.address(chat), QUESTION).charged == 7 * chat.price


def test_buyers_do_not_see_where_it_stands(sold: Sold) -> None:
    for service in (sold.add, sold.chat):
        shown = httpx.get(sold.gateway.address(service)).text
        assert sold.server.url.rpartition(":")[2] not in shown
        assert "mcp+" not in shown


# ------------------------------------------------------------ from a shell


@pytest.fixture
def koinon(
    tmp_path: Path,
    network: Network,
    devnet: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """Run the command on a data directory that knows the session's chain: (status, what it printed)."""
    network.save(tmp_path / "network.json")
    monkeypatch.setenv("KOINON_HOME", str(tmp_path))
    monkeypatch.setenv("KOINON_RPC_URL", devnet.rpc_url)

    def run(*arguments: str) -> tuple[int, str]:
        status = main([*arguments, "--price", "0.001", "--no-serve", "--json"])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def published(tmp_path: Path) -> list[Service]:
    return list(Registry(tmp_path / "gateway").all().values())


def test_tools_are_published_from_a_shell(
    koinon: Callable[..., tuple[int, str]], server: Scripted, tmp_path: Path
) -> None:
    server.answer = standing
    status, said = koinon("service", "publish", f"mcp+{server.url}")
    assert status == 0, said
    (tool,) = published(tmp_path)
    assert (tool.name, tool.target, tool.schema["name"]) == ("add", f"mcp+{server.url}#tool=add", "add")
    status, said = koinon("service", "publish", "--mcp", server.url, "--tool", "sub")
    assert status != 0
    assert "no tool 'sub'" in said
    assert len(published(tmp_path)) == 1


def test_a_model_is_published_from_a_shell_and_its_key_stays_where_it_lies(
    koinon: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-secret")
    model = ["service", "publish", "--openai", "https://model.test/v1", "--model", "small"]
    status, said = koinon(
        *model, "--key", "env:MODEL_KEY", "--per", "token", "--most-tokens", "500", "--stream"
    )
    assert status == 0, said
    (service,) = published(tmp_path)
    assert (service.unit, service.most_units, service.schema["streams"]) == ("token", 500, True)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"sk-secret" not in file.read_bytes()
    assert "sk-secret" not in said
    status, said = koinon(*model, "--key", "sk-secret")
    assert status != 0
    assert "sk-secret" not in said


def test_one_thing_is_published_at_a_time(koinon: Callable[..., tuple[int, str]]) -> None:
    for wrong in ([], ["app.py:score", "--mcp", "https://a.test"], ["--openai", "https://a.test"]):
        status, said = koinon("service", "publish", *wrong)
        assert status != 0, said
