# SPDX-License-Identifier: Apache-2.0
"""The stock MCP client finds and calls a gateway's services as tools; x402's own MCP client pays for them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from mcp import Client, MCPError
from mcp.client.client import ConnectMode
from mcp_types import RequestParamsMeta
from x402.mcp import wrap_mcp_client_with_payment
from x402.mcp.types import AfterPaymentContext
from x402.schemas.hooks import PaymentResponseContext

from koinon.chain.keys import Key
from koinon.services.gateway.free import free_domain, sign_free_call
from tests.services.doors.stock import Served, payer, served_in
from tests.services.support import Hall

pytestmark = pytest.mark.e2e
MODES: tuple[ConnectMode, ...] = ("legacy", "auto", "2026-07-28")


@pytest.fixture(scope="module")
def served(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_in(hall, tmp_path_factory.mktemp("mcp")) as served:
        yield served


class Calls:
    """What x402's MCP client takes an MCP client to be: `call_tool` of a request's parameters as one dict."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call_tool(self, params: dict[str, Any], *, read_timeout_seconds: timedelta) -> SimpleNamespace:
        result = await self._client.call_tool(
            params["name"],
            params["arguments"],
            read_timeout_seconds=read_timeout_seconds.total_seconds(),
            meta=params.get("_meta"),
        )
        return SimpleNamespace(
            content=[part.model_dump(mode="json", by_alias=True) for part in result.content],
            isError=result.is_error,
            structuredContent=result.structured_content,
            _meta=result.meta or {},
        )


def paying(served: Served, client: Client, key: Key, scheme: str = "exact") -> Any:
    """x402's MCP client; a channel's client is told of each receipt, as x402's HTTP client does."""
    wallet = payer(served.hall, key, scheme)
    wrapped = wrap_mcp_client_with_payment(Calls(client), wallet)

    async def receipt(paid: AfterPaymentContext) -> None:
        context = PaymentResponseContext(
            paid.payment_payload, paid.payment_payload.accepted, settle_response=paid.settle_response
        )
        await wallet.handle_payment_response(context)

    if scheme != "exact":
        wrapped.on_after_payment(receipt)
    return wrapped


@pytest.mark.parametrize("mode", MODES)
def test_every_revision_lists_the_gateways_services_as_tools(served: Served, mode: ConnectMode) -> None:
    async def tools() -> list[Any]:
        async with Client(f"{served.url}/mcp", mode=mode) as client:
            return (await client.list_tools()).tools

    double, describe, count = asyncio.run(tools())
    assert double.name == f"double_{served.double.work_id}"
    assert double.title == "Doubling"
    assert "0.001 tUSD a call" in double.description
    assert double.input_schema["properties"]["number"]["type"] == "integer"
    assert double.output_schema["properties"]["result"]["type"] == "integer"
    assert describe.output_schema["properties"]["length"]["type"] == "integer"
    assert count.output_schema["properties"]["result"] == {"type": "array", "items": {"type": "integer"}}
    assert "0.0001 tUSD a number" in count.description


@pytest.mark.parametrize("mode", MODES)
def test_a_call_without_payment_is_told_the_terms_and_runs_nothing(served: Served, mode: ConnectMode) -> None:
    async def call() -> Any:
        async with Client(f"{served.address(served.double)}/mcp", mode=mode) as client:
            (tool,) = (await client.list_tools()).tools
            return await client.call_tool(tool.name, {"number": 2})

    result = asyncio.run(call())
    assert result.is_error
    assert result.structured_content["x402Version"] == 2
    assert [terms["scheme"] for terms in result.structured_content["accepts"]] == [
        "batch-settlement",
        "exact",
    ]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_x402s_mcp_client_pays_exact_and_is_given_the_receipt(served: Served, mode: ConnectMode) -> None:
    buyer = served.buyer()
    earned = served.hall.coins(served.double.till)

    async def call() -> Any:
        async with Client(f"{served.url}/mcp", mode=mode) as client:
            await client.list_tools()
            tool = f"double_{served.double.work_id}"
            return await paying(served, client, buyer).call_tool(tool, {"number": 21})

    result = asyncio.run(call())
    assert not result.is_error, result.content
    assert result.content[0]["text"] == "42"
    assert result.payment_response.success
    assert result.payment_response.transaction
    assert served.spent(buyer) == served.double.price
    assert served.hall.coins(served.double.till) == earned + served.double.price


def test_x402s_mcp_client_pays_by_vouchers_without_further_transactions(served: Served) -> None:
    buyer = served.buyer()

    async def call() -> list[Any]:
        async with Client(f"{served.url}/mcp") as client:
            tool = f"describe_{served.describe.work_id}"
            x402 = paying(served, client, buyer, "batch-settlement")
            return [await x402.call_tool(tool, {"text": "x" * length}) for length in (1, 2, 3)]

    results = asyncio.run(call())
    assert [result.is_error for result in results] == [False] * 3, [result.content for result in results]
    receipts = [result.payment_response for result in results]
    assert receipts[0].transaction
    assert [receipt.transaction for receipt in receipts[1:]] == ["", ""]
    assert receipts[2].extra["channelState"]["chargedCumulativeAmount"] == str(3 * served.describe.price)
    assert served.spent(buyer) == 10 * served.describe.price, "the deposit, which the rest can come back from"


def test_what_streams_is_one_result_and_costs_what_came(served: Served) -> None:
    buyer = served.buyer()

    async def call() -> tuple[Any, Any]:
        async with Client(f"{served.url}/mcp") as client:
            x402 = paying(served, client, buyer, "batch-settlement")
            tool = f"count_{served.count.work_id}"
            return await x402.call_tool(tool, {"to": 3}), await x402.call_tool(tool, {"to": 12})

    whole, broken = asyncio.run(call())
    assert (whole.is_error, whole.content[0]["text"]) == (False, "[1,2,3]")
    assert whole.payment_response.extra["channelState"]["chargedCumulativeAmount"] == "300"
    assert (broken.is_error, broken.content[0]["text"]) == (True, "[1,2,3,4,5,6,7,8,9,10]")
    assert broken.payment_response.extra["channelState"]["chargedCumulativeAmount"] == "1300"


def test_a_payment_used_before_buys_nothing_at_any_door(served: Served) -> None:
    buyer = served.buyer()

    async def call() -> tuple[Any, Any, httpx.Response]:
        async with Client(f"{served.url}/mcp") as client:
            tool, given = f"double_{served.double.work_id}", []
            x402 = paying(served, client, buyer)
            x402.on_after_payment(lambda paid: given.append(paid.payment_payload))
            first = await x402.call_tool(tool, {"number": 1})
            second = await x402.call_tool_with_payment(tool, {"number": 2}, given[0])
        async with httpx.AsyncClient() as http:
            header = base64.b64encode(given[0].model_dump_json(by_alias=True, exclude_none=True).encode())
            url, signed = served.address(served.double), {"payment-signature": header.decode()}
            return first, second, await http.post(url, json={"number": 1}, headers=signed)

    first, second, plain = asyncio.run(call())
    assert (first.is_error, second.is_error, plain.status_code) == (False, True, 402)
    assert "nonce_already_used" in second.content[0]["text"]
    assert plain.json()["code"] == "payment.nonce_already_used"
    assert served.spent(buyer) == served.double.price


def test_a_buyer_who_can_pay_one_of_two_calls_is_answered_one(served: Served) -> None:
    buyer = served.hall.account(coins=served.double.price)
    earned = served.hall.coins(served.double.till)

    async def call() -> list[Any]:
        async with Client(f"{served.url}/mcp") as client:
            x402, tool = paying(served, client, buyer), f"double_{served.double.work_id}"
            return await asyncio.gather(*[x402.call_tool(tool, {"number": number}) for number in (3, 4)])

    results = asyncio.run(call())
    assert sorted(result.is_error for result in results) == [False, True]
    (refused,) = [result for result in results if result.is_error]
    assert '"accepts"' in refused.content[0]["text"]
    assert served.hall.coins(served.double.till) == earned + served.double.price


def test_a_free_call_goes_by_its_signature_in_the_metadata(served: Served) -> None:
    arguments, caller = {"text": "free"}, Key.generate()
    chain = served.hall.chain

    def signed() -> RequestParamsMeta:
        call = sign_free_call(
            caller,
            free_domain(chain.chain_id, chain.network.address("Works")),
            work_id=served.describe.work_id,
            gateway=served.gateway.key.address,
            input_digest=hashlib.sha256(b'{"text":"free"}').digest(),
            nonce=secrets.token_bytes(32),
            valid_until=int(time.time()) + 300,
        )
        meta: Any = {"koinon/free-call": call.decode()}
        return cast("RequestParamsMeta", meta)

    async def call() -> tuple[Any, Any]:
        async with Client(f"{served.url}/mcp") as client:
            tool = f"describe_{served.describe.work_id}"
            free = await client.call_tool(tool, arguments, meta=signed())
            return free, await client.call_tool(tool, arguments, meta=signed())

    free, used_up = asyncio.run(call())
    assert (free.is_error, free.structured_content) == (False, {"first": "f", "length": 4})
    assert used_up.is_error
    assert used_up.structured_content["accepts"], "it may pay instead"


def test_input_that_does_not_fit_and_a_function_that_fails_cost_nothing(served: Served) -> None:
    buyer = served.buyer()

    async def call() -> list[Any]:
        async with Client(f"{served.url}/mcp") as client:
            x402 = paying(served, client, buyer)
            tool = f"double_{served.double.work_id}"
            return [await x402.call_tool(tool, wrong) for wrong in ({"number": "many"}, {"number": -1})]

    unfit, failed = asyncio.run(call())
    assert unfit.is_error
    assert "number" in unfit.content[0]["text"]
    assert failed.is_error
    assert "ValueError" in failed.content[0]["text"]
    assert "private" not in failed.content[0]["text"]
    assert served.spent(buyer) == 0


def test_an_unknown_tool_is_an_error_of_the_protocol(served: Served) -> None:
    async def call() -> None:
        async with Client(f"{served.url}/mcp") as client:
            await client.call_tool("nothing_0", {})

    with pytest.raises((MCPError, BaseExceptionGroup)) as caught:
        asyncio.run(call())
    fault: BaseException = caught.value
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    assert isinstance(fault, MCPError)
    assert fault.code == -32602
