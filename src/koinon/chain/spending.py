# SPDX-License-Identifier: Apache-2.0
"""What this machine's own keys may spend where money is real: a cap a network, counted durably.

The cap has two parts, coins and ETH, because nothing here knows what one is worth in the other. Before a
transaction is sent, the most it can cost is counted; once it is mined, what it did cost. A crash in between
leaves the higher figure. Coins count when an own key sends them, lets somebody take them, or signs that they
may be taken; getting some back does not raise what may still be spent.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from koinon.chain.contract import Call
from koinon.chain.hashing import keccak256
from koinon.chain.network import Network
from koinon.chain.receipts import Receipt
from koinon.chain.wal import use_wal
from koinon.errors import BadInput, PaymentError, SetupError

FILE_NAME: Final = "spending.sqlite"

# Where the amount stands among the arguments (words of 32 bytes) of what moves an account's own coins.
_AMOUNT_AT: Final = {
    keccak256(signature.encode())[:4]: position
    for signature, position in {
        "transfer(address,uint256)": 1,
        "approve(address,uint256)": 1,
        "increaseAllowance(address,uint256)": 1,
        "transferFrom(address,address,uint256)": 2,
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)": 2,
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)": 2,
    }.items()
}
_SCHEMA: Final = """
create table if not exists cap (network text primary key, coins text not null, wei text not null);
create table if not exists spent (id integer primary key, network text not null, coins text not null,
    wei text not null, what text not null);
create index if not exists spent_network on spent (network);
"""


@dataclass(frozen=True)
class Cap:
    """The most to spend: ``coins`` in the coin's smallest unit, ``wei`` of ETH."""

    coins: int
    wei: int


class Purse:
    """The cap and the count of one network in one data directory. Threads and processes may share it.

    Parameters
    ----------
    home : Path
        The data directory.
    network : Network
    """

    def __init__(self, home: Path, network: Network) -> None:
        self.network = network
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(
                home / FILE_NAME, check_same_thread=False, isolation_level=None, timeout=30.0
            )
            use_wal(self._file)
            self._file.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise SetupError(
                f"What was spent cannot be read from {home / FILE_NAME} ({error}).",
                hint="Nothing is spent before it can. Restore the file from a backup.",
                code="spending.file",
            ) from error

    @property
    def cap(self) -> Cap | None:
        """The cap; None where nobody set one yet."""
        row = self._one("select coins, wei from cap where network = ?")
        return None if row is None else Cap(int(row[0]), int(row[1]))

    def set_cap(self, cap: Cap) -> None:
        """Record a cap, in place of any before."""
        with self._lock:
            self._file.execute(
                "insert or replace into cap values (?, ?, ?)",
                (self.network.identity, str(cap.coins), str(cap.wei)),
            )

    @property
    def spent(self) -> Cap:
        """What was spent so far, with the most that what is on its way can cost."""
        with self._lock:
            return self._sum()

    def reserve(self, calls: Sequence[Call], most_wei: Sequence[int]) -> list[int]:
        """Count calls before they are sent; a number for each, for `mined` and `dropped`.

        Raises
        ------
        PaymentError
            ``spending.no_cap``: nobody set a cap yet. ``spending.cap``: it would be exceeded.
        """
        moved = [coins_moved(call, self.network.contracts.get("Coin", "")) for call in calls]
        return self._count(list(zip(moved, most_wei, strict=True)), "sent")

    def mined(self, number: int, receipt: Receipt, call: Call) -> None:
        """What a counted call did cost."""
        coins = 0 if receipt.status != 1 else coins_moved(call, self.network.contracts.get("Coin", ""))
        wei = receipt.gas_used * receipt.effective_gas_price + (call.value if receipt.status == 1 else 0)
        with self._lock:
            self._file.execute(
                "update spent set coins = ?, wei = ?, what = 'mined' where id = ?",
                (str(coins), str(wei), number),
            )

    def dropped(self, number: int) -> None:
        """A counted call was refused by the node and can never be mined."""
        with self._lock:
            self._file.execute("delete from spent where id = ?", (number,))

    def sign_away(self, coins: int) -> None:
        """Count coins that an own key is about to sign away; errors as in `reserve`."""
        self._count([(coins, 0)], "signed")

    def record(self, wei: int) -> None:
        """Count ETH that was spent with its owner's leave in each case (deploying contracts)."""
        with self._lock:
            self._record(self._file.cursor(), 0, wei, "mined")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _count(self, amounts: Sequence[tuple[int, int]], what: str) -> list[int]:
        cap = self.cap
        if cap is None:
            raise PaymentError(
                f"{self.network.name} has real money, and nobody has said how much may be spent there.",
                hint="Say so once: koinon network cap COINS --gas ETH",
                code="spending.no_cap",
            )
        with self._lock, closing(self._file.cursor()) as cursor:
            cursor.execute("begin immediate")
            try:
                self._must_fit(cap, amounts)
                numbers = [self._record(cursor, amount, most, what) for amount, most in amounts]
                cursor.execute("commit")
            except BaseException:
                cursor.execute("rollback")
                raise
        return numbers

    def _record(self, cursor: sqlite3.Cursor, coins: int, wei: int, what: str) -> int:
        cursor.execute(
            "insert into spent (network, coins, wei, what) values (?, ?, ?, ?)",
            (self.network.identity, str(coins), str(wei), what),
        )
        return int(cursor.lastrowid or 0)

    def _sum(self) -> Cap:
        rows = self._file.execute(
            "select coins, wei from spent where network = ?", (self.network.identity,)
        ).fetchall()
        return Cap(sum(int(coins) for coins, _ in rows), sum(int(wei) for _, wei in rows))

    def _one(self, statement: str) -> Any:
        with self._lock:
            return self._file.execute(statement, (self.network.identity,)).fetchone()

    def _must_fit(self, cap: Cap, amounts: Sequence[tuple[int, int]]) -> None:
        spent = self._sum()
        coins, wei = sum(amount for amount, _ in amounts), sum(amount for _, amount in amounts)
        if spent.coins + coins <= cap.coins and spent.wei + wei <= cap.wei:
            return
        what = (
            f"{coins} units of the coin; {spent.coins} of {cap.coins} are spent"
            if spent.coins + coins > cap.coins
            else f"up to {wei} wei; {spent.wei} of {cap.wei} are spent"
        )
        raise PaymentError(
            f"This would spend {what}, more than the cap on {self.network.name} allows.",
            hint="Raise the cap if you mean it: koinon network cap COINS --gas ETH",
            code="spending.cap",
        )


def coins_moved(call: Call, coin: str) -> int:
    """The coins, in the smallest unit, that a call sends away or lets somebody take."""
    if call.to is None or call.to.lower() != coin.lower():
        return 0
    position = _AMOUNT_AT.get(call.data[:4])
    return 0 if position is None else int.from_bytes(call.data[4 + 32 * position : 36 + 32 * position], "big")


def units(amount: str, decimals: int) -> int:
    """An amount as people write it, ``"25"`` or ``"0.05"``, in the smallest unit; BadInput."""
    if not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,30})?", amount, re.ASCII):
        raise BadInput(
            f"{amount!r} is not an amount.", hint='Write it like "25" or "0.05".', code="spending.amount"
        )
    whole, _, fraction = amount.partition(".")
    if len(fraction.rstrip("0")) > decimals:
        raise BadInput(
            f"{amount} has more than {decimals} decimals.", hint="Round it.", code="spending.amount"
        )
    return int(whole + fraction[:decimals].ljust(decimals, "0"))
