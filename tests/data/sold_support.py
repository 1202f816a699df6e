# SPDX-License-Identifier: Apache-2.0
"""A Work whose content is sealed and left with keepers that run as processes."""

from __future__ import annotations

import io

from koinon.data.sealed import content_domain, seal_content
from koinon.store import BlockStore
from koinon.works.terms import Terms, Use, text_digest

CONTENT = bytes(range(256)) * 40
TEXT = text_digest("Read it; do not pass it on.")
PRICE = 300


class Sold:
    """The Work, its offer, and what was sealed."""

    def __init__(self, chain, owner, folder, processes, *, threshold=2):
        self.chain, self.owner = chain, owner
        works = chain.contract("Works")
        receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://work"))
        self.work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
        self.terms = Terms(chain)
        self.offer = self.terms.offer(owner, self.work_id, Use.DOWNLOAD, price=PRICE, terms_digest=TEXT)
        self.store = BlockStore(folder / f"store{self.work_id}")
        domain = content_domain(chain.chain_id, works.address)
        described, boxes = seal_content(
            self.store,
            io.BytesIO(CONTENT),
            work_id=self.work_id,
            keepers=[each.client().keeper() for each in processes],
            threshold=threshold,
            domain=domain,
            chunk_bytes=1000,
        )
        self.described = described.signed(owner, domain)
        self.content_id = described.content_id(domain)
        for each, box in zip(processes, boxes, strict=True):
            each.client().deposit(self.described, box)
