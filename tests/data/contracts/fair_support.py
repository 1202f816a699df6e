# SPDX-License-Identifier: Apache-2.0
"""A hall with terms, an exchange and a token; sales of small contents, honest and not."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import Any

import boa

from koinon.chain.hashing import keccak256
from koinon.data.block_tree import BLOCK_BYTES, BlockTree, block_leaf, crypt_block, read_blocks
from koinon.data.sale import Sale, sale_domain
from tests.contracts_support import Hall, account, deploy, deploy_hall, deploy_mock, key

HOUR = 3_600
PRICE = 500
PERIOD = 30 * 86_400
TEXT = keccak256(b"you may read this")
CONTENT = bytes(range(256)) * 11  # 2,816 bytes: three blocks, the last not full
KEY = keccak256(b"a key for one sale")
OPEN, SIGNED, LISTED = 1, 2, 3


@dataclass(frozen=True)
class Trade:
    """A sale with everything either side has of it."""

    sale: Sale
    signature: bytes
    key: bytes
    encrypted: tuple[bytes, ...]
    promised: BlockTree

    @property
    def values(self) -> tuple[Any, ...]:
        return self.sale.values()

    def evidence(self, index: int) -> list[Any]:
        """Everything after the sale that `dispute` takes of a block."""
        block = self.encrypted[index]
        words = [block[place : place + 32] for place in range(0, BLOCK_BYTES, 32)]
        tree = self.hidden
        return [
            self.key,
            index,
            words,
            tree.proof(index),
            self.promised.leaf(index),
            self.promised.proof(index),
        ]

    @property
    def hidden(self) -> BlockTree:
        size = self.sale.size
        return BlockTree([block_leaf(size, index, block) for index, block in enumerate(self.encrypted)])


@dataclass
class Exchange:
    """Everything deployed, one Work, its owner and a buyer with tokens."""

    hall: Hall = field(default_factory=deploy_hall)

    def __post_init__(self) -> None:
        self.terms: Any = deploy("works", "Terms", self.hall.works.address)
        self.contract: Any = deploy("data", "FairExchange", self.terms.address)
        self.token: Any = deploy_mock("StakeToken")
        self.owner, self.buyer, self.stranger = (account(role) for role in ("owner", "buyer", "stranger"))
        self.work_id = self.hall.publish(self.owner)
        self.till = str(self.hall.works.till_of(self.work_id))
        self.token.mint(self.buyer, 10**6)
        self.token.approve(self.contract, 2**256 - 1, sender=self.buyer)
        self.domain = sale_domain(int(boa.env.evm.patch.chain_id), self.contract.address)

    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    def trade(self, *, lie_at: int | None = None, content: bytes = CONTENT, **changes: Any) -> Trade:
        """A signed sale of ``content``; with ``lie_at`` that block is something else than promised."""
        secret = changes.pop("key", KEY)
        signer = changes.pop("signer", "owner")
        size = len(content)
        blocks = list(read_blocks(io.BytesIO(content), size))
        promised = BlockTree([block_leaf(size, index, block) for index, block in enumerate(blocks)])
        if lie_at is not None:
            blocks[lie_at] = bytes(BLOCK_BYTES)
        encrypted = tuple(crypt_block(secret, index, block) for index, block in enumerate(blocks))
        hidden = BlockTree([block_leaf(size, index, block) for index, block in enumerate(encrypted)])
        sale = Sale(
            work_id=self.work_id,
            seller=self.owner,
            buyer=self.buyer,
            plaintext_root=promised.root,
            ciphertext_root=hidden.root,
            size=size,
            key_commitment=keccak256(secret),
            token=self.token.address,
            price=PRICE,
            period=PERIOD,
            terms_digest=TEXT,
            reveal_s=HOUR,
            dispute_s=HOUR,
            valid_until=self.now() + HOUR,
        )
        sale = replace(sale, **changes)
        return Trade(sale, sale.sign(key(signer), self.domain), secret, encrypted, promised)

    def offer(self, *, consent: int = OPEN, use: int = 0, **changes: Any) -> None:
        """Open the same in Terms."""
        values = {"token": self.token.address, "price": PRICE, "period": PERIOD, "text": TEXT} | changes
        offer = (values["token"], values["price"], values["period"], consent, 0, values["text"])
        self.terms.offer(self.work_id, use, offer, sender=self.owner)

    def lock(self, trade: Trade, **options: Any) -> bytes:
        options = {"sender": self.buyer} | options
        return bytes(self.contract.lock(trade.values, trade.signature, **options))

    def locked(self, **changes: Any) -> Trade:
        trade = self.trade(**changes)
        self.lock(trade)
        return trade

    def revealed(self, **changes: Any) -> Trade:
        trade = self.locked(**changes)
        self.contract.reveal(trade.values, trade.key, sender=self.owner)
        return trade

    def state(self, trade: Trade) -> int:
        return int(self.contract.deal_of(trade.sale.sale_id(self.domain))[0])
