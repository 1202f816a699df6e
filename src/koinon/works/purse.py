# SPDX-License-Identifier: Apache-2.0
"""One account's money over all Works: what it was paid, what it may withdraw now, its payment channels.

Vouchers are promises between a buyer and a gateway and stand in the gateway's journal, not here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeVar

from koinon.works.family import Index
from koinon.works.shares import OWNER
from koinon.works.way import Gathering, Ways

Answer = TypeVar("Answer")
MOST_WORKS: Final = 100
"""How many of an account's Works are counted at once, the newest first."""

_RECEIVED: Final = """
SELECT t."from" AS till, sum_uint(t.value) AS value
FROM coin_transfer t
JOIN till_released r ON r.block_number = t.block_number AND r.log_index = t.log_index + 1
     AND r.address = t."from" AND r.receiver = t."to" AND r.transaction_hash = t.transaction_hash
WHERE t."to" = ? AND t.address = ?
GROUP BY t."from"
ORDER BY MIN(t.block_number)
"""
_REMEMBERED_S: Final = 10.0
_MOST_REMEMBERED: Final = 512
_NEWEST: Final = "ORDER BY block_number DESC, log_index DESC LIMIT 1"


@dataclass(frozen=True)
class Part:
    """What an account may withdraw now from one Work; ``earned`` and ``waiting`` of the whole Work."""

    work_id: int
    as_owner: bool
    share: int
    withdrawable: int
    earned: int
    waiting: int


@dataclass(frozen=True)
class Purse:
    """An account's money in the coin, in its smallest unit.

    ``received`` was paid out to it from tills, ``by_till`` says which; ``more`` when there are Works beyond
    those counted in ``parts``.
    """

    account: str
    received: int
    by_till: Mapping[str, int]
    parts: tuple[Part, ...]
    more: bool

    @property
    def withdrawable(self) -> int:
        """What releases would pay the account now, without first moving anything along the way."""
        return sum(part.withdrawable for part in self.parts)


@dataclass(frozen=True)
class OpenChannel:
    """A payment channel as its events tell it; amounts in the token's smallest unit.

    ``exit_amount`` is announced to be taken back after ``exit_after`` (Unix seconds; 0: no exit under way).
    """

    channel_id: str
    payer: str
    receiver: str
    receiver_authorizer: str
    payer_authorizer: str
    token: str
    withdraw_delay_s: int
    salt: str
    balance: int
    claimed: int
    exit_amount: int
    exit_after: int

    @property
    def left(self) -> int:
        """What can still be spent, or taken back."""
        return self.balance - self.claimed


class Purses:
    """Money by account.

    Parameters
    ----------
    index : Index
    ways : Ways
    """

    def __init__(self, index: Index, ways: Ways, clock: Callable[[], float] = time.monotonic) -> None:
        self.index, self.ways, self._clock = index, ways, clock
        self._known: dict[tuple[Any, ...], Any] = {}
        self._mark: tuple[str, float] = ("", 0.0)
        self._lock = Lock()

    def of(self, account: str, works: Iterable[int]) -> Purse:
        """An account's money; said again until there is a new block, for some seconds at most.

        Parameters
        ----------
        account : str
        works : iterable of int
            Works the account owns or shares in (see `Directory.of_owner` and `Directory.of_payee`); each is
            checked, so that others do no harm.
        """
        wanted = tuple(sorted(set(works), reverse=True))
        return self._remembered(("of", account, wanted), lambda: self._of(account, wanted))

    def _of(self, account: str, wanted: Sequence[int]) -> Purse:
        token = self.ways.book.token
        received = self.index.rows(_RECEIVED, (account, token))
        by_till = {str(row["till"]): int(row["value"]) for row in received}
        parts = [part for work_id in wanted[:MOST_WORKS] for part in self._parts(account, work_id)]
        return Purse(account, sum(by_till.values()), by_till, tuple(parts), len(wanted) > MOST_WORKS)

    def gather(self, account: str, works: Iterable[int]) -> Gathering:
        """What collecting all of these Works, and everything upstream of them, would pay the account."""
        wanted = tuple(sorted(set(works), reverse=True)[:MOST_WORKS])
        return self._remembered(("gather", account, wanted), lambda: self.ways.gather(wanted, account))

    def _remembered(self, what: tuple[Any, ...], make: Callable[[], Answer]) -> Answer:
        head, now = self.index.head(), self._clock()
        block = "" if head is None else head.hash
        with self._lock:
            if self._mark[0] != block or now - self._mark[1] > _REMEMBERED_S:
                self._known, self._mark = {}, (block, now)
            known = self._known
            found = known.get(what)
        if found is None:
            found = make()
            with self._lock:
                if len(known) >= _MOST_REMEMBERED:
                    known.clear()
                known[what] = found
        answer: Answer = found
        return answer

    def channels(self, account: str, *, as_receiver: bool = False, limit: int = 50) -> list[OpenChannel]:
        """The newest channels an account pays from (or, ``as_receiver``, is paid through)."""
        side = "config_receiver" if as_receiver else "config_payer"
        created = self.index.rows(
            f"SELECT * FROM channels_channel_created WHERE {side} = ?"  # noqa: S608  one of two constants
            " ORDER BY block_number DESC, log_index DESC LIMIT ?",
            (account, limit),
        )
        newest = {str(row["channel_id"]): row for row in reversed(created)}
        what = ("channels", account, as_receiver, limit)
        return self._remembered(
            what, lambda: [self._channel(channel_id, row) for channel_id, row in reversed(newest.items())]
        )

    def _parts(self, account: str, work_id: int) -> Iterable[Part]:
        sharing = self.ways.family.sharing(work_id)
        if sharing.table is None:
            return
        income = self.ways.book.of(work_id)
        owns = self.ways.family.owner_of(work_id) == account
        for payee in (account, OWNER) if owns else (account,):
            share = sharing.table.get(payee, 0)
            if share:
                yield Part(
                    work_id, payee == OWNER, share, income.due(payee, share), income.earned, income.waiting
                )

    def _channel(self, channel_id: str, config: dict[str, Any]) -> OpenChannel:
        steps: list[tuple[int, int, str, dict[str, Any]]] = []
        for table in ("deposited", "claimed", "refunded", "withdraw_initiated", "withdraw_finalized"):
            newest = _NEWEST if table in ("deposited", "claimed") else ""  # a busy channel has thousands
            found = self.index.rows(
                f"SELECT * FROM channels_{table} WHERE channel_id = ? {newest}",  # noqa: S608  constants
                (channel_id,),
            )
            steps += [(row["block_number"], row["log_index"], table, row) for row in found]
        balance = claimed = exit_amount = exit_after = 0
        for _, _, table, row in sorted(steps, key=lambda step: step[:2]):
            match table:
                case "deposited":
                    balance = int(row["new_balance"])
                case "claimed":
                    claimed = int(row["new_total_claimed"])
                case "refunded":  # also shrinks an exit under way, as in `_refund` of Channels.vy
                    balance -= int(row["amount"])
                    exit_amount = max(0, exit_amount - int(row["amount"]))
                    exit_after = exit_after if exit_amount else 0
                case "withdraw_initiated":
                    exit_amount, exit_after = int(row["amount"]), int(row["finalize_after"])
                case "withdraw_finalized":
                    balance -= int(row["amount"])
                    exit_amount = exit_after = 0
        return OpenChannel(
            channel_id=channel_id,
            payer=config["config_payer"],
            receiver=config["config_receiver"],
            receiver_authorizer=config["config_receiver_authorizer"],
            payer_authorizer=config["config_payer_authorizer"],
            token=config["config_token"],
            withdraw_delay_s=int(config["config_withdraw_delay"]),
            salt=config["config_salt"],
            balance=balance,
            claimed=claimed,
            exit_amount=exit_amount,
            exit_after=exit_after,
        )
