# SPDX-License-Identifier: Apache-2.0
"""What peers of a swarm disputed: slots missed, objections, and rounds that were done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

Kind = Literal["missed", "objected", "overturned"]
MOST: Final = 50

_TABLES: Final[tuple[tuple[Kind, str, str, str], ...]] = (
    ("missed", "swarm_missed", "peer", "amount"),
    ("objected", "swarm_objected", "peer", "0"),
    ("overturned", "swarm_overturned", "leader", "amount"),
)
"""Kind, table, whom it is about, and what it cost."""


class Index(Protocol):
    """What is read of the event index."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class Dispute:
    """One event. ``account`` missed its slot, objected, or lost its bond over a wrong model; ``amount`` is
    what that cost it, in the smallest unit of the bonds' coin."""

    kind: Kind
    round: int
    account: str
    amount: int
    transaction_hash: str


def disputes(index: Index, run_id: int) -> tuple[Dispute, ...]:
    """The newest of a run, newest first; of a network whose index has the contract Swarm."""
    found: list[tuple[tuple[int, int], Dispute]] = []
    for kind, table, account, amount in _TABLES:
        wanted = f"round, {account} AS account, {amount} AS amount, transaction_hash, block_number, log_index"
        order = f"ORDER BY block_number DESC, log_index DESC LIMIT {MOST}"
        sql = f"SELECT {wanted} FROM {table} WHERE run_id = ? {order}"  # noqa: S608  (our names)
        for row in index.rows(sql, (run_id,)):
            told = (str(row["account"]), int(row["amount"]), str(row["transaction_hash"]))
            place = int(row["block_number"]), int(row["log_index"])
            found.append((place, Dispute(kind, int(row["round"]), *told)))
    found.sort(key=lambda one: one[0], reverse=True)
    return tuple(dispute for _, dispute in found[:MOST])
