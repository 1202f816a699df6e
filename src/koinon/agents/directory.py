# SPDX-License-Identifier: Apache-2.0
"""Agents by their Works: the registration file says where one answers, the chain who may speak for it.

An agent's Work has its account's 20 bytes as on-chain metadata (`ACCOUNT_KEY`), and its registration file,
signed by whoever owns the Work now, names its host as the service `SERVICE`. Sold to somebody else it speaks
for nobody until its new owner has signed a file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from koinon.agents.address import Address
from koinon.agents.runtime import agents_domain
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.catalogue import Blocks, Catalogue
from koinon.works.registration import Registration

SERVICE: Final = "koinon-agent"
ACCOUNT_KEY: Final = "koinon.agent"
KEPT_S: Final = 60.0
MISSING_KEPT_S: Final = 5.0
_MOST: Final = 10_000


@dataclass(frozen=True)
class Contact:
    """An agent's Work as others need it: its address, its host's URL, and what its owner says of it."""

    address: Address
    owner: str
    url: str
    registration: Registration


class Directory:
    """All agents of a network, read from its chain."""

    def __init__(self, chain: Chain, store: Blocks) -> None:
        self._catalogue = Catalogue(chain, store)
        self.domain: Domain = agents_domain(chain.chain_id, self._catalogue.contract.address)

    def contact(self, work_id: int) -> Contact:
        """An agent's Work.

        Raises
        ------
        NotFound
            There is no such Work, it is no agent, its file is not here, or not of its present owner.
        """
        owner = self._catalogue.owner_of(work_id)
        try:
            signed = self._catalogue.registration_of(work_id)
        except (BadInput, IntegrityError) as error:
            raise _no_agent(work_id, error.message) from error
        if signed.signer != owner:
            raise _no_agent(work_id, f"Its file was signed by {signed.signer}, its owner is {owner} now.")
        account = self._catalogue.contract.call("getMetadata", work_id, ACCOUNT_KEY)
        urls = [each.endpoint for each in signed.registration.services if each.name == SERVICE]
        if len(account) != 20 or not urls:
            raise _no_agent(work_id, "It names no account and host of an agent.")
        return Contact(Address(work_id, checksum(bytes(account))), owner, urls[0], signed.registration)


class ChainReach:
    """`Reach` by a directory; what it finds is kept for a minute, and for seconds that there is nothing."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        self._kept: dict[int, tuple[float, Contact | None]] = {}

    async def endpoint(self, address: Address) -> str:
        contact = await self._contact(address.work_id) if address.work_id else None
        if contact is None or contact.address != address:
            raise NotFound(
                f"{address} is no agent that can be reached.",
                hint="Its Work's registration file names no host, or another account speaks for it.",
                code="agents.unknown",
            )
        return contact.url

    async def speaks_for(self, address: Address) -> bool:
        if not address.work_id:
            return True
        contact = await self._contact(address.work_id)
        return contact is not None and contact.address == address

    async def _contact(self, work_id: int) -> Contact | None:
        kept = self._kept.get(work_id)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        try:
            found: Contact | None = await asyncio.to_thread(self._directory.contact, work_id)
        except NotFound:
            found = None
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[work_id] = self._clock() + (MISSING_KEPT_S if found is None else KEPT_S), found
        return found


def _no_agent(work_id: int, why: str) -> NotFound:
    return NotFound(f"Work {work_id} is no agent that can be reached.", hint=why, code="agents.no_agent")
