# SPDX-License-Identifier: Apache-2.0
"""The A2A door byte by byte: garbage, versions, waiting, and tasks that are forgotten in time."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from koinon.services.doors import tasks as states
from koinon.services.doors.skill import Skill
from koinon.services.doors.tasks import KEPT_S, UNPAID_BYTES, Task, Tasks
from koinon.services.gateway.asgi import BODY_LIMIT
from tests.services.doors.free import Free, description

PATH = "/services/1/a2a"


def message(text: str = '{"text": "a"}', **fields: Any) -> dict[str, Any]:
    return {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **fields}}


def run(talk: Any) -> Any:
    return asyncio.run(talk)


@pytest.mark.parametrize("text", ['{"text": "a"}', "a"])
def test_a_free_service_takes_json_or_the_one_text_it_needs(text: str) -> None:
    task = run(Free().rpc(PATH, "SendMessage", message(text)))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"][0]["data"] == {"result": "a"}
    assert task["history"][0]["parts"] == [{"data": {"text": "a"}, "mediaType": "application/json"}]
    assert "metadata" not in task["status"]["message"]


def test_clients_of_0_3_are_answered_as_they_read() -> None:
    said = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "a"}]}
    task = run(Free().rpc(PATH, "message/send", {"message": said}))["result"]
    assert (task["kind"], task["status"]["state"]) == ("task", "completed")
    assert task["status"]["message"]["role"] == "agent"
    assert task["artifacts"][0]["parts"][0]["kind"] == "data"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"SendMessage"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"Nothing"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage"}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":[]}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":{}}}', -32001),
        (b'{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig"}', -32003),
        (b'{"jsonrpc":"2.0","id":1,"method":"tasks/pushNotificationConfig/set"}', -32003),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard"}', -32007),
    ],
)
def test_garbage_is_answered_in_json_rpc(body: bytes, code: int) -> None:
    answer = run(Free().post(PATH, body))
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "ROLE_AGENT"},
        {"parts": {}},
        {"parts": ["a"]},
        {"messageId": ""},
        {"messageId": "m" * 129},
        {"messageId": 7},
        {"metadata": []},
        {"taskId": []},
    ],
)
def test_messages_of_another_shape_are_refused(fields: dict[str, Any]) -> None:
    free = Free()
    assert run(free.rpc(PATH, "SendMessage", message(**fields)))["error"]["code"] == -32602
    assert not free.asked


@pytest.mark.parametrize("levels", [150, 300, 1_000, 5_000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    free = Free()
    deep = b"[" * levels + b"]" * levels
    said = b'{"messageId":"m","role":"ROLE_USER","parts":[{"data":{"text":%s}}],"metadata":{%s}}'
    request = b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":%s}}'
    paid = b'"x402.payment.payload":{"a":%s}' % deep
    for message in (said % (deep, b""), said % (b'"a"', paid)):
        assert run(free.post(PATH, request % message)).json()["error"]["code"] in (-32602, -32700)
    assert not free.asked


def test_a_body_beyond_the_limit_is_not_read() -> None:
    assert run(Free().post(PATH, b" " * (BODY_LIMIT + 1))).status_code == 413


@pytest.mark.parametrize(("version", "code"), [("", 0), ("1.0", 0), ("1.7", 0), ("0.3", 0), ("2.0", -32009)])
def test_versions(version: str, code: int) -> None:
    answer = run(Free().rpc(PATH, "SendMessage", message(), a2a_version=version))
    assert answer.get("error", {"code": 0})["code"] == code


def test_a_client_that_does_not_wait_asks_again_and_one_that_listens_is_told() -> None:
    async def talk() -> tuple[Any, Any, str]:
        free = Free()
        free.open.clear()
        params = {**message(), "configuration": {"returnImmediately": True}}
        begun = (await free.rpc(PATH, "SendMessage", params))["result"]["task"]
        listening = asyncio.create_task(
            free.post(PATH, {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": begun})
        )
        while not free.asked:
            await asyncio.sleep(0)
        canceled = await free.rpc(PATH, "CancelTask", {"id": begun["id"]})
        assert canceled["error"]["code"] == -32002, "what is under way may be paid for any moment"
        free.open.set()
        told = (await listening).text
        return begun, (await free.rpc(PATH, "GetTask", {"id": begun["id"]}))["result"], told

    begun, ended, told = run(talk())
    assert begun["status"]["state"] in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
    assert ended["status"]["state"] == "TASK_STATE_COMPLETED"
    events = [orjson.loads(line.removeprefix("data: ")) for line in told.splitlines() if line]
    assert events[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


def test_a_gateway_that_closes_ends_the_tasks_that_do_not_end_by_themselves() -> None:
    async def talk() -> str:
        free = Free()
        free.open.clear()
        waiting = asyncio.create_task(free.rpc(PATH, "SendMessage", message()))
        while not free.asked:
            await asyncio.sleep(0)
        await free.doors.close(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return "closed"

    assert run(talk()) == "closed"


def _task(skill: Skill, size: int = 0) -> Task:
    task = Task(skill, b" " * size, "context", "message", {})
    task.set(states.INPUT_REQUIRED)
    return task


def test_a_flood_of_unpaid_tasks_pushes_out_unpaid_tasks_alone() -> None:
    skill = Skill.from_description("/services/1", description(1).description)
    kept = Tasks()
    paid, first = _task(skill), _task(skill, 1 << 20)
    kept.put(paid, paid=True)
    kept.put(first, paid=False)
    flood = [_task(skill, 1 << 20) for _ in range(40)]
    for task in flood:
        kept.put(task, paid=False)
    assert kept.get(paid.id) is paid
    assert kept.get(first.id) is None
    assert sum(kept.get(task.id) is not None for task in flood) * (2 << 20) <= UNPAID_BYTES


def test_tasks_are_forgotten_after_an_hour() -> None:
    now = 0.0
    skill = Skill.from_description("/services/1", description(1).description)
    kept = Tasks(lambda: now)
    task = _task(skill)
    kept.put(task, paid=True)
    assert kept.get(task.id) is task
    now = KEPT_S + 1
    assert kept.get(task.id) is None
