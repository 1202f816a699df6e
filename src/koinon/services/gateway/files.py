# SPDX-License-Identifier: Apache-2.0
"""Which blocks a gateway gives to anyone who asks: registration files and what was handed in for jobs, and
nothing else of the store."""

from __future__ import annotations

from pathlib import Path
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
    """The store's registration files that somebody signed for this network's register of Works, and the
    blocks that were handed in here for jobs (see `jobs.deliverable`).

    They are public by what they are. Whatever else lies in the store (data, models, sealed content) is not
    given out, whoever knows its CID.

    Parameters
    ----------
    chain : Chain
    store : Blocks
    handed_in : Path, optional
        A folder with an empty file, named by its CID, for each block that was handed in.
    """

    def __init__(self, chain: Chain, store: Blocks, handed_in: Path | None = None) -> None:
        self._store = store
        self._handed_in = handed_in
        self._domain = registration_domain(chain.chain_id, chain.network.address("Works"))

    def __call__(self, cid: str) -> bytes:
        """The file; BadInput for what is no CID, NotFound for everything that is not given out."""
        digest_of(cid)
        missing = NotFound(
            "Nothing that is given to everyone has this CID here.",
            hint="Ask the Work's owner.",
            code="service.no_file",
        )
        if not self._store.has(cid):  # what others have is theirs to give: two gateways never ask in circles
            raise missing
        try:
            content = self._store.get(cid)
            if self._handed_in is not None and (self._handed_in / cid).is_file():
                return content
            SignedRegistration.from_bytes(content).check(self._domain)
        except (NotFound, BadInput, IntegrityError):
            raise missing from None
        return content
