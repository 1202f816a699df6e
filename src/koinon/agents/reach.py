# SPDX-License-Identifier: Apache-2.0
"""Finding other agents: where their hosts answer, and whether an account speaks for a Work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from koinon.agents.address import Address
from koinon.errors import NotFound


class Reach(Protocol):
    """What a host asks about agents that are not its own. Both may wait for the network."""

    async def endpoint(self, address: Address) -> str:
        """The URL of the agent's host, to which ``/agents/envelopes`` is added.

        Raises NotFound where the agent has none, and ChainError, PeerError or OSError where nobody can say
        now.
        """

    async def speaks_for(self, address: Address) -> bool:
        """Whether the account may sign for the Work; errors as in `endpoint`. A bare account always may."""


class Known:
    """Agents and endpoints that are given once: simulations, tests, hosts without a chain."""

    def __init__(self, endpoints: Mapping[Address, str] | None = None) -> None:
        self.endpoints = dict(endpoints or {})

    async def endpoint(self, address: Address) -> str:
        try:
            return self.endpoints[address]
        except KeyError:
            raise NotFound(
                f"Nobody here knows where {address} is reached.",
                hint="Name its endpoint, or run it on this host.",
                code="agents.unknown",
            ) from None

    async def speaks_for(self, address: Address) -> bool:
        return not address.work_id or address in self.endpoints
