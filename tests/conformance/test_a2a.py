# SPDX-License-Identifier: Apache-2.0
"""The stock A2A client reads a gateway's cards and asks its services; x402's client pays for the tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.client import Client, ClientCallContext
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf.json_format import MessageToDict, ParseDict  # type: ignore[import-untyped]
from x402 import x402Client
from x402.schemas import PaymentPayload, PaymentRequired, SettleResponse
from x402.schemas.hooks import PaymentResponseContext

from koinon.services.gateway.registry import Service
from tests.services.doors.stock import Served, payer, served_in
from tests.services.support import COIN, Hall

pytestmark = pytest.mark.e2e
EXTENSION = "https://github.com/google-agentic-commerce/a2a-x402/blob/main/spec/v0.2"


@pytest.fixture(scope="module")
def served(hall: Hall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_in(hall, tmp_path_factory.mktemp("a2a")) as served:
        yield served


@dataclass
class Agent:
    """A service as the stock client reaches it; `say` gives every event, `ask` the task in the end."""

    client: Client
    card: AgentCard

    async def say(self, *parts: Part, task_id: str = "", **metadata: Any) -> list[StreamResponse]:
        message = Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=parts, task_id=task_id)
        message.metadata.update({name.replace("_", "."): value for name, value in metadata.items()})
        return await self.send(message)

    async def send(self, message: Message) -> list[StreamResponse]:
        context = ClientCallContext(service_parameters={"X-A2A-Extensions": EXTENSION})
        return [
            event
            async for event in self.client.send_message(SendMessageRequest(message=message), context=context)
        ]

    async def ask(self, *parts: Part, task_id: str = "", **metadata: Any) -> Task:
        events = await self.say(*parts, task_id=task_id, **metadata)
        return await self.client.get_task(GetTaskRequest(id=events[0].task.id))

    async def pay(self, task: Task, wallet: x402Client) -> Task:
        """Pay what a task asks, by x402's client, and tell it of the receipt."""
        required = PaymentRequired.model_validate(
            MessageToDict(task.status.message.metadata)["x402.payment.required"]
        )
        payload = await wallet.create_payment_payload(required)
        assert isinstance(payload, PaymentPayload)
        paid = await self.ask(
            Part(text="Here is the payment."),
            task_id=task.id,
            x402_payment_status="payment-submitted",
            x402_payment_payload=payload.model_dump(by_alias=True, exclude_none=True),
        )
        for receipt in told(paid).get("x402.payment.receipts", ()):
            settled = SettleResponse.model_validate(receipt)
            context = PaymentResponseContext(payload, payload.accepted, settle_response=settled)
            await wallet.handle_payment_response(context)
        return paid


def told(task: Task) -> dict[str, Any]:
    metadata: dict[str, Any] = MessageToDict(task.status.message.metadata)
    return metadata


def data(**fields: Any) -> Part:
    part: Part = ParseDict({"data": fields}, Part())
    return part


def result(task: Task) -> Any:
    assert task.status.state == TaskState.TASK_STATE_COMPLETED, task
    return MessageToDict(task.artifacts[0].parts[0].data)["result"]


async def open_agent(http: httpx.AsyncClient, url: str, *, version: str, streaming: bool) -> Agent:
    card = await A2ACardResolver(http, url).get_agent_card()
    for interface in list(card.supported_interfaces):
        if interface.protocol_version != version:
            card.supported_interfaces.remove(interface)
    return Agent(ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(card), card)


def run(url: str, talk: Any, *, version: str = "1.0", streaming: bool = False) -> Any:
    """What a talk with the agent at an address comes to."""

    async def whole() -> Any:
        async with httpx.AsyncClient(timeout=60) as http:
            return await talk(await open_agent(http, url, version=version, streaming=streaming))

    return asyncio.run(whole())


def test_the_cards_of_the_gateway_and_of_a_service(served: Served) -> None:
    async def card(agent: Agent) -> AgentCard:
        return agent.card

    whole = run(served.url, card)
    assert [skill.name for skill in whole.skills] == ["Doubling", "Describing", "score"]
    one = run(served.address(served.double), card)
    assert [skill.id for skill in one.skills] == [f"double_{served.double.work_id}"]
    assert one.supported_interfaces[0].url == f"{served.address(served.double)}/a2a"
    assert one.capabilities.streaming
    assert EXTENSION in [extension.uri for extension in one.capabilities.extensions]
    assert "0.001 tUSD a call" in one.skills[0].description


@pytest.mark.parametrize("version", ["1.0", "0.3"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_a_task_waits_for_its_payment_and_exact_pays_it(
    served: Served, version: str, streaming: bool
) -> None:
    buyer = served.buyer()

    async def talk(agent: Agent) -> tuple[Task, Task]:
        task = await agent.ask(data(number=21))
        return task, await agent.pay(task, payer(served.hall, buyer))

    asked, paid = run(served.address(served.double), talk, version=version, streaming=streaming)
    assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert told(asked)["x402.payment.status"] == "payment-required"
    assert result(paid) == 42
    assert told(paid)["x402.payment.status"] == "payment-completed"
    (receipt,) = told(paid)["x402.payment.receipts"]
    assert receipt["success"]
    assert receipt["transaction"]
    assert served.spent(buyer) == served.double.price


def test_vouchers_pay_one_task_after_another(served: Served) -> None:
    buyer = served.buyer()

    async def talk(agent: Agent) -> list[Task]:
        wallet = payer(served.hall, buyer, "batch-settlement")
        return [await agent.pay(await agent.ask(Part(text="x" * length)), wallet) for length in (1, 2, 3)]

    tasks = run(served.address(served.describe), talk)
    assert [result(task)["length"] for task in tasks] == [1, 2, 3]
    receipts = [told(task)["x402.payment.receipts"][0] for task in tasks]
    assert [bool(receipt["transaction"]) for receipt in receipts] == [True, False, False]
    assert receipts[2]["extra"]["channelState"]["chargedCumulativeAmount"] == str(3 * served.describe.price)


def test_a_stream_tells_each_change_to_its_end(served: Served) -> None:
    buyer = served.buyer()

    async def talk(agent: Agent) -> tuple[list[StreamResponse], list[StreamResponse]]:
        asked = await agent.say(data(number=4))
        task = await agent.client.get_task(GetTaskRequest(id=asked[0].task.id))
        required = PaymentRequired.model_validate(told(task)["x402.payment.required"])
        payload = await payer(served.hall, buyer).create_payment_payload(required)
        paid = payload.model_dump(by_alias=True, exclude_none=True)
        return asked, await agent.say(
            task_id=task.id, x402_payment_status="payment-submitted", x402_payment_payload=paid
        )

    asked, paid = run(served.address(served.double), talk, streaming=True)
    assert asked[-1].status_update.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    kinds = [event.WhichOneof("payload") for event in paid]
    assert (kinds[0], kinds[-2:]) == ("task", ["artifact_update", "status_update"])
    assert paid[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_what_streams_is_told_part_by_part_and_costs_what_came(served: Served, version: str) -> None:
    buyer = served.buyer()

    async def talk(agent: Agent) -> tuple[list[StreamResponse], Task]:
        task = await agent.ask(data(to=3))
        required = PaymentRequired.model_validate(told(task)["x402.payment.required"])
        wallet = payer(served.hall, buyer, "batch-settlement")
        payload = await wallet.create_payment_payload(required)
        paid = payload.model_dump(by_alias=True, exclude_none=True)
        events = await agent.say(
            task_id=task.id, x402_payment_status="payment-submitted", x402_payment_payload=paid
        )
        return events, await agent.client.get_task(GetTaskRequest(id=task.id))

    events, task = run(served.address(served.count), talk, version=version, streaming=True)
    chunks = [event.artifact_update for event in events if event.HasField("artifact_update")]
    assert [MessageToDict(chunk.artifact.parts[0].data)["item"] for chunk in chunks] == [1, 2, 3]
    assert [chunk.append for chunk in chunks] == [False, True, True]
    assert [MessageToDict(part.data)["item"] for part in task.artifacts[0].parts] == [1, 2, 3]
    (receipt,) = told(task)["x402.payment.receipts"]
    assert receipt["extra"]["channelState"]["chargedCumulativeAmount"] == "300"


def test_one_agent_for_all_services_takes_the_skill_by_name(served: Served) -> None:
    buyer = served.buyer()

    async def talk(agent: Agent) -> Task:
        with pytest.raises(InvalidParamsError, match=r"koinon\.skill"):
            await agent.say(data(number=1))
        task = await agent.ask(data(number=3), koinon_skill=agent.card.skills[0].id)
        return await agent.pay(task, payer(served.hall, buyer))

    assert result(run(served.url, talk)) == 6


def test_a_message_sent_again_with_its_payment_is_the_same_task_and_paid_once(served: Served) -> None:
    buyer = served.buyer()

    async def talk(agent: Agent) -> tuple[Task, list[StreamResponse], list[StreamResponse]]:
        asked = await agent.ask(data(number=8))
        required = PaymentRequired.model_validate(told(asked)["x402.payment.required"])
        payload = await payer(served.hall, buyer).create_payment_payload(required)
        message = Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=[data(number=8)])
        paid = payload.model_dump(by_alias=True, exclude_none=True)
        message.metadata.update({"x402.payment.status": "payment-submitted", "x402.payment.payload": paid})
        first, second = await asyncio.gather(agent.send(message), agent.send(message))
        other = Message()
        other.CopyFrom(message)
        other.message_id = str(uuid4())
        return (await agent.send(other))[0].task, first, second

    other, first, second = run(served.address(served.double), talk)
    assert first[0].task.id == second[0].task.id
    assert result(first[0].task) == result(second[0].task) == 16
    assert other.status.state == TaskState.TASK_STATE_FAILED
    assert told(other)["x402.payment.error"] == "DUPLICATE_NONCE"
    assert served.spent(buyer) == served.double.price


def test_a_message_said_again_to_a_gateway_that_was_killed_is_answered_and_paid_once(
    hall: Hall, tmp_path: Path
) -> None:
    buyer = hall.account(coins=COIN)
    with served_in(hall, tmp_path) as here:
        message = Message(message_id=str(uuid4()), role=Role.ROLE_USER, parts=[data(number=8)])

        async def pay(agent: Agent) -> Task:
            asked = await agent.ask(data(number=8))
            required = PaymentRequired.model_validate(told(asked)["x402.payment.required"])
            payload = await payer(hall, buyer, "batch-settlement").create_payment_payload(required)
            paid = payload.model_dump(by_alias=True, exclude_none=True)
            message.metadata.update({"x402.payment.status": "payment-submitted"})
            message.metadata.update({"x402.payment.payload": paid})
            return (await agent.send(message))[0].task

        async def again(agent: Agent) -> tuple[Task, Task]:
            same = (await agent.send(message))[0].task
            message.message_id = str(uuid4())
            return same, (await agent.send(message))[0].task

        first = run(here.address(here.double), pay)
        here.gateway.kill()
        here.gateway.start()
        same, other = run(here.address(here.double), again)
    assert result(first) == result(same) == 16
    assert first.id != same.id
    assert other.status.state == TaskState.TASK_STATE_FAILED
    (receipt,) = told(first)["x402.payment.receipts"]
    (repeated,) = told(same)["x402.payment.receipts"]
    assert (receipt["extra"]["chargedAmount"], repeated["extra"]["chargedAmount"]) == ("1000", "0")
    assert hall.coins(here.double.till) == here.double.price, "settled when the gateway stopped"


def test_unfit_input_failures_and_empty_pockets_cost_nothing(served: Served) -> None:
    buyer, poor = served.buyer(), served.hall.account()

    async def talk(agent: Agent) -> list[Task]:
        wallet, empty = payer(served.hall, buyer), payer(served.hall, poor)
        return [
            await agent.pay(await agent.ask(data(number="many")), wallet),
            await agent.pay(await agent.ask(data(number=-1)), wallet),
            await agent.pay(await agent.ask(data(number=1)), empty),
        ]

    tasks = run(served.address(served.double), talk)
    assert [task.status.state for task in tasks] == [TaskState.TASK_STATE_FAILED] * 3
    assert [told(task)["x402.payment.status"] for task in tasks] == ["payment-failed"] * 3
    assert [receipt["success"] for task in tasks for receipt in told(task)["x402.payment.receipts"]] == [
        False
    ] * 3
    assert told(tasks[2])["x402.payment.error"] == "INSUFFICIENT_FUNDS"
    assert served.spent(buyer) == 0


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_waiting_tasks_are_canceled_or_refused_and_finished_ones_are_not(
    served: Served, version: str
) -> None:
    async def talk(agent: Agent) -> tuple[Task, Task]:
        task = await agent.ask(data(number=1))
        canceled = await agent.client.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(TaskNotCancelableError):
            await agent.client.cancel_task(CancelTaskRequest(id=task.id))
        declined = await agent.ask(data(number=1))
        return canceled, await agent.ask(task_id=declined.id, x402_payment_status="payment-rejected")

    canceled, declined = run(served.address(served.double), talk, version=version)
    assert canceled.status.state == TaskState.TASK_STATE_CANCELED
    assert declined.status.state == TaskState.TASK_STATE_FAILED
    assert told(declined)["x402.payment.status"] == "payment-rejected"


def test_what_is_not_there_is_said_in_a2as_own_errors(served: Served) -> None:
    async def talk(agent: Agent) -> None:
        with pytest.raises(TaskNotFoundError):
            await agent.client.get_task(GetTaskRequest(id="0" * 32))
        with pytest.raises(ContentTypeNotSupportedError):
            await agent.say(Part(text="double it, please"))
        with pytest.raises(UnsupportedOperationError):
            await agent.client.list_tasks(ListTasksRequest())
        task = await agent.ask(data(number=1))
        with pytest.raises(UnsupportedOperationError):
            await anext(aiter(agent.client.subscribe(SubscribeToTaskRequest(id=task.id))))

    run(served.address(served.double), talk, streaming=True)


def test_a_task_of_one_service_is_not_told_at_another(served: Served) -> None:
    async def ask(agent: Agent) -> Task:
        return await agent.ask(data(number=1))

    task = run(served.address(served.double), ask)

    async def look(agent: Agent) -> None:
        with pytest.raises(TaskNotFoundError):
            await agent.client.get_task(GetTaskRequest(id=task.id))

    other: Service = served.describe
    run(served.address(other), look)
