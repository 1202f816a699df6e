# SPDX-License-Identifier: Apache-2.0
"""What agents and protocols are made of: handlers of messages, timers, a beginning and an end."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, TypeVar

from koinon.agents.message import Schema, digest_of, schema_of
from koinon.errors import BadInput

if typing.TYPE_CHECKING:
    from koinon.agents.context import Context
    from koinon.agents.purse import Purse

Function = TypeVar("Function", bound=Callable[..., Any])

PLAIN: Final = bytes(32)
"""The protocol digest of messages that belong to no protocol: an agent's own."""

_ON: Final = "__koinon_on__"
_EVERY: Final = "__koinon_every__"


def on(kind: type, *, skill: bool = False) -> Callable[[Function], Function]:
    """Handle a message type: ``def handler(self, message, context)``, async or not.

    What it returns is sent back to the sender; its return annotation says which message types that may be.

    Parameters
    ----------
    kind : type
        The message type.
    skill : bool
        Also open to everybody without an envelope, as a skill of the agent's A2A card and a tool of its MCP
        server. Then ``context.guest`` is true, and ``context.sender`` is only the host they came to.
    """

    def mark(function: Function) -> Function:
        setattr(function, _ON, (kind, skill))
        return function

    return mark


def every(seconds: float) -> Callable[[Function], Function]:
    """Call ``def timer(self, context)`` again and again, the first time ``seconds`` after the start."""
    if seconds <= 0:
        raise BadInput("A timer's interval is more than 0 s.", code="agents.timer")

    def mark(function: Function) -> Function:
        setattr(function, _EVERY, float(seconds))
        return function

    return mark


@dataclass(frozen=True)
class Handler:
    """One handler, bound to its behaviour. ``replies`` are the message types it may return."""

    schema: Schema
    call: Callable[[Any, Context], Any]
    replies: tuple[Schema, ...]
    summary: str
    skill: bool


@dataclass(frozen=True)
class Timer:
    """One timer, bound to its behaviour."""

    name: str
    seconds: float
    call: Callable[[Context], Any]


class Behaviour:
    """A set of handlers and timers; the base of `Agent` and `Protocol`. Methods marked `on` and `every`."""

    @cached_property
    def handlers(self) -> Mapping[bytes, Handler]:
        """By schema digest. `BadInput` where two handlers take one message type."""
        found: dict[bytes, Handler] = {}
        for method in _marked(self, _ON):
            kind, skill = getattr(method, _ON)
            schema = schema_of(kind)
            if schema.digest in found:
                raise BadInput(
                    f"{type(self).__name__} has two handlers for {schema.name}.",
                    hint="Leave one of them out.",
                    code="agents.two_handlers",
                )
            summary = (method.__doc__ or "").strip().split("\n")[0]
            found[schema.digest] = Handler(schema, method, _replies(method), summary, skill)
        return found

    @cached_property
    def timers(self) -> tuple[Timer, ...]:
        """Every timer."""
        return tuple(Timer(each.__name__, getattr(each, _EVERY), each) for each in _marked(self, _EVERY))

    def startup(self, context: Context) -> Any:
        """Called before anything else, at every start; may be async."""

    def shutdown(self, context: Context) -> Any:
        """Called when the agent is stopped in an orderly way; may be async."""


class Protocol(Behaviour):
    """A reusable set of message types and handlers that an agent includes.

    A protocol with several roles is one base class that names it, with one subclass a role::

        class ContractNet(Protocol):
            name = "contract-net"
            messages = (CallForProposals, Propose, Refuse, Accept, Reject, Done)

        class Contractor(ContractNet):
            @on(CallForProposals)
            def consider(self, call: CallForProposals, context: Context) -> Propose | Refuse: ...

    Messages travel with the protocol's digest, which both sides must share: the same name, version and
    messages. State that must outlive the process goes to ``context.memory`` (of this protocol in this agent)
    and ``context.session_memory`` (of one conversation); a deadline is ``context.later(seconds, message)``.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    messages: ClassVar[tuple[type, ...]]

    @cached_property
    def schemas(self) -> Mapping[str, Schema]:
        """Every message type of the protocol by its name."""
        return {kind.__name__: schema_of(kind) for kind in self.messages}

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of name, version and messages: 32 bytes."""
        messages = {name: schema.digest.hex() for name, schema in self.schemas.items()}
        return digest_of({"name": self.name, "version": self.version, "messages": messages})

    @cached_property
    def handlers(self) -> Mapping[bytes, Handler]:
        found = super().handlers
        known = {schema.digest for schema in self.schemas.values()}
        for handler in found.values():
            for schema in (handler.schema, *handler.replies):
                if schema.digest not in known:
                    raise BadInput(
                        f"{schema.name} is no message of the protocol {self.name}.",
                        hint="Name it in the protocol's messages.",
                        code="agents.not_of_protocol",
                    )
        return found


class Agent(Behaviour):
    """A program that acts on somebody's behalf: handlers, timers, and the protocols it includes.

    Messages are handled one at a time, so handlers need no locks. What a handler sends and remembers is
    written in one transaction with the mark that its message is done: a killed process neither loses nor
    doubles a message. What it does to the world outside may be done again if the process dies before that.
    """

    def __init__(self) -> None:
        self.protocols: dict[bytes, Protocol] = {}

    def equip(self, purse: Purse) -> None:
        """Called once by its host, before anything else, with the agent's money: what it may spend under its
        owner's mandate. An agent that pays or is paid includes its protocols here."""

    def include(self, *protocols: Protocol) -> None:
        """Take part in protocols; `BadInput` where one is included already."""
        for protocol in protocols:
            if protocol.digest in self.protocols:
                raise BadInput(
                    f"The protocol {protocol.name} is included already.",
                    hint="Let one object play all of the agent's roles in it.",
                    code="agents.protocol_twice",
                )
            self.protocols[protocol.digest] = protocol

    def behaviours(self) -> tuple[Behaviour, ...]:
        """The agent itself and its protocols."""
        return (self, *self.protocols.values())

    def handler(self, protocol: bytes, schema: bytes) -> Handler | None:
        """Who handles messages of this schema in this protocol (`PLAIN` for the agent's own)."""
        behaviour: Behaviour | None = self if protocol == PLAIN else self.protocols.get(protocol)
        return None if behaviour is None else behaviour.handlers.get(schema)


def protocol_digest(behaviour: Behaviour) -> bytes:
    """What a behaviour's messages travel with: 32 bytes."""
    return behaviour.digest if isinstance(behaviour, Protocol) else PLAIN


def _marked(behaviour: Behaviour, mark: str) -> list[Any]:
    kind = type(behaviour)
    names = [name for name in dir(kind) if hasattr(getattr(kind, name, None), mark)]
    return [getattr(behaviour, name) for name in names]


def _replies(method: Callable[..., Any]) -> tuple[Schema, ...]:
    try:
        answer = typing.get_type_hints(method).get("return", NoneType)
    except NameError as error:
        raise BadInput(
            f"The annotations of {method.__qualname__} cannot be read: {error}.",
            hint="Import what they name outside of TYPE_CHECKING.",
            code="agents.annotations",
        ) from None
    union = isinstance(answer, UnionType) or typing.get_origin(answer) is typing.Union
    kinds = typing.get_args(answer) if union else (answer,)
    return tuple(schema_of(kind) for kind in kinds if kind not in (NoneType, Any, None))
