# SPDX-License-Identifier: Apache-2.0
"""What the messages of several protocols are made of."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from koinon.agents.address import Address
from koinon.agents.context import LIFETIME_S, LONGEST_LIFETIME_S, Context
from koinon.errors import BadInput

Amount = Annotated[int, Field(ge=0, lt=1 << 62)]
"""A price in the coin's smallest unit."""

Quantity = Annotated[int, Field(ge=1, lt=1 << 32)]

LONGEST_TEXT: Final = 4_000

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""What is asked for or told, in the parties' own words or as JSON."""

Reason = Annotated[str, Field(max_length=400)]

Moment = Annotated[int, Field(ge=0, lt=1 << 40)]
"""Unix seconds."""

Hex32 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

MOST_PARTIES: Final = 150
"""Agents that one negotiation can hold: what is remembered of all of them, and shown to each, has room."""

MOST_OPEN: Final = 5_000
"""Conversations of a protocol beside which an agent lets strangers begin no further one."""

LONGEST_S: Final = LONGEST_LIFETIME_S
"""How far ahead, in seconds, a negotiation that a stranger begins may end."""

GRACE_S: Final = LIFETIME_S + 60
"""How long after a deadline its outcome may still be on its way, in seconds."""


def lifetime(seconds: float) -> float:
    """The lifetime of a message that is of use for so long."""
    return min(max(1.0, seconds), LONGEST_LIFETIME_S)


def has_room(context: Context) -> bool:
    """Whether a stranger may begin one more conversation."""
    return len(context.sessions()) < MOST_OPEN


def different(parties: list[Address]) -> list[Address]:
    """Each once, in order; BadInput for none or too many."""
    found = list(dict.fromkeys(parties))
    if not 0 < len(found) <= MOST_PARTIES:
        raise BadInput(f"A negotiation is between 1 and {MOST_PARTIES} others.", code="agents.negotiation")
    return found
