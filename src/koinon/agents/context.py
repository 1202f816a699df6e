# SPDX-License-Identifier: Apache-2.0
"""What a handler is given beside its message: who sent it, how to answer, what the agent remembers.

Nothing leaves while a handler runs. What it sends, remembers and plans is gathered in `Effects`, which the
runtime writes in one transaction with the mark that the message is done; a handler that fails has had none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from koinon.agents.address import Address
from koinon.agents.behaviour import PLAIN, Protocol
from koinon.agents.memory import Memory, Table, Writes
from koinon.agents.message import schema_of
from koinon.errors import BadInput, PeerError

LIFETIME_S: Final = 600.0
"""How long a message may take to be accepted, when its sender does not say."""

LONGEST_LIFETIME_S: Final = 86_400.0
"""The most a sender may say: receivers remember nonces that long."""

SENDS_LIMIT: Final = 1_000
"""Messages that one handler call may send or plan."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is to be signed and sent. ``due_in_s`` only for messages to oneself."""

    target: Address
    session: UUID
    protocol: bytes
    schema: bytes
    name: str
    payload: bytes
    lifetime_s: float
    due_in_s: float = 0.0


@dataclass(slots=True)
class Effects:
    """What a handler call leads to. ``room`` is how many sends the agent's outbox has room for."""

    room: int = SENDS_LIMIT
    sends: list[Outgoing] = field(default_factory=list)
    later: list[Outgoing] = field(default_factory=list)
    writes: Writes = field(default_factory=dict)


class Context:
    """One call of a handler, timer, startup or shutdown.

    Attributes
    ----------
    me : Address
        The agent.
    sender : Address
        Who signed the message; the agent itself for timers and for messages from `later`.
    session : UUID
        The conversation the message belongs to; a new one for timers.
    expires : int
        Until when the message could be accepted, Unix seconds.
    guest : bool
        Whether it came without an envelope, by one of the host's doors: then nobody signed it.
    message_id : bytes
        The envelope's digest (32 bytes); empty for timers. A message that is delivered again has the same.
    """

    __slots__ = (
        "_clock",
        "_effects",
        "_protocol",
        "_table",
        "expires",
        "guest",
        "me",
        "message_id",
        "sender",
        "session",
    )

    def __init__(
        self,
        me: Address,
        sender: Address,
        session: UUID,
        *,
        table: Table,
        effects: Effects,
        clock: Callable[[], float],
        protocol: Protocol | None = None,
        expires: int = 0,
        message_id: bytes = b"",
        guest: bool = False,
    ) -> None:
        self.me, self.sender, self.session = me, sender, session
        self.expires, self.message_id, self.guest = expires, message_id, guest
        self._table, self._effects, self._clock, self._protocol = table, effects, clock, protocol

    @property
    def now(self) -> float:
        """Unix seconds by the host's clock."""
        return self._clock()

    @property
    def memory(self) -> Memory:
        """The agent's durable memory, or in a protocol's handler that protocol's part of it."""
        return Memory(self._table, self._effects.writes, self._scope)

    @property
    def session_memory(self) -> Memory:
        """Durable memory of this conversation alone; see `end_session`."""
        return Memory(self._table, self._effects.writes, self._session_scope)

    def send(
        self, target: Address, message: Any, *, session: UUID | None = None, lifetime_s: float = LIFETIME_S
    ) -> None:
        """Send a message, in this conversation unless another is named.

        It leaves once the handler has returned and all it did is written. Within ``lifetime_s`` it is tried
        until the target's host has it on disk; then it ends in the list of dead letters.

        Raises
        ------
        BadInput
            The message is too long or no message type, the handler has sent a thousand already, or the
            lifetime is not within 1 s and a day.
        PeerError
            ``agents.outbox_full``: too many of the agent's messages wait for hosts that do not take them.
        """
        if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
            raise BadInput(
                f"A message cannot live for {lifetime_s:g} s.", hint="1 s to 1 day.", code="agents.lifetime"
            )
        self._room()
        if len(self._effects.sends) >= self._effects.room:
            raise PeerError(
                "Too many messages of this agent wait for being delivered.",
                hint="Wait until other hosts take them, or send fewer.",
                code="agents.outbox_full",
            )
        self._effects.sends.append(self._outgoing(target, message, session, lifetime_s))

    def reply(self, message: Any, *, lifetime_s: float = LIFETIME_S) -> None:
        """Send to whoever sent the message, in the same conversation; as returning it from the handler."""
        self.send(self.sender, message, lifetime_s=lifetime_s)

    def later(self, seconds: float, message: Any, *, session: UUID | None = None) -> None:
        """Send a message to oneself, to be handled in ``seconds``: a deadline that outlives the process.

        It comes once, never early, and late where the agent was not running. Handlers look at what they
        remember to see whether it still matters.
        """
        if seconds < 0:
            raise BadInput("A deadline cannot lie in the past.", code="agents.lifetime")
        self._room()
        outgoing = self._outgoing(self.me, message, session, LONGEST_LIFETIME_S, due_in_s=float(seconds))
        self._effects.later.append(outgoing)

    def new_session(self) -> UUID:
        """A new conversation's name, to be given to `send`."""
        return uuid.uuid4()

    def in_session(self, session: UUID) -> Context:
        """The same call in another conversation: its memory, and where `send` and `later` write."""
        return self._copy(session, self._protocol)

    def of(self, protocol: Protocol | None) -> Context:
        """The same call in the name of a protocol, or of the agent itself: that one's memory, and its digest
        on what is sent."""
        return self._copy(self.session, protocol)

    def sessions(self) -> list[UUID]:
        """The conversations in which something was remembered before this call, the oldest first."""
        start = f"{self._scope}/"
        return [UUID(hex=scope[len(start) :]) for scope in self._table if scope.startswith(start)]

    def end_session(self) -> None:
        """Forget the conversation's memory; what comes later in it starts anew."""
        scope = self._session_scope
        for place in [place for place in self._effects.writes if place[0] == scope]:
            del self._effects.writes[place]
        for key in self._table.get(scope, ()):
            self._effects.writes[scope, key] = None

    @property
    def _scope(self) -> str:
        return "" if self._protocol is None else self._protocol.name

    @property
    def _session_scope(self) -> str:
        return f"{self._scope}/{self.session.hex}"

    def _copy(self, session: UUID, protocol: Protocol | None) -> Context:
        return Context(
            self.me,
            self.sender,
            session,
            table=self._table,
            effects=self._effects,
            clock=self._clock,
            protocol=protocol,
            expires=self.expires,
            message_id=self.message_id,
            guest=self.guest,
        )

    def _outgoing(
        self,
        target: Address,
        message: Any,
        session: UUID | None,
        lifetime_s: float,
        due_in_s: float = 0.0,
    ) -> Outgoing:
        schema = schema_of(type(message))
        protocol = PLAIN if self._protocol is None else self._protocol.digest
        payload = schema.encode(message)
        return Outgoing(
            target,
            session or self.session,
            protocol,
            schema.digest,
            schema.name,
            payload,
            lifetime_s,
            due_in_s,
        )

    def _room(self) -> None:
        if len(self._effects.sends) + len(self._effects.later) >= SENDS_LIMIT:
            raise BadInput(
                f"One call of a handler sends at most {SENDS_LIMIT} messages.",
                hint="Send the rest from a timer or from a message to oneself.",
                code="agents.too_many_sends",
            )
