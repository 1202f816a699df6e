# SPDX-License-Identifier: Apache-2.0
"""What the index tells of a vault: its events, when each place was last traded, the last targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import KoinonError, TransactionFailed
from koinon.markets.board import Board
from koinon.treasury.vault import (
    KEEP,
    MOST_ANNOUNCED,
    NOBODY,
    WHOLE_BPS,
    Announced,
    Kind,
    Slot,
    VaultState,
    announced,
    vault_at,
)
from koinon.web import gettext, percent
from koinon.web import marked as _

MOST: Final = 30
LONGEST_REASON: Final = 100
QUIET: Final = frozenset({"transfer", "approval", "settled", "traded"})
"""Events that others tell better, by their tables' names."""

WORDS: Final = {
    "deposit": _("Somebody deposited"),
    "withdraw": _("Somebody withdrew"),
    "withdrawn_in_kind": _("Somebody took a part in kind"),
    "rebalanced": _("The allocator rebalanced"),
    "bounds_set": _("A slot's bounds were set"),
    "limits_set": _("The limits were set"),
    "role_set": _("A role was given"),
    "strategy_set": _("A slot was given its strategy"),
    "stopped": _("Allocation was stopped"),
    "tripped": _("A share fell too far: allocation stopped by itself"),
    "resumed": _("Allocation went on"),
    "announced": _("A change was announced"),
    "changed": _("An announced change took effect"),
    "vetoed": _("An announced change was taken away"),
    "marked_down": _("A slot was marked down"),
}
"""What an event says, as message ids."""


@dataclass(frozen=True)
class Happened:
    """One event of a vault: ``what`` a key of `WORDS` or an event's own name, ``who`` acted where it says."""

    what: str
    who: str
    at: int
    transaction: str
    block: int
    amount: int | None


@dataclass(frozen=True)
class Report:
    """What is last known of a slot: when its price was told, why there is none, and its last trade's time;
    0 where there was none."""

    priced_at: int
    reason: str
    traded_at: int


def happened(board: Board, address: str) -> list[Happened]:
    """A vault's events, newest first."""
    found: list[Happened] = []
    source = next((each for each in board.sources() if each.name == "vault"), None)
    for table in source.tables if source is not None else ():
        what = table.name.removeprefix("vault_")
        if what in QUIET:
            continue
        rows = _rows(board, table.name, address)
        found += [
            Happened(
                what,
                str(next((row[name] for name in ("sender", "allocator", "by") if name in row), "")),
                int(row["timestamp"]),
                str(row["transaction_hash"]),
                int(row["block_number"]),
                int(row["assets"]) if "assets" in row else None,
            )
            for row in rows
        ]
    found.sort(key=lambda each: -each.block)
    return found[:MOST]


def reports(board: Board, state: VaultState) -> dict[int, Report]:
    """The last word about each slot, by its number."""
    traded = {int(row["slot"]): int(row["timestamp"]) for row in reversed(_traded(board, state.address))}
    return {
        slot.number: Report(*_priced(board, state, slot), traded.get(slot.number, 0)) for slot in state.slots
    }


def waiting(board: Board, state: VaultState) -> list[Announced]:
    """Announced changes that wait, kept for the block; of a vault of this network by the index."""

    def read() -> list[Announced]:
        rows = _rows(board, "vault_announced", state.address, MOST_ANNOUNCED) if state.known else None
        calls = None if rows is None else [bytes.fromhex(row["call"][2:]) for row in reversed(rows)]
        return announced(board.chain, state.address, calls)

    return board.once(("announced", state.address), (board.block(), _through(board)), read)


def _through(board: Board) -> int:
    """How far the index has read vaults."""
    source = next((through for each, through in board.index.sources() if each.name == "vault"), None)
    return -1 if source is None else source


def pools_behind(board: Board, state: VaultState) -> dict[int, str]:
    """Slots whose shares are of a credit pool's senior tranche, and which pool of this network it is."""
    if "CreditPoolFactory" not in board.chain.network.contracts:
        return {}
    return board.once(("pools behind", state.address), board.block(), lambda: _pools_behind(board, state))


def _pools_behind(board: Board, state: VaultState) -> dict[int, str]:
    factory, found = board.chain.contract("CreditPoolFactory"), {}
    for slot in state.slots:
        if slot.strategy.kind is not Kind.SHARES:
            continue
        try:
            pool = str(board.chain.contract("PoolShares", slot.strategy.token).call("pool"))
            if factory.call("is_pool", pool):
                found[slot.number] = pool
        except (KoinonError, ValueError):
            continue  # shares of something else
    return found


def last_targets(board: Board, state: VaultState) -> dict[int, float]:
    """The last rebalancing's targets by slot, from its transaction; none of slots it left as they were."""
    rows = _rows(board, "vault_rebalanced", state.address, most=1)
    if not rows:
        return {}
    vault = vault_at(board.chain, state.address)
    try:
        sent = board.chain.rpc.call("eth_getTransactionByHash", rows[0]["transaction_hash"])
        if str(sent["to"]).lower() != state.address.lower():
            return {}  # sent through another contract: its call data are that one's
        targets = vault.function("rebalance").decode_inputs(bytes.fromhex(sent["input"][2:]))[0]
    except (KoinonError, KeyError, TypeError, ValueError):
        return {}
    return {number: target / WHOLE_BPS for number, target in enumerate(targets) if target != KEEP}


def announcement(each: Announced, state: VaultState) -> str:
    """An announced change in a sentence."""
    arguments = each.arguments
    names = {slot.number: slot.symbol for slot in state.slots}
    if each.call == "set_bounds":
        number, least, most = arguments
        return gettext(
            "%(name)s may be from %(least)s to %(most)s of what is held",
            name=names.get(number, gettext("slot %(number)s", number=number)),
            least=percent(least / WHOLE_BPS),
            most=percent(most / WHOLE_BPS),
        )
    if each.call == "set_limits":
        turnover, slippage, drawdown, idle = arguments[0]
        return gettext(
            "Limits become: turnover %(turnover)s, slippage %(slippage)s, fall %(drawdown)s, idle %(idle)s",
            turnover=percent(turnover / WHOLE_BPS),
            slippage=percent(slippage / WHOLE_BPS, 2),
            drawdown=percent(drawdown / WHOLE_BPS),
            idle=percent(idle / WHOLE_BPS),
        )
    if each.call == "set_allocator":
        return gettext("%(account)s becomes the allocator", account=arguments[0])
    if each.call == "set_strategy":
        return gettext(
            "Slot %(number)s gets another strategy, of the token %(token)s",
            number=arguments[0],
            token=arguments[1][1],
        )
    if each.call == "resume":
        return gettext("Allocation goes on")
    return f"{each.call}{arguments}"


def _priced(board: Board, state: VaultState, slot: Slot) -> tuple[int, str]:
    """When a slot's price was told, and why it has none now."""
    if slot.strategy.kind is not Kind.TOKEN or slot.strategy.feed == NOBODY:
        return state.at, ""  # an ERC-4626 says what its shares are worth whenever it is asked
    try:
        answer = board.chain.contract("PriceFeed", slot.strategy.feed).call("latestRoundData")
    except TransactionFailed as refusal:
        return 0, (refusal.reason or refusal.message)[:LONGEST_REASON]
    except KoinonError as fault:
        return 0, fault.message[:LONGEST_REASON]
    return min(int(answer[3]), state.at), ""


def _traded(board: Board, address: str) -> list[dict[str, Any]]:
    return _rows(board, "vault_traded", address, most=200)


def _rows(board: Board, table: str, address: str, most: int = MOST) -> list[dict[str, Any]]:
    try:
        return board.index.rows(
            f"SELECT e.*, b.timestamp FROM {table} e JOIN block b ON b.number = e.block_number "  # noqa: S608  (ours)
            f"WHERE e.address = ? ORDER BY e.block_number DESC, e.log_index DESC LIMIT {int(most)}",
            (address,),
        )
    except KoinonError:
        return []  # a network without vaults has no such table


def roles_of(state: VaultState, account: str | None) -> Mapping[str, bool]:
    """Which of the vault's roles an account has."""
    charter = state.charter
    return {
        name: account is not None and account == holder
        for name, holder in (
            ("manager", charter.manager),
            ("allocator", charter.allocator),
            ("guardian", charter.guardian),
        )
    }
