# SPDX-License-Identifier: Apache-2.0
"""Sells a model behind an OpenAI-compatible endpoint: chat completions, whole or in parts.

A buyer gives messages and what shapes the answer; which model, how many answers and how long they may be is
the service's. Its key goes to the endpoint and to nobody else. With the unit ``token`` a call costs what the
endpoint's ``usage`` says, up to the price of the most tokens.

Source: OpenAI API reference, "Create chat completion", in the part that compatible servers share.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson

from koinon.errors import PeerError
from koinon.services.gateway.metering import Measured
from koinon.services.selling.signature import InvalidInput, Signature
from koinon.services.targets.address import Address
from koinon.services.targets.shape import problems
from koinon.services.targets.upstream import Reply, Upstream

CONNECTIONS: Final = 8
MOST_PARTS: Final = 100_000
BYTES_OF_TOKEN: Final = 2
"""Of a question, at least, in any language near enough: so its cost is bounded before it is asked."""

_WHAT: Final = "The model behind this service"
_ROLES: Final = ["system", "developer", "user", "assistant", "tool"]

INPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"role": {"type": "string", "enum": _ROLES}},
                "required": ["role"],
            },
        },
        "max_tokens": {"type": "integer"},
        "temperature": {"type": "number"},
        "top_p": {"type": "number"},
        "frequency_penalty": {"type": "number"},
        "presence_penalty": {"type": "number"},
        "seed": {"type": "integer"},
        "stop": {"type": ["string", "array"]},
        "response_format": {"type": "object"},
        "tools": {"type": "array", "items": {"type": "object"}},
        "tool_choice": {"type": ["string", "object"]},
    },
    "required": ["messages"],
    "additionalProperties": False,
}
_USAGE: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_USAGE_SCHEMA: Final = {"type": "object", "properties": {name: {"type": "integer"} for name in _USAGE}}
OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "object": {"type": "string"},
        "model": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object"}},
        "usage": _USAGE_SCHEMA,
    },
    "required": ["choices"],
}
EXAMPLE: Final = {"messages": [{"role": "user", "content": "Hello!"}]}


def signature_of(address: Address, name: str, description: str) -> Signature:
    """What a model takes and gives."""
    return Signature(name, description, INPUT, OUTPUT, streams=address.streams)


class ChatModel:
    """Asks one model. As `executor.Runner`, and as `executor.StreamRunner` where its address streams.

    Parameters
    ----------
    address : Address
    name, description : str
        For buyers.
    timeout_s : float
        For an answer from the question to its last part.
    """

    def __init__(self, address: Address, name: str, description: str, *, timeout_s: float) -> None:
        self.signature = signature_of(address, name, description)
        self._url = address.url.rstrip("/") + "/chat/completions"
        self._model = address.name
        self._most_tokens = address.most_tokens
        self._timeout_s = timeout_s
        self._upstream = Upstream(timeout_s=timeout_s, what=_WHAT, secret=address.secret())
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="model")

    async def call(self, body: bytes) -> bytes:
        question = self._question(body)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await loop.run_in_executor(self._threads, self._answer, question)
        except TimeoutError:
            raise PeerError(
                f"{_WHAT} gave no answer within {self._timeout_s:g} s.",
                hint="Try again later; nothing was charged.",
                code="service.timeout",
            ) from None

    async def stream(self, body: bytes) -> AsyncGenerator[Measured, None]:
        """The answer's parts as the model makes them. A part counts as one token; the last makes up what the
        endpoint's usage says beyond."""
        question = self._question(body) | {"stream": True, "stream_options": {"include_usage": True}}
        parts, one_at_a_time = self._parts(question), threading.Lock()
        loop = asyncio.get_running_loop()

        def following() -> Measured | None:
            with one_at_a_time:
                return next(parts, None)

        def end() -> None:
            with one_at_a_time:
                parts.close()

        try:
            while (part := await loop.run_in_executor(self._threads, following)) is not None:
                yield part
        finally:
            self._threads.submit(end)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _question(self, body: bytes) -> dict[str, Any]:
        """What the endpoint is asked; InvalidInput."""
        try:
            asked = orjson.loads(body)
        except ValueError:
            raise InvalidInput([]) from None
        if wrong := problems(INPUT, asked):
            raise InvalidInput(wrong)
        if not asked["messages"]:
            raise InvalidInput([{"at": "messages", "reason": "is empty"}])
        room = self._most_tokens - len(body) // BYTES_OF_TOKEN
        if room < 1:
            raise InvalidInput([{"at": "messages", "reason": "are too long for this service"}])
        most = asked.get("max_tokens", room)
        if most < 1:
            raise InvalidInput([{"at": "max_tokens", "reason": "must be 1 or more"}])
        return {**asked, "model": self._model, "n": 1, "max_tokens": min(int(most), room)}

    def _answer(self, question: Mapping[str, Any]) -> bytes:
        with self._upstream.post(self._url, orjson.dumps(question), {"accept": "application/json"}) as reply:
            self._check(reply)
            try:
                found = orjson.loads(reply.body())
            except ValueError:
                raise self._upstream.failed("answered with something that is not JSON") from None
        choice = _choice(found)
        if choice is None or not isinstance(choice.get("message"), dict):
            raise self._upstream.failed("answered with something that is no completion")
        return orjson.dumps(
            {
                "object": "chat.completion",
                "model": self._model,
                "choices": [
                    {"index": 0, "message": choice["message"], "finish_reason": choice.get("finish_reason")}
                ],
                **_usage(found),
            }
        )

    def _parts(self, question: Mapping[str, Any]) -> Generator[Measured, None, None]:
        counted = 0
        with self._upstream.post(self._url, orjson.dumps(question), {"accept": "text/event-stream"}) as reply:
            self._check(reply)
            if not reply.is_stream:
                raise self._upstream.failed("does not stream")
            for number, event in enumerate(reply.events()):
                if event == b"[DONE]":
                    return
                try:
                    found = orjson.loads(event)
                except ValueError:
                    raise self._upstream.failed("streamed something that is not JSON") from None
                if number >= MOST_PARTS or not isinstance(found, dict) or "error" in found:
                    raise self._upstream.failed("broke its answer off")
                choice, usage = _choice(found), _usage(found)
                delta = choice.get("delta") if choice is not None else None
                said = isinstance(delta, dict) and any(delta.get(name) for name in ("content", "tool_calls"))
                units = 1 if said else 0
                if usage:
                    units = max(units, usage["usage"].get("total_tokens", 0) - counted)
                counted += units
                if choice is None and not usage:
                    continue
                yield Measured(orjson.dumps(self._part(choice, usage)), units)
        raise self._upstream.failed("broke its answer off")

    def _part(self, choice: Mapping[str, Any] | None, usage: Mapping[str, Any]) -> dict[str, Any]:
        choices = []
        if choice is not None and isinstance(choice.get("delta"), dict):
            choices = [{"index": 0, "delta": choice["delta"], "finish_reason": choice.get("finish_reason")}]
        return {"object": "chat.completion.chunk", "model": self._model, "choices": choices, **usage}

    def _check(self, reply: Reply) -> None:
        if reply.status == 429:
            raise PeerError(
                f"{_WHAT} is busy.", hint="Try again in a moment; nothing was charged.", code="service.busy"
            )
        if reply.status in (400, 422):
            raise PeerError(
                f"{_WHAT} does not take this request.",
                hint="Nothing was charged; check the messages, and that they are not too long.",
                code="service.endpoint_failed",
            )
        if reply.status != 200:  # of 401 and 403 too, which are the owner's business
            raise self._upstream.failed(f"answered with HTTP status {reply.status}")


def _choice(found: Any) -> dict[str, Any] | None:
    choices = found.get("choices") if isinstance(found, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _usage(found: Any) -> dict[str, dict[str, int]]:
    """``{"usage": …}`` with what is a count in it; empty where nothing is."""
    usage = found.get("usage") if isinstance(found, dict) else None
    if not isinstance(usage, dict):
        return {}
    counts = {
        name: value
        for name, value in usage.items()
        if name in _USAGE and isinstance(value, int) and not isinstance(value, bool) and value >= 0
    }
    return {"usage": counts} if counts else {}
