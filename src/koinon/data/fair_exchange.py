# SPDX-License-Identifier: Apache-2.0
"""A fair exchange (``FairExchange.vy``): each side a folder and a step taken again and again. The seller's.

    seller    FairSeller.prepare(…) for a buyer, then step()
    buyer     FairBuyer.check(…), lock(…), then step(…): see `koinon.data.fair_buyer`

What matters is on the chain and in the folder, so either side may crash anywhere and go on: `step` looks
where the sale is and does what is due. The seller hands ``sale.json``, ``ciphertext`` and ``leaves`` to the
buyer and to nobody else.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import write_private
from koinon.data.block_tree import WORD, BlockTree, block_count, block_leaf, crypt_block, read_blocks
from koinon.data.sale import Sale, SaleState, sale_domain
from koinon.errors import KeyFault, NotFound
from koinon.works.terms import Offer

SALE_FILE: Final = "sale.json"
CIPHERTEXT_FILE: Final = "ciphertext"
LEAVES_FILE: Final = "leaves"
KEY_FILE: Final = "sale.key"
DAY_S: Final = 86_400
MARGIN_S: Final = 60


@dataclass(frozen=True)
class Deal:
    """Where a sale is: state, and the last second (Unix) to reveal or to dispute."""

    state: SaleState
    deadline: int


@dataclass
class Side:
    chain: Chain
    account: Account
    folder: Path
    contract: Contract = field(init=False)

    def __post_init__(self) -> None:
        self.contract = self.chain.contract("FairExchange")
        self.domain = sale_domain(self.chain.chain_id, self.contract.address)

    def sale(self) -> tuple[Sale, bytes]:
        """The sale in the folder and its signature; NotFound when there is none."""
        try:
            return Sale.from_json((self.folder / SALE_FILE).read_bytes())
        except FileNotFoundError:
            raise NotFound(
                f"There is no sale in {self.folder}.", hint="Prepare or fetch one.", code="data.no_sale"
            ) from None

    def deal(self) -> Deal:
        """Where the sale is now, by the chain."""
        state, deadline = self.contract.call("deal_of", self.sale()[0].sale_id(self.domain))
        return Deal(SaleState(state), int(deadline))

    def _send(self, function: str, *arguments: object) -> None:
        self.chain.sender(self.account).send(self.contract.transaction(function, *arguments))


class FairSeller(Side):
    """The seller's side: `prepare` once, then `step` until the state is final."""

    def prepare(
        self,
        content: Path,
        *,
        work_id: int,
        buyer: str,
        offer: Offer,
        reveal_s: int = DAY_S,
        dispute_s: int = DAY_S,
        valid_s: int = 7 * DAY_S,
    ) -> Sale:
        """Encrypt the content for this sale alone and sign it, at the price and terms of ``offer``.

        A folder that holds a sale already keeps it: preparing again after a crash gives the same sale.
        Raises BadInput for content that is empty or too large.
        """
        if (self.folder / SALE_FILE).exists():
            return self.sale()[0]
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = secrets.token_bytes(WORD)
        write_private(self.folder / KEY_FILE, key)
        size = content.stat().st_size
        block_count(size)
        plain, hidden = [], []
        with content.open("rb") as source, (self.folder / CIPHERTEXT_FILE).open("wb") as target:
            for index, block in enumerate(read_blocks(source, size)):
                encrypted = crypt_block(key, index, block)
                plain.append(block_leaf(size, index, block))
                hidden.append(block_leaf(size, index, encrypted))
                target.write(encrypted)
            target.flush()
            os.fsync(target.fileno())
        write_private(self.folder / LEAVES_FILE, b"".join(plain))
        sale = Sale(
            work_id=work_id,
            seller=self.account.address,
            buyer=buyer,
            plaintext_root=BlockTree(plain).root,
            ciphertext_root=BlockTree(hidden).root,
            size=size,
            key_commitment=keccak256(key),
            token=offer.token,
            price=offer.price,
            period=offer.period_s,
            terms_digest=offer.terms_digest,
            reveal_s=reveal_s,
            dispute_s=dispute_s,
            valid_until=self.chain.timestamp() + valid_s,
        )
        write_private(self.folder / SALE_FILE, sale.to_json(sale.sign(self.account, self.domain)))
        return sale

    def step(self, *, depth: int = 0, margin_s: int = MARGIN_S) -> SaleState:
        """Reveal the key once the price is locked; collect once the time to dispute is over.

        Whoever reveals shows the key even if the chain then refuses: so the price must have been locked for
        ``depth`` blocks (where blocks can be taken back) and ``margin_s`` seconds must be left. Later than
        that the key stays secret and the buyer is paid back.
        """
        sale, deal, now = self.sale()[0], self.deal(), self.chain.timestamp()
        if deal.state is SaleState.LOCKED and now + margin_s <= deal.deadline and self._is_settled(depth):
            self._send("reveal", sale.values(), self._key(sale))
        elif deal.state is SaleState.REVEALED and now > deal.deadline:
            self._send("complete", sale.values())
        return self.deal().state

    def _is_settled(self, depth: int) -> bool:
        """Whether the price was locked so many blocks ago."""
        block = max(0, self.chain.block_number() - depth)
        state, _ = self.contract.call("deal_of", self.sale()[0].sale_id(self.domain), block=block)
        return bool(state == SaleState.LOCKED)

    def _key(self, sale: Sale) -> bytes:
        try:
            key = (self.folder / KEY_FILE).read_bytes()
        except OSError:
            key = b""
        if keccak256(key) != sale.key_commitment:
            raise KeyFault(
                "The key of this sale is lost.",
                hint=f"Restore {KEY_FILE} from your backup; else the buyer is paid back.",
                code="data.sale_key",
            )
        return key
