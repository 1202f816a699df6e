# SPDX-License-Identifier: Apache-2.0
"""Selling a model behind an OpenAI-compatible endpoint, and endpoints that answer anything else."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from koinon.errors import KoinonError, PeerError
from koinon.services.gateway.metering import TOKEN, Measured, count
from koinon.services.selling.signature import InvalidInput
from koinon.services.targets.address import OPENAI, Address
from koinon.services.targets.openai import ChatModel
from tests.services.targets.scripted import Answer, Says, Scripted

QUESTION = {"messages": [{"role": "user", "content": "Hi"}]}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "the-provider's-name",
    "system_fingerprint": "fp",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": "Second"}, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {}},
}


def model(server: Scripted, *, streams: bool = False, key: str = "", timeout_s: float = 20.0) -> ChatModel:
    address = Address(OPENAI, f"{server.url}/v1/", "small", key, most_tokens=64, streams=streams)
    return ChatModel(address, "Chat", "A model.", timeout_s=timeout_s)


def ask(runner: ChatModel, question: Any = QUESTION) -> Any:
    async def once() -> Any:
        try:
            return orjson.loads(await runner.call(orjson.dumps(question)))
        finally:
            await runner.close()

    return asyncio.run(once())


def parts(runner: ChatModel, most: int = 1_000) -> list[Measured]:
    async def collected() -> list[Measured]:
        found = []
        stream = runner.stream(orjson.dumps(QUESTION))
        try:
            async for part in stream:
                found.append(part)
                if len(found) == most:
                    break
        finally:
            await stream.aclose()
            await runner.close()
        return found

    return asyncio.run(collected())


def delta(text: str, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **fields}


def test_an_answer_in_what_all_compatible_servers_share(server: Scripted) -> None:
    server.answer = lambda _body, _headers: Says.json(COMPLETION)
    assert ask(model(server)) == {
        "object": "chat.completion",
        "model": "small",
        "choices": [COMPLETION["choices"][0]],  # type: ignore[index]
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


def test_the_usage_is_what_a_call_by_the_token_costs(server: Scripted) -> None:
    server.answer = lambda _body, _headers: Says.json(COMPLETION)
    assert count(TOKEN, Measured(orjson.dumps(ask(model(server))), None), 0.0) == 7


def test_model_number_and_length_of_answers_are_the_services(server: Scripted) -> None:
    server.answer = lambda _body, _headers: Says.json(COMPLETION)
    ask(model(server), {**QUESTION, "max_tokens": 1_000_000, "temperature": 0})
    ask(model(server), {**QUESTION, "max_tokens": 3})
    long, short = (body for body, _ in server.asked)
    assert long == {**QUESTION, "model": "small", "n": 1, "max_tokens": long["max_tokens"], "temperature": 0}
    assert 0 < long["max_tokens"] < 64, "what the question leaves of the most tokens"
    assert short["max_tokens"] == 3


@pytest.mark.parametrize(
    "question",
    [
        [],
        {},
        {"messages": []},
        {"messages": [{"role": "owner"}]},
        {"messages": "Hi"},
        {**QUESTION, "model": "the-dearest"},
        {**QUESTION, "n": 100},
        {**QUESTION, "stream": True},
        {**QUESTION, "max_tokens": 0},
        {"messages": [{"role": "user", "content": "x" * 128}]},
        {**QUESTION, "user": "somebody"},
    ],
)
def test_questions_of_another_shape_are_not_asked(server: Scripted, question: Any) -> None:
    with pytest.raises(InvalidInput):
        ask(model(server), question)
    assert not server.asked


def test_the_key_goes_to_the_endpoint_and_into_no_error(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-secret")
    server.answer = lambda _body, _headers: Says(401, [b'{"error":{"message":"bad key sk-secret"}}'])
    with pytest.raises(PeerError) as caught:
        ask(model(server, key="env:MODEL_KEY"))
    assert server.asked[0][1]["authorization"] == "Bearer sk-secret"
    told = repr(caught.value) + str(caught.value) + str(caught.value.problem())
    assert "sk-secret" not in told
    assert "sk-secret" not in repr(model(server, key="env:MODEL_KEY"))


def test_parts_are_passed_on_and_the_usage_makes_up_the_rest(server: Scripted) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}
    first = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    server.answer = lambda _body, _headers: Says.events(
        first, delta("Hel"), delta("lo"), usage, b"[DONE]", holds=server.over
    )
    found = parts(model(server, streams=True))
    assert [part.units for part in found] == [0, 1, 1, 5]
    said = [orjson.loads(part.body)["choices"] for part in found]
    assert [choice[0]["delta"].get("content") for choice in said[:3]] == ["", "Hel", "lo"]
    assert server.asked[0][0]["stream_options"] == {"include_usage": True}


def test_a_reader_that_leaves_leaves_the_endpoint_too(server: Scripted) -> None:
    server.answer = lambda _body, _headers: Says.events(*[delta("x")] * 50, holds=server.over)
    assert len(parts(model(server, streams=True), most=2)) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _b, _h: Says.json(COMPLETION), "does not stream"),
        (lambda _b, _h: Says.events(delta("a")), "broke its answer off"),
        (lambda _b, _h: Says.events(delta("a"), {"error": {"message": "secret"}}), "broke its answer off"),
        (lambda _b, _h: Says.events(delta("a"), b"{"), "not JSON"),
        (lambda _b, _h: Says.events(*[delta("x" * 60_000)] * 80, b"[DONE]"), "too long"),
        (lambda _b, _h: Says(503), "503"),
    ],
)
def test_streams_that_break(server: Scripted, answer: Answer, words: str) -> None:
    server.answer = answer
    with pytest.raises(PeerError, match=words) as caught:
        parts(model(server, streams=True))
    assert "secret" not in str(caught.value)


def test_a_stream_that_stops_in_the_middle_is_given_up(server: Scripted) -> None:
    server.answer = lambda _body, _headers: Says.events(delta("a"), holds=server.over)
    with pytest.raises(PeerError) as caught:
        parts(model(server, streams=True, timeout_s=0.5))
    assert caught.value.code == "service.timeout"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _b, _h: Says(307, [b""], {"location": "/elsewhere"}), "307"),
        (lambda _b, _h: Says(400, [b"secret"]), "does not take"),
        (lambda _b, _h: Says(429), "busy"),
        (lambda _b, _h: Says(parts=[b"<p>"]), "not JSON"),
        (lambda _b, _h: Says.json([]), "no completion"),
        (lambda _b, _h: Says.json({"choices": []}), "no completion"),
        (lambda _b, _h: Says.json({"choices": [{"message": "Hello"}]}), "no completion"),
        (lambda _b, _h: Says(parts=[b" " * (1 << 20)] * 5), "too long"),
    ],
)
def test_what_is_no_answer_is_no_answer(server: Scripted, answer: Answer, words: str) -> None:
    server.answer = answer
    with pytest.raises(KoinonError, match=words) as caught:
        ask(model(server))
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    "usage", [None, [], {"total_tokens": -1}, {"total_tokens": "7"}, {"total_tokens": True}]
)
def test_a_usage_that_is_none_is_not_passed_on(server: Scripted, usage: Any) -> None:
    server.answer = lambda _body, _headers: Says.json({**COMPLETION, "usage": usage})
    answer = ask(model(server))
    assert "usage" not in answer
    with pytest.raises(PeerError):
        count(TOKEN, Measured(orjson.dumps(answer), None), 0.0)
