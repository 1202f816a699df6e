# SPDX-License-Identifier: Apache-2.0
"""The A2A door: services as an agent's skills, over JSON-RPC, paid by x402's extension of A2A.

Speaks A2A 1.0 (SendMessage, SendStreamingMessage, GetTask, CancelTask, SubscribeToTask) and 0.3's names for
the same. A message becomes a task. Without payment the task waits, with x402's PaymentRequired in metadata;
the message that pays names the task. A payment may also come with the first message.

Source: A2A specification 1.0, "JSON-RPC binding"; specification 0.3.0, section 7.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from koinon.errors import KoinonError
from koinon.services.doors import a2a_payment as x402
from koinon.services.doors import tasks as states
from koinon.services.doors.a2a_messages import (
    at_once,
    choose,
    history_of,
    read_input,
    read_message,
    reply,
)
from koinon.services.doors.a2a_replies import Call, answer_with, follow
from koinon.services.doors.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    RpcError,
    id_of,
    read_request,
    refusal,
    write_json,
)
from koinon.services.doors.outcome import Outcome
from koinon.services.doors.skill import Application, Skill, ask, never, plain_numbers
from koinon.services.doors.tasks import Task, Tasks
from koinon.services.gateway.asgi import (
    JSON,
    Receive,
    RequestProblem,
    Scope,
    Send,
    header,
    is_json,
    read_body,
)
from koinon.services.gateway.asgi import respond as respond_with

TASK_NOT_FOUND: Final = -32001
NOT_CANCELABLE: Final = -32002
NO_PUSH: Final = -32003
UNSUPPORTED: Final = -32004
NO_EXTENDED_CARD: Final = -32007
VERSION: Final = -32009

DRAIN_S: Final = 10.0

LEGACY: Final = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
}
"""0.3's names of methods → 1.0's."""

_REASONS: Final = {
    TASK_NOT_FOUND: "TASK_NOT_FOUND",
    NOT_CANCELABLE: "TASK_NOT_CANCELABLE",
    NO_PUSH: "PUSH_NOTIFICATION_NOT_SUPPORTED",
    UNSUPPORTED: "UNSUPPORTED_OPERATION",
    -32005: "CONTENT_TYPE_NOT_SUPPORTED",
    NO_EXTENDED_CARD: "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    VERSION: "VERSION_NOT_SUPPORTED",
}


class A2a:
    """Serves any set of skills as an agent.

    Parameters
    ----------
    application : callable
        The ASGI application that runs and charges the calls.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._tasks = Tasks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, skills: Sequence[Skill]) -> None:
        """One HTTP request to an A2A endpoint."""
        if scope["method"] != "POST":
            raise RequestProblem(405, "This address takes JSON-RPC.", "Use POST.", "service.method")
        if not is_json(header(scope, b"content-type")):
            raise RequestProblem(
                415, "The body is not JSON.", "Send content-type: application/json.", "service.content_type"
            )
        body = await read_body(receive)
        try:
            request = read_request(body)
            _check_version(header(scope, b"a2a-version").decode("latin-1"))
            method = LEGACY.get(request.method, request.method)
            await self._answer(Call(scope, send, skills, request, method, request.method in LEGACY))
        except RpcError as error:
            if error.code in _REASONS:
                error.data = [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": _REASONS[error.code],
                        "domain": "a2a-protocol.org",
                    }
                ]
            await respond_with(send, 200, [JSON], refusal(id_of(body), error))

    async def close(self, drain_s: float = DRAIN_S) -> None:
        """End the tasks that still run, after so many seconds in which they may end by themselves."""
        await self._tasks.close(drain_s)

    async def _answer(self, call: Call) -> None:
        params = call.request.params
        if call.method == "SendMessage":
            task = self._said(call)
            if not at_once(params) and task.running is not None:
                await asyncio.shield(task.running)
            await answer_with(call, {"task": task.to_json(history_of(params))})
        elif call.method == "SendStreamingMessage":
            await follow(call, self._said(call))
        elif call.method == "GetTask":
            task = self._find(call)
            await answer_with(call, {"task": task.to_json(history_of(params))}, bare=True)
        elif call.method == "CancelTask":
            await answer_with(call, {"task": self._cancel(call).to_json()}, bare=True)
        elif call.method == "SubscribeToTask":
            task = self._find(call)
            if task.resting:
                raise RpcError(UNSUPPORTED, "Nothing more will happen to this task by itself.")
            await follow(call, task)
        elif "PushNotification" in call.method or "pushNotification" in call.method:
            raise RpcError(NO_PUSH, "This agent notifies nobody: ask for the task, or stream.")
        elif call.method == "GetExtendedAgentCard":
            raise RpcError(NO_EXTENDED_CARD, "There is no other card than the public one.")
        elif call.method == "ListTasks":
            raise RpcError(UNSUPPORTED, "Tasks are told to those who know their ids, and to nobody else.")
        else:
            raise RpcError(METHOD_NOT_FOUND, f"There is no method {call.method[:100]!r} here.")

    def _said(self, call: Call) -> Task:
        """The task that a message begins or continues, set going."""
        said = read_message(call.request.params)
        payment = plain_numbers(said.metadata.get(x402.PAYLOAD))
        status = said.metadata.get(x402.STATUS)
        if said.task_id:
            task = self._find(call, said.task_id)
            if said.context_id and said.context_id != task.context_id:
                raise RpcError(INVALID_PARAMS, "The task belongs to another context.")
            if said.message_id == task.message_id:
                return task  # said again: its answer was lost
            if task.state != states.INPUT_REQUIRED:
                raise RpcError(UNSUPPORTED, "The task is under way or over: begin another.")
            if status == "payment-rejected":
                text, metadata = "Nothing was paid and nothing was done.", {x402.STATUS: "payment-rejected"}
                task.set(states.FAILED, reply(task.id, task.context_id, text, metadata))
                return task
            task.message_id = said.message_id
        else:
            skill = choose(said, call.skills)
            body = read_input(said, skill)
            again = hashlib.sha256(write_json([said.message_id, skill.path, payment]) + body).digest()
            if payment is not None and (before := self._tasks.begun_by(again)) is not None:
                return before
            context = said.context_id or secrets.token_hex(16)
            task = Task(skill, body, context, said.message_id, {})
            if payment is not None:
                self._tasks.remember(again, task)
            task.question = _remembered(said.raw, task)
        self._tasks.put(task, paid=payment is not None)
        task.set(states.SUBMITTED)
        work = self._run(call.scope, task, payment, said.metadata)
        task.running = asyncio.get_running_loop().create_task(work)
        return task

    async def _run(self, scope: Scope, task: Task, payment: Any, carried: Mapping[str, Any]) -> None:
        """Make the call of a task, and note what came of it. It goes on when the client leaves."""
        task.set(states.WORKING)
        key = hashlib.sha256(task.message_id.encode()).hexdigest()

        async def deliver(outcome: Outcome) -> None:
            if not _without_terms(outcome):
                self._settle(task, payment, outcome)

        try:
            outcome = await ask(
                self._application,
                scope,
                never,
                task.skill,
                task.body,
                payment=payment,
                carried=carried,
                call_key=key,
                deliver=deliver,
                part=task.stream,
            )
            if _without_terms(outcome):
                unpaid = await ask(self._application, scope, never, task.skill, task.body)
                self._settle(task, payment, unpaid if payment is None else outcome)
        except KoinonError as fault:
            if not task.resting:
                task.set(states.FAILED, reply(task.id, task.context_id, fault.message))
        finally:
            if not task.resting:
                task.set(states.FAILED, reply(task.id, task.context_id, "The call ended without an answer."))
            task.running = None

    def _settle(self, task: Task, payment: Any, outcome: Outcome) -> None:
        def says(text: str, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
            return reply(task.id, task.context_id, text, metadata)

        if outcome.status == 200:
            task.finish(outcome.result, outcome.document.get("evidence", {}), outcome.size)
            receipt = outcome.payment_response
            metadata = None if receipt is None else x402.paid(receipt)
            self._tasks.put(task, paid=True)
            if outcome.ended:
                text = f"It ended before it was complete ({outcome.ended}). {outcome.reason}".strip()
                task.set(states.FAILED, says(text, metadata))
            else:
                task.set(states.COMPLETED, says("Done.", metadata))
        elif outcome.status == 402 and payment is None:
            price = task.skill.price or "a payment"
            text = f"{task.skill.title} costs {price}: pay by x402, naming this task."
            task.set(states.INPUT_REQUIRED, says(text, x402.asked(outcome.payment_required or {})))
        elif payment is not None:
            refused = x402.refused(outcome, x402.network_of(payment))
            task.set(states.FAILED, says(outcome.reason, refused))
        else:
            task.set(states.FAILED, says(outcome.reason))

    def _find(self, call: Call, task_id: str = "") -> Task:
        wanted = task_id or call.request.params.get("id")
        task = self._tasks.get(wanted) if isinstance(wanted, str) else None
        if task is None or task.skill.path not in {skill.path for skill in call.skills}:
            raise RpcError(TASK_NOT_FOUND, "There is no such task here, or it was an hour ago.")
        return task

    def _cancel(self, call: Call) -> Task:
        task = self._find(call)
        if task.state != states.INPUT_REQUIRED:
            raise RpcError(
                NOT_CANCELABLE, "Only a task that waits can be canceled: this one is under way or over."
            )
        task.set(states.CANCELED, reply(task.id, task.context_id, "Canceled. Nothing was paid."))
        return task


def _without_terms(outcome: Outcome) -> bool:
    """Whether a call was refused for its payment without saying what it costs."""
    return outcome.status == 402 and outcome.payment_required is None


def _check_version(stated: str) -> None:
    parts = stated.split(".")
    if stated and parts[0] != "1" and parts[:2] != ["0", "3"]:
        raise RpcError(VERSION, f"A2A {stated[:20]} is not spoken here: 1.0 and 0.3 are.")


def _remembered(message: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """A client's message as the history keeps it: what it said, without what paid."""
    data = orjson.loads(task.body)
    return {
        "messageId": message["messageId"],
        "taskId": task.id,
        "contextId": task.context_id,
        "role": "ROLE_USER",
        "parts": [{"data": data, "mediaType": "application/json"}],
    }
