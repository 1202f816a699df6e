# SPDX-License-Identifier: Apache-2.0
"""Which blocks a gateway gives to anyone who asks: registration files, and nothing else of the store."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.store.cid import digest_of
from koinon.works.registration import SignedRegistration, registration_domain


@runtime_checkable
class Blocks(Protocol):
    """A content store, as far as it is read here. ``has`` says what lies here, and asks nobody."""

    def has(self, cid: str) -> bool: ...

    def get(self, cid: str) -> bytes: ...


class PublicFiles:
    """The store's registration files that somebody signed for this network's register of Works.

    They are public by what they are. Whatever else lies in the store (data, models, sealed content) is not
    given out, whoever knows its CID.
    """

    def __init__(self, chain: Chain, store: Blocks) -> None:
        self._store = store
        self._domain = registration_domain(chain.chain_id, chain.network.address("Works"))

    def __call__(self, cid: str) -> bytes:
        """The file; BadInput for what is no CID, NotFound for everything that is not given out."""
        digest_of(cid)
        missing = NotFound(
            "No registration file of this network has this CID here.",
            hint="Ask the Work's owner.",
            code="service.no_file",
        )
        if not self._store.has(cid):  # what others have is theirs to give: two gateways never ask in circles
            raise missing
        try:
            content = self._store.get(cid)
            SignedRegistration.from_bytes(content).check(self._domain)
        except (NotFound, BadInput, IntegrityError):
            raise missing from None
        return content
