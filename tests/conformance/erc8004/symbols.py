# SPDX-License-Identifier: Apache-2.0
"""What the table's actions are made of: agents, accounts and moments, whatever they are on one chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

IDENTITY: Final = "identity"
REPUTATION: Final = "reputation"
VALIDATION: Final = "validation"
PASSER: Final = "passer"
"""A contract that registers an agent and gives it to ``other`` while it is told of it."""


@dataclass(frozen=True)
class Agent:
    """The agent registered as number ``number``, from 0; ours has the id ``number`` + 1."""

    number: int


@dataclass(frozen=True)
class Who:
    """The account of a role, or one of the contracts by its name; ``nobody`` is the zero address."""

    role: str


@dataclass(frozen=True)
class Later:
    """So many seconds after the newest block."""

    seconds: int


@dataclass(frozen=True)
class WalletProof:
    """A wallet's signature that it agrees to be an agent's: what it signs may differ from what is sent."""

    agent: Agent
    wallet: str
    owner: str
    seconds: int
    signer: str = ""


@dataclass(frozen=True)
class Step:
    """One call. ``differs`` says why ours does otherwise there; empty where it must do the same."""

    actor: str
    contract: str
    function: str
    arguments: tuple[Any, ...] = ()
    differs: str = ""


def digest(name: str) -> bytes:
    """32 bytes that are called so."""
    return name.encode().ljust(32, b"\1")
