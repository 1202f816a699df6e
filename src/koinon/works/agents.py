# SPDX-License-Identifier: Apache-2.0
"""Works that are known in ERC-8004's own registries too: who an agent is there, and what is said of it.

Networks that have the canonical registries keep identity and feedback of services and agents there; a Work's
signed registration file names its agent id. The file alone proves nothing: an agent counts as the Work's only
while one account owns both. The registries have an upgrade key, and no till depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.errors import NotFound, TransactionFailed
from koinon.works.registration import Registration
from koinon.works.reputation import Feedback, Standing, Weighting, standing

IDENTITY: Final = "IdentityRegistry"
REPUTATION: Final = "ReputationRegistry"


class Agents:
    """The canonical registries of a network, read only.

    Raises NotFound where the network has none (`Network.canonical` is empty).
    """

    def __init__(self, chain: Chain) -> None:
        canonical = chain.network.canonical
        if IDENTITY not in canonical or REPUTATION not in canonical:
            raise NotFound(
                f"{chain.network.name} has no ERC-8004 registries of its own.",
                hint="Reputation on this network is kept by Koinon's own contracts.",
                code="works.no_registries",
            )
        self.chain = chain
        # Koinon's own contracts have the standard's ABI, so their artifacts bind the registries too.
        self.identity: Contract = chain.contract("Works", canonical[IDENTITY])
        self.reputation: Contract = chain.contract("Reputation", canonical[REPUTATION])

    @property
    def registry(self) -> str:
        """How registration files name the identity registry: ``eip155:<chain>:<address>`` (CAIP-10)."""
        return f"eip155:{self.chain.chain_id}:{self.identity.address}"

    def owner_of(self, agent_id: int) -> str:
        """Who owns an agent; NotFound where there is none of that id."""
        try:
            return str(self.identity.call("ownerOf", agent_id))
        except TransactionFailed:
            raise NotFound(
                f"There is no agent {agent_id} in the ERC-8004 registry.",
                hint="Check the id and the network.",
                code="works.agent",
            ) from None

    def uri_of(self, agent_id: int) -> str:
        """Where an agent's registration file lies."""
        self.owner_of(agent_id)
        return str(self.identity.call("tokenURI", agent_id))

    def agent_of(self, registration: Registration, owner: str) -> int | None:
        """The agent that a Work's file names here and the Work's owner owns; None without one."""
        for agent_id, registry in registration.registrations:
            if registry.lower() != self.registry.lower():
                continue
            try:
                if self.owner_of(agent_id) == owner:
                    return agent_id
            except NotFound:
                continue
        return None

    def feedback(
        self, agent_id: int, *, clients: Sequence[str] = (), tag1: str = "", tag2: str = ""
    ) -> list[Feedback]:
        """Feedback by the clients named (by all when none is), revoked or not."""
        rows = self.reputation.call("readAllFeedback", agent_id, list(clients), tag1, tag2, True)
        return [Feedback(*row) for row in zip(*rows, strict=True)]

    def standing(self, agent_id: int, weighting: Weighting, *, tag1: str = "", tag2: str = "") -> Standing:
        """What a reader makes of an agent's feedback."""
        return standing(self.feedback(agent_id, tag1=tag1, tag2=tag2), weighting)
