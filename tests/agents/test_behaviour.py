# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from koinon.agents import Agent, Context, Protocol, every, message, on
from koinon.agents.loading import load_agent
from koinon.agents.memory import Memory, Table, Writes, take_over
from koinon.agents.message import PAYLOAD_LIMIT, schema_of
from koinon.errors import BadInput
from tests.agents.support import Add, Counter, Total, Total2


@message
class Offer:
    """An offer."""

    price: int
    description: str = ""
    seal: bytes = b""


class Model(BaseModel):
    price: int


@dataclass(frozen=True)
class Plain:
    price: int


class Sale(Protocol):
    name = "sale"
    messages = (Offer, Total)


class Seller(Sale):
    @on(Total)
    def total(self, total: Total, context: Context) -> Offer | None:
        return None

    @every(5)
    def look(self, context: Context) -> None:
        pass


def test_a_message_is_named_by_its_schema_and_not_by_its_documentation():
    first = schema_of(Offer).digest

    @message
    class Offer2:
        """Other words."""

        price: int
        description: str = ""
        seal: bytes = b""

    Offer2.__name__ = "Offer"
    assert "description" in schema_of(Offer).document["properties"]
    assert "description" not in schema_of(Offer).document
    assert len(first) == 32
    assert schema_of(Total).digest != schema_of(Total2).digest


@pytest.mark.parametrize("kind", [Offer, Model, Plain])
def test_messages_are_dataclasses_or_pydantic_models(kind):
    schema = schema_of(kind)
    assert schema.decode(schema.encode(kind(price=10**40))) == kind(price=10**40)


def test_bytes_travel():
    schema = schema_of(Offer)
    assert schema.decode(schema.encode(Offer(1, "", b"\xff\x00"))) == Offer(1, "", b"\xff\x00")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"price":"1"}',
        b'{"price":1.5}',
        b'{"price":true}',
        b'{"price":1,"more":2}',
        b'{"price":NaN}',
        b"\xff",
        b"[" * 10_000,
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_its_place(payload):
    with pytest.raises(BadInput) as raised:
        schema_of(Offer).decode(payload)
    assert raised.value.code == "agents.payload"


def test_a_message_has_a_limit():
    with pytest.raises(BadInput) as raised:
        schema_of(Offer).encode(Offer(1, "x" * PAYLOAD_LIMIT))
    assert raised.value.code == "agents.message_too_long"


@pytest.mark.parametrize("kind", [int, list, object])
def test_what_has_no_fields_is_no_message(kind):
    with pytest.raises(BadInput) as raised:
        schema_of(kind)
    assert raised.value.code == "agents.message_type"


def test_both_sides_of_a_protocol_share_its_digest():
    class Buyer(Sale):
        pass

    class Later(Sale):
        version = "2"

    assert Buyer().digest == Seller().digest != Later().digest
    assert [timer.seconds for timer in Seller().timers] == [5]


def test_a_protocol_handles_its_own_messages_only():
    class Stray(Sale):
        @on(Add)
        def add(self, more: Add, context: Context) -> None:
            pass

    with pytest.raises(BadInput) as raised:
        _ = Stray().handlers
    assert raised.value.code == "agents.not_of_protocol"


def test_two_handlers_for_one_message_are_refused():
    class Torn(Counter):
        @on(Add)
        def other(self, more: Add, context: Context) -> None:
            pass

    with pytest.raises(BadInput) as raised:
        _ = Torn().handlers
    assert raised.value.code == "agents.two_handlers"


def test_a_protocol_is_included_once():
    agent = Agent()
    agent.include(Seller())
    assert agent.handler(Seller().digest, schema_of(Total).digest) is not None
    assert agent.handler(bytes(32), schema_of(Total).digest) is None
    with pytest.raises(BadInput) as raised:
        agent.include(Seller())
    assert raised.value.code == "agents.protocol_twice"


def test_memory_is_seen_at_once_and_kept_when_it_is_taken_over():
    table: Table = {"": {"a": "1"}}
    writes: Writes = {}
    memory = Memory(table, writes, "")
    memory["b"] = [10**40]
    del memory["a"]
    assert dict(memory) == {"b": [10**40]}
    assert table == {"": {"a": "1"}}
    take_over(table, writes)
    assert dict(Memory(table, {}, "")) == {"b": [10**40]}
    assert dict(Memory(table, {}, "other")) == {}
    with pytest.raises(KeyError):
        del memory["a"]
    for wrong in (object(), float("nan"), "x" * 70_000):
        with pytest.raises(BadInput):
            memory["c"] = wrong


@pytest.mark.parametrize(
    "target",
    ["nothing", ":Agent", "koinon.agents:Context", "koinon.agents:None", "missing.py:A", "koinon.no_such:A"],
)
def test_what_is_no_agent_is_not_loaded(target):
    with pytest.raises(BadInput) as raised:
        load_agent(target)
    assert raised.value.code == "agents.class"


def test_an_agent_is_loaded_from_a_file(tmp_path):
    file = tmp_path / "greeter.py"
    file.write_text(
        "from koinon.agents import Agent\n\n"
        "class Greeter(Agent):\n"
        "    def __init__(self, word: str) -> None:\n"
        "        super().__init__()\n"
        "        self.word = word\n"
    )
    assert vars(load_agent(f"{file}:Greeter", {"word": "hello"}))["word"] == "hello"
    with pytest.raises(BadInput):
        load_agent(f"{file}:Greeter", {"other": 1})
