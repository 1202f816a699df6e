# SPDX-License-Identifier: Apache-2.0
"""The row that every protocol's event becomes, and the order of a chain's rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

KINDS: Final = (
    "transfer",
    "supply",
    "withdraw",
    "deposit_collateral",
    "withdraw_collateral",
    "borrow",
    "repay",
    "liquidation",
    "seizure",
    "bad_debt",
    "swap",
    "reserves",
    "price",
    "vault_deposit",
    "vault_withdraw",
    "approval",
    "role",
    "proposal",
    "vote",
    "execution",
)
"""Kinds of rows.

``supply``/``withdraw`` a lender's (or, where a protocol pools both, a collateral owner's) asset;
``liquidation`` debt repaid by another for collateral (``asset_2``, ``amount_2``); ``seizure`` collateral
taken by an event of its own (Compound v3); ``bad_debt`` debt given up; ``swap`` ``amount`` in, ``amount_2``
out; ``reserves`` what a pair holds, virtual for Uniswap v3; ``price`` a feed's answer; ``role`` who may do
what; ``proposal``, ``vote``, ``execution`` a governor's, the proposal's number in ``note``, a vote's
weight in ``amount``.
"""

PROTOCOLS: Final = (
    "erc20",
    "erc4626",
    "aave-v3",
    "compound-v3",
    "morpho-blue",
    "uniswap-v2",
    "uniswap-v3",
    "chainlink",
    "governor",
    "koinon-pool",
    "koinon-pair",
    "koinon-feed",
)

POOLED: Final = frozenset({"aave-v3"})
"""Protocols in which what is supplied is collateral too."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened.

    ``timestamp`` in Unix seconds; addresses in EIP-55, '' where there is none; ``amount`` and ``amount_2`` in
    the smallest unit of ``asset`` and ``asset_2``, exact. ``contract`` the emitter, ``market`` its market
    within the emitter (Morpho's id; else the emitter), ``account`` whose position or money it is,
    ``counterparty`` who else: receiver, payer, liquidator, spender. ``position`` tells rows of one log apart.
    ``note`` the event's own name, the role, or the tier that a credit pool's loan has from then on.
    """

    block_number: int
    log_index: int
    position: int
    timestamp: int
    block_hash: str
    transaction_hash: str
    kind: str
    protocol: str
    contract: str
    market: str
    account: str
    counterparty: str
    asset: str
    amount: int
    asset_2: str
    amount_2: int
    note: str

    @property
    def place(self) -> tuple[int, int, int]:
        """Where in the chain it stands; no two rows of one chain share a place."""
        return self.block_number, self.log_index, self.position


COLUMNS: Final = tuple(each.name for each in fields(EventRow))
NUMBERS: Final = ("block_number", "log_index", "position", "timestamp")
AMOUNTS: Final = ("amount", "amount_2")
