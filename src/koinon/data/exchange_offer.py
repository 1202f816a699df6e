# SPDX-License-Identifier: Apache-2.0
"""What is sold in fair exchange, where everyone can check it: a root in the Work's metadata, an offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.data.block_tree import WORD, tree_of
from koinon.errors import NotFound
from koinon.works.terms import Offer, Terms, Use

ROOT_KEY: Final = "exchangeRoot"
"""Under which key of a Work's metadata the root of its content is."""


@dataclass(frozen=True)
class Wanted:
    """What a buyer agrees to buy: the Work, the root of its content (32 bytes), and the offer it has read."""

    work_id: int
    root: bytes
    offer: Offer


def root_of(content: Path) -> bytes:
    """The root of a file's content (32 bytes). Raises BadInput when it is empty or too large."""
    with content.open("rb") as stream:
        return tree_of(stream, content.stat().st_size).root


def announce(chain: Chain, owner: Account, work_id: int, content: Path) -> bytes:
    """Say in the Work's metadata which content is exchanged for money; its root. Doing it again changes
    nothing. Raises BadInput for content that is empty or too large."""
    root = root_of(content)
    works = chain.contract("Works")
    if bytes(works.call("getMetadata", work_id, ROOT_KEY)) != root:
        chain.sender(owner).send(works.transaction("setMetadata", work_id, ROOT_KEY, root))
    return root


def wanted(chain: Chain, work_id: int) -> Wanted:
    """What a Work's owner announced, at the offer that stands; NotFound without one of them."""
    root = bytes(chain.contract("Works").call("getMetadata", work_id, ROOT_KEY))
    offer = Terms(chain).offer_of(work_id, Use.DOWNLOAD)
    if len(root) != WORD or offer is None:
        raise NotFound(
            f"Work {work_id} offers no content in exchange for money.",
            hint="Ask its owner how it is sold.",
            code="data.not_exchanged",
        )
    return Wanted(work_id, root, offer)
