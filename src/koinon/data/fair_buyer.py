# SPDX-License-Identifier: Apache-2.0
"""The buyer's side of a fair exchange: believe nothing that was handed over, lock, open or dispute."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.data.block_tree import WORD, BlockTree, block_count, block_leaf, crypt_block
from koinon.data.exchange_offer import Wanted
from koinon.data.fair_exchange import CIPHERTEXT_FILE, DAY_S, LEAVES_FILE, Side
from koinon.data.keepers import is_signed_by
from koinon.data.sale import Sale, SaleState
from koinon.errors import IntegrityError, PaymentError, SetupError

LEAST_DISPUTE_S: Final = 3_600
LONGEST_REVEAL_S: Final = 7 * DAY_S
_LOCK_GAS: Final = 700_000


class FairBuyer(Side):
    """The buyer's side: `check`, `lock`, then `step` until the state is final.

    Come back between the seller's revealing and the end of the time to dispute: later nothing is paid back.
    """

    def check(
        self,
        agreed: Wanted,
        *,
        least_dispute_s: int = LEAST_DISPUTE_S,
        longest_reveal_s: int = LONGEST_REVEAL_S,
    ) -> Sale:
        """The sale, once everything handed over is found to fit it and what was agreed.

        Raises IntegrityError when something does not fit, PaymentError when it is for another buyer, at
        another price or on other terms, is no longer valid, leaves too little time to dispute, or would keep
        the price locked for too long without a key.
        """
        sale, signature = self.sale()
        if (sale.work_id, sale.plaintext_root) != (agreed.work_id, agreed.root):
            raise _unfit("The sale is of other content than was promised.")
        offer = agreed.offer
        if (sale.token, sale.price, sale.period, sale.terms_digest) != (
            offer.token,
            offer.price,
            offer.period_s,
            offer.terms_digest,
        ):
            raise PaymentError(
                "The sale is at another price or on other terms than were agreed.",
                hint="Ask for one at the offer that you have read.",
                code="data.sale_terms",
            )
        if not is_signed_by(self.chain, sale.seller, sale.sale_id(self.domain), signature):
            raise _unfit("The sale is not signed by its seller.")
        if BlockTree(self._leaves(sale)).root != sale.plaintext_root:
            raise _unfit("The hashes of the blocks are not those that were promised.")
        try:
            with (self.folder / CIPHERTEXT_FILE).open("rb") as stream:
                hidden = [
                    block_leaf(sale.size, index, stream.read(1_024))
                    for index in range(block_count(sale.size))
                ]
                too_long = bool(stream.read(1))
        except OSError:
            raise _unfit("The ciphertext is missing.") from None
        if too_long or BlockTree(hidden).root != sale.ciphertext_root:
            raise _unfit("The ciphertext is not the one that the seller signed for.")
        if sale.buyer != self.account.address:
            raise PaymentError(
                f"The sale is for {sale.buyer}.", hint="Ask for one of your own.", code="data.sale_buyer"
            )
        if sale.valid_until < self.chain.timestamp():
            raise PaymentError(
                "The sale is no longer valid.", hint="Ask for a new one.", code="data.sale_over"
            )
        if sale.dispute_s < least_dispute_s:
            raise PaymentError(
                f"The sale leaves only {sale.dispute_s} s to dispute.",
                hint=f"Ask for {least_dispute_s} s or more.",
                code="data.sale_dispute",
            )
        if sale.reveal_s > longest_reveal_s:
            raise PaymentError(
                f"The seller could keep the price locked for {sale.reveal_s} s without a key.",
                hint=f"Ask for {longest_reveal_s} s or less.",
                code="data.sale_reveal",
            )
        return sale

    def lock(
        self,
        agreed: Wanted,
        *,
        least_dispute_s: int = LEAST_DISPUTE_S,
        longest_reveal_s: int = LONGEST_REVEAL_S,
    ) -> SaleState:
        """Check, and lock the price; a sale that is locked already stays so. Errors as in `check`, and
        TransactionFailed when the chain refuses."""
        state = self.deal().state
        if state is not SaleState.UNKNOWN:
            return state
        sale = self.check(agreed, least_dispute_s=least_dispute_s, longest_reveal_s=longest_reveal_s)
        calls, gas, value = [], None, 0
        if sale.token == ZERO_ADDRESS:
            value = sale.price
        else:
            coin = self.chain.contract("Coin", sale.token)
            calls.append(coin.transaction("approve", self.contract.address, sale.price))
            gas = _LOCK_GAS
        calls.append(self.contract.transaction("lock", sale.values(), self.sale()[1], value=value, gas=gas))
        self.chain.sender(self.account).send_all(calls)
        return self.deal().state

    def step(
        self, target: Path, *, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> SaleState:
        """Open the content once the key is revealed, and pay, or dispute the first wrong block; ask for the
        price back when no key came in time.

        ``target`` holds the content when this returns COMPLETED; REFUNDED means the price is back.
        ``progress`` is told blocks opened and blocks in all.
        """
        sale, deal = self.sale()[0], self.deal()
        if deal.state is SaleState.LOCKED and self.chain.timestamp() > deal.deadline:
            self._send("refund", sale.values())
        elif deal.state in (SaleState.REVEALED, SaleState.COMPLETED):
            key = self._revealed(sale)
            wrong = self._open(sale, key, target, progress)
            in_time = deal.state is SaleState.REVEALED and self.chain.timestamp() <= deal.deadline
            if wrong is not None and in_time:
                self._send("dispute", sale.values(), key, *self._evidence(sale, wrong))
            elif wrong is not None:
                raise IntegrityError(
                    f"Block {wrong} is not what was promised, and the time to dispute is over.",
                    hint="Show key, block and proofs to whoever asks about this seller.",
                    code="data.sale_too_late",
                )
            elif deal.state is SaleState.REVEALED:
                self._send("complete", sale.values())
        return self.deal().state

    def _open(self, sale: Sale, key: bytes, target: Path, progress: Callable[[int, int], None]) -> int | None:
        """Write the content; the number of the first block that is not as promised, or None."""
        leaves, count = self._leaves(sale), block_count(sale.size)
        partial = target.with_name(f".{target.name}.part")
        try:
            with (self.folder / CIPHERTEXT_FILE).open("rb") as source, partial.open("wb") as sink:
                for index in range(count):
                    block = crypt_block(key, index, source.read(1_024))
                    if block_leaf(sale.size, index, block) != leaves[index]:
                        return index
                    sink.write(block[: sale.size - 1_024 * index])
                    progress(index + 1, count)
                sink.flush()
                os.fsync(sink.fileno())
            partial.replace(target)
        except OSError as error:
            raise SetupError(
                f"The content could not be written to {target} ({error.strerror}).",
                hint="Free some space or choose another place, soon: the time to dispute passes.",
                code="data.write",
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return None

    def _evidence(self, sale: Sale, wrong: int) -> tuple[object, ...]:
        """What `dispute` takes of a wrong block."""
        hidden, block = [], b""
        with (self.folder / CIPHERTEXT_FILE).open("rb") as stream:
            for index in range(block_count(sale.size)):
                read = stream.read(1_024)
                hidden.append(block_leaf(sale.size, index, read))
                block = read if index == wrong else block
        if BlockTree(hidden).root != sale.ciphertext_root:
            raise IntegrityError(
                "The ciphertext here is not the one that was checked: it was changed since.",
                hint="Restore it or ask the seller for it again, soon: the time to dispute passes.",
                code="data.sale_changed",
            )
        words = [block[place : place + WORD] for place in range(0, len(block), WORD)]
        promised = BlockTree(self._leaves(sale))
        return (wrong, words, BlockTree(hidden).proof(wrong), promised.leaf(wrong), promised.proof(wrong))

    def _revealed(self, sale: Sale) -> bytes:
        start = self.chain.network.start_block
        found = self.contract.history("Revealed", from_block=start, sale_id=sale.sale_id(self.domain))
        return bytes(found[0]["key"])

    def _leaves(self, sale: Sale) -> list[bytes]:
        try:
            listed = (self.folder / LEAVES_FILE).read_bytes()
        except OSError:
            listed = b""
        if len(listed) != WORD * block_count(sale.size):
            raise _unfit("The hashes of the blocks are missing.")
        return [listed[place : place + WORD] for place in range(0, len(listed), WORD)]


def _unfit(sentence: str) -> IntegrityError:
    return IntegrityError(
        sentence, hint="Lock no money; ask the seller to send everything again.", code="data.sale_unfit"
    )
