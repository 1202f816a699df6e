# SPDX-License-Identifier: Apache-2.0
"""Asked before anything of value leaves an account of this machine, and told afterwards what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from koinon.chain.contract import Call
from koinon.chain.keys import Key
from koinon.chain.outbox import Outbox
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import BATCH
from koinon.chain.sender import Sender
from koinon.errors import SetupError, TransactionFailed

if TYPE_CHECKING:
    from koinon.chain.handle import Chain


class Guard(Protocol):
    """Counts what is spent and refuses what may not be."""

    def reserve(self, calls: Sequence[Call], most_wei: Sequence[int]) -> list[int]:
        """Count calls with the most each can cost, before they are sent; a number for each. Raises to
        refuse them all."""

    def mined(self, number: int, receipt: Receipt, call: Call) -> None:
        """What a counted call did cost."""

    def dropped(self, number: int) -> None:
        """It was refused by the node and can never be mined."""

    def sign_away(self, coins: int) -> None:
        """Count coins that are about to be signed away, in the coin's smallest unit. Raises to refuse."""


def require_funds(chain: Chain, address: str) -> None:
    """`SetupError` ``node.read_only`` where an account has no ETH to send anything with."""
    if chain.balance(address) == 0:
        raise SetupError(
            f"{address} has no ETH on {chain.network.name}: everything can be read here, nothing sent.",
            hint=f"Send some ETH to {address} on chain {chain.chain_id}, then try again.",
            code="node.read_only",
        )


class GuardedSender(Sender):
    """An account's queue on a network whose ETH is not made up: an account without any is told so, and a
    guard, where there is one, is asked before and told after."""

    def __init__(
        self, chain: Chain, key: Key, *, outbox: Outbox | None = None, guard: Guard | None = None
    ) -> None:
        super().__init__(chain.rpc, key, chain_id=chain.chain_id, outbox=outbox)
        self._chain = chain
        self._guard = guard

    def send_all(self, calls: Sequence[Call], batch: int = BATCH, *, check: bool = True) -> list[Receipt]:
        """As `Sender.send_all`; `SetupError` for an account without ETH, and whatever the guard raises."""
        require_funds(self._chain, self.address)
        if self._guard is None:
            return super().send_all(calls, batch, check=check)
        receipts: list[Receipt] = []
        for start in range(0, len(calls), batch):
            receipts += self._send_counted(self._guard, calls[start : start + batch], check)
        return receipts

    def _send_counted(self, guard: Guard, calls: Sequence[Call], check: bool) -> list[Receipt]:
        priced = self.price(calls)
        bounded = [call for call, _ in priced]
        numbers = guard.reserve(bounded, [most for _, most in priced])
        try:
            receipts = super().send_all(bounded, len(bounded), check=False)
        except TransactionFailed as failure:
            if len(numbers) == 1 and failure.code in ("chain.refused", "chain.insufficient_funds"):
                guard.dropped(numbers[0])  # in every other case some of it may have been, or be, mined
            raise
        for number, receipt, call in zip(numbers, receipts, bounded, strict=True):
            guard.mined(number, receipt, call)
        if check:
            self.must_have_worked(bounded, receipts)
        return receipts
