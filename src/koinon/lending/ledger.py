# SPDX-License-Identifier: Apache-2.0
"""What credit pools and issuers said, read from the event index: wallets' histories, pools' losses.

Amounts are in the tokens' smallest units, times in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import BadInput
from koinon.lending.score_word import ScoreWord

MOST: Final = 200
"""Rows of a history that are told at once, the newest."""

_TOLD: Final = {
    "borrowed": ("credit_pool_borrowed", "borrower", "e.amount", "e.debt"),
    "repaid": ("credit_pool_repaid", "borrower", "e.amount", "e.debt"),
    "liquidated": ("credit_pool_liquidated", "borrower", "e.repaid", "e.seized"),
    "defaulted": ("credit_pool_defaulted", "borrower", "e.bad_debt", "e.from_junior"),
    "moved tier": ("credit_pool_tier_changed", "borrower", "e.after", "e.debt"),
    "collateral in": ("credit_pool_collateral_supplied", "borrower", "e.amount", "0"),
    "collateral out": ("credit_pool_collateral_withdrawn", "borrower", "e.amount", "0"),
    "lent": ("credit_pool_deposited", "receiver", "e.assets", "e.tranche"),
    "taken back": ("credit_pool_withdrawn", "account", "e.assets", "e.tranche"),
}
"""What → table, the column that names the wallet, an amount, and one number more."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a wallet at a pool. ``amount`` is what was borrowed, repaid, lost, moved; ``more`` the
    debt afterwards, the collateral that was sold, what the junior tranche bore, or a tranche's number."""

    what: str
    pool: str
    amount: int
    more: int
    at: int
    block: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A score as it was put on chain; ``revoked`` where its issuers took it back."""

    uid: str
    word: ScoreWord
    as_of_block: int
    issued_at: int
    expires_at: int
    work_id: int
    digest: str
    transaction: str
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """One default: they add up, ``bad_debt`` = ``from_junior`` + ``from_senior`` + ``from_fees``."""

    borrower: str
    tier: int
    bad_debt: int
    from_junior: int
    from_senior: int
    from_fees: int
    at: int
    transaction: str


class Ledger:
    """The index, as far as lending asks it."""

    def __init__(self, index: Any) -> None:
        self.index = index

    def through(self) -> int:
        """The last block that was read; -1 before the first."""
        head = self.index.head()
        return -1 if head is None else int(head.number)

    def of_wallet(self, wallet: str, most: int = MOST) -> list[Happened]:
        """What a wallet did and what was done to it at all pools, newest first."""
        found: list[Happened] = []
        for what, (table, column, amount, more) in _TOLD.items():
            rows = self.index.rows(
                f"SELECT e.address, {amount} AS amount, {more} AS more, e.block_number, e.log_index, "  # noqa: S608  (ours)
                f"e.transaction_hash, b.timestamp FROM {table} e JOIN block b ON b.number = e.block_number "
                f"WHERE e.{column} = ? ORDER BY e.block_number DESC, e.log_index DESC LIMIT ?",
                (wallet, most),
            )
            found += [
                Happened(
                    what,
                    row["address"],
                    int(row["amount"]),
                    int(row["more"]),
                    int(row["timestamp"]),
                    int(row["block_number"]),
                    row["transaction_hash"],
                )
                for row in rows
            ]
        return sorted(found, key=lambda each: (-each.block, each.what))[:most]

    def scores(self, schema: bytes, wallet: str, most: int = MOST) -> list[Scored]:
        """Every score of a wallet under a schema, the newest by its issuers' time first."""
        rows = self.index.rows(
            "SELECT a.*, r.uid AS gone FROM attestations_attested a LEFT JOIN attestations_revoked r "
            "ON r.uid = a.uid WHERE a.subject = ? AND a.schema = ? "
            "ORDER BY a.block_number DESC, a.log_index DESC LIMIT ?",
            (wallet, "0x" + schema.hex(), most),
        )
        rows = sorted(rows, key=lambda row: (-int(row["issued_at"]), -int(row["nonce"])))
        return [each for each in map(_scored, rows) if each is not None]

    def open_borrowers(self, pool: str) -> list[str]:
        """Whose last word about debt at a pool was not that there is none; the newest first."""
        debts: dict[str, int] = {}
        for row in self.index.rows(
            "SELECT borrower, debt, block_number, log_index FROM credit_pool_borrowed WHERE address = ? "
            "UNION ALL SELECT borrower, debt, block_number, log_index FROM credit_pool_repaid "
            "WHERE address = ? UNION ALL SELECT borrower, debt, block_number, log_index "
            "FROM credit_pool_liquidated WHERE address = ? ORDER BY block_number, log_index",
            (pool, pool, pool),
        ):
            debts.pop(row["borrower"], None)
            debts[row["borrower"]] = int(row["debt"])
        return [borrower for borrower, debt in reversed(debts.items()) if debt]

    def lost(self, pool: str) -> tuple[int, int, int, int]:
        """What all defaults at a pool took: in all, from junior lenders, from senior ones, from fees."""
        rows = self.index.rows(
            "SELECT bad_debt, from_junior, from_senior, from_fees FROM credit_pool_defaulted "
            "WHERE address = ?",
            (pool,),
        )
        columns = ("bad_debt", "from_junior", "from_senior", "from_fees")
        loss, junior, senior, fees = (sum(int(row[name]) for row in rows) for name in columns)
        return loss, junior, senior, fees

    def losses(self, pool: str, most: int = MOST) -> list[Loss]:
        """Defaults at a pool, newest first."""
        rows = self.index.rows(
            "SELECT e.*, b.timestamp FROM credit_pool_defaulted e JOIN block b ON b.number = e.block_number "
            "WHERE e.address = ? ORDER BY e.block_number DESC, e.log_index DESC LIMIT ?",
            (pool, most),
        )
        return [
            Loss(
                row["borrower"],
                int(row["tier"]),
                int(row["bad_debt"]),
                int(row["from_junior"]),
                int(row["from_senior"]),
                int(row["from_fees"]),
                int(row["timestamp"]),
                row["transaction_hash"],
            )
            for row in rows
        ]


def _scored(row: dict[str, Any]) -> Scored | None:
    """None for a word that is no credit score's."""
    try:
        word = ScoreWord.of(int(row["word"]))
    except BadInput:
        return None
    return Scored(
        row["uid"],
        word,
        int(row["as_of_block"]),
        int(row["issued_at"]),
        int(row["expires_at"]),
        int(row["work_id"]),
        row["digest"],
        row["transaction_hash"],
        row["gone"] is not None,
    )


def standing_at(scores: Sequence[Scored], work_id: int, now: int) -> Scored | None:
    """The score that counts for a model's pools at this second: the newest, unless it was taken back, has
    ended or is another model's. An older one counts no more, as in `Bundles`."""
    if not scores or scores[0].work_id != work_id or scores[0].revoked or scores[0].expires_at <= now:
        return None
    return scores[0]
