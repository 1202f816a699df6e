# SPDX-License-Identifier: Apache-2.0
"""A vault as it stands on chain: what it is, what it holds, what its roles may do, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from koinon.chain.address import checksum
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, ChainError, KoinonError, NodeUnavailable, NotFound, TransactionFailed

NOBODY: Final = "0x" + "00" * 20
SLOTS: Final = 8
WHOLE_BPS: Final = 10_000
WAD: Final = 10**18
RAY: Final = 10**27
KEEP: Final = 2**256 - 1
DELAY_S: Final = 48 * 3_600
GRACE_S: Final = 7 * 86_400
MOST_ANNOUNCED: Final = 200
"""Announcements that are looked at, the newest: a contract may make any number."""
NAMED: Final = "VaultFactory"
MORE_DECIMALS: Final = 6
"""Digits that a share has more than the asset."""
MOST_DECIMALS: Final = 42
LONGEST_NAME: Final = 64
_ASKED: Final = (
    "name",
    "symbol",
    "decimals",
    "charter",
    "limits",
    "values",
    "totalAssets",
    "totalSupply",
    "stopped",
    "tripped",
    "peak",
    "high_water",
)


class Kind(IntEnum):
    """What a slot is for."""

    EMPTY = 0
    TOKEN = 1
    SHARES = 2


@dataclass(frozen=True)
class Charter:
    """What a vault is for ever, and who has its roles now; field for field as in `Vault.vy`."""

    asset: str
    manager: str
    allocator: str = NOBODY
    guardian: str = NOBODY
    fee_to: str = NOBODY
    fee_bps: int = 0
    spread_bps: int = 0
    unlock_s: int = 7 * 86_400
    epoch_s: int = 86_400

    def to_tuple(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        return tuple(vars(self).values())


@dataclass(frozen=True)
class Limits:
    """The limits of allocation, in 1e-4; field for field as in `Vault.vy`."""

    turnover_bps: int
    slippage_bps: int
    drawdown_bps: int
    idle_bps: int = 0

    def to_tuple(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        return tuple(vars(self).values())

    def loosens(self, before: Limits) -> bool:
        """Whether any of them allows more than before."""
        return (
            self.turnover_bps > before.turnover_bps
            or self.slippage_bps > before.slippage_bps
            or self.drawdown_bps > before.drawdown_bps
            or self.idle_bps < before.idle_bps
        )


@dataclass(frozen=True)
class Strategy:
    """A slot's strategy; field for field as in `Vault.vy`."""

    kind: Kind
    token: str
    feed: str = NOBODY
    pair: str = NOBODY
    max_age_s: int = 0
    min_bps: int = 0
    max_bps: int = 0

    def to_tuple(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        return (int(self.kind), *list(vars(self).values())[1:])


@dataclass(frozen=True)
class Slot:
    """A slot that is in use: ``held`` of its token, in the smallest unit; ``worth`` in the asset, 0 where
    there is no price."""

    number: int
    strategy: Strategy
    symbol: str
    held: int
    worth: int


@dataclass(frozen=True)
class Announced:
    """A change that waits: made again from ``ready_at`` on it takes effect."""

    change_id: str
    ready_at: int
    call: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class VaultState:
    """A vault at one block. Amounts in the asset's smallest unit; ``traded`` what of it was traded in this
    epoch, in 1e-18; ``price`` and ``peak`` what 1e27 smallest shares are worth; ``at`` the block's time."""

    address: str
    name: str
    symbol: str
    asset_symbol: str
    asset_decimals: int
    charter: Charter
    limits: Limits
    slots: tuple[Slot, ...]
    valid: bool
    idle: int
    locked: int
    net: int
    supply: int
    stopped: bool
    tripped: bool
    peak: int
    high_water: int
    traded: int
    at: int
    known: bool

    @property
    def gross(self) -> int:
        """What is held, where all of it has a price."""
        return self.idle + sum(slot.worth for slot in self.slots)

    @property
    def price(self) -> int:
        """What 1e27 smallest shares are worth."""
        return (self.net + 1) * RAY // (self.supply + 10**6)

    @property
    def share_decimals(self) -> int:
        return self.asset_decimals + MORE_DECIMALS

    @property
    def turnover_left(self) -> float:
        """What may still be traded in this epoch, as a part of what is held."""
        return max(0.0, self.limits.turnover_bps / WHOLE_BPS - self.traded / WAD)

    @property
    def drawdown(self) -> float:
        """How far a share is below its peak."""
        return max(0.0, 1 - self.price / self.peak) if self.peak else 0.0

    def slot(self, name: str) -> Slot:
        """A slot by its number or its token's symbol or address; NotFound otherwise."""
        found = [
            slot
            for slot in self.slots
            if name in (str(slot.number), slot.symbol) or name.lower() == slot.strategy.token.lower()
        ]
        if len(found) != 1:
            names = ", ".join(f"{slot.number} {slot.symbol}" for slot in self.slots)
            raise NotFound(
                f"{self.name} has no one slot {name!r}.",
                hint=f"Its slots: {names or 'none'}.",
                code="treasury.slot",
            )
        return found[0]


def vault_at(chain: Chain, address: str) -> Contract:
    """A vault's functions."""
    return chain.contract("Vault", checksum(address))


def read_vault(chain: Chain, address: str) -> VaultState:
    """A vault as it stands.

    Raises
    ------
    NotFound
        There is no vault at the address, or nothing that can be one: anyone may put a contract of the same
        functions somewhere.
    """
    try:
        return _read(chain, vault_at(chain, address))
    except NodeUnavailable:
        raise
    except (KoinonError, ValueError, ArithmeticError) as error:
        raise NotFound(f"There is no vault at {address}.", code="treasury.no_vault") from error


def _read(chain: Chain, vault: Contract) -> VaultState:
    name, symbol, decimals, charter, limits, values, *rest = vault.call_many([(each,) for each in _ASKED])
    net, supply, stopped, tripped, peak, high = rest
    strategies = vault.call_many([("strategy", number) for number in range(SLOTS)])
    held = vault.call_many([("held", number) for number in range(SLOTS)])
    terms = Charter(*charter)
    now = chain.timestamp()
    valid, idle, worths, locked = values
    used = [number for number in range(SLOTS) if strategies[number][0]]
    if not MORE_DECIMALS <= decimals <= MOST_DECIMALS or terms.epoch_s <= 0:
        raise BadInput("No vault has such terms.")
    return VaultState(
        vault.address,
        shown(name, vault.address[:8]),
        shown(symbol, vault.address[:8]),
        symbol_of(chain, terms.asset),
        decimals - MORE_DECIMALS,  # as the vault asked at first: a token may stop answering later
        terms,
        Limits(*limits),
        tuple(
            Slot(
                number,
                Strategy(Kind(strategies[number][0]), *strategies[number][1:]),
                symbol_of(chain, strategies[number][1]),
                held[number],
                worths[number],
            )
            for number in used
        ),
        valid,
        idle,
        locked,
        net,
        supply,
        stopped,
        tripped,
        peak,
        high,
        int(vault.call("traded", now // terms.epoch_s)),
        now,
        is_known(chain, vault.address),
    )


def is_known(chain: Chain, address: str) -> bool:
    """Whether this network's factory made a vault: then its code is `Vault.vy`'s."""
    if NAMED not in chain.network.contracts:
        return False
    return bool(chain.contract(NAMED).call("is_vault", address))


def symbol_of(chain: Chain, token: str) -> str:
    """A token's symbol, or the beginning of its address where it says none."""
    try:
        said = str(chain.contract("Coin", token).call("symbol"))
    except (ChainError, BadInput, ValueError):
        said = ""
    return shown(said, token[:8], 32)


def shown(said: str, otherwise: str, most: int = LONGEST_NAME) -> str:
    """What a contract calls itself, where it is a name that turns no text around and hides nothing."""
    return said if said.isprintable() and said.strip() and len(said) <= most else otherwise


def announced(chain: Chain, address: str, calls: Sequence[bytes] | None = None) -> list[Announced]:
    """The changes that wait, or may be made now; soonest first. ``calls``: what was ever announced, where
    that is known; else the chain is asked, from its first block on."""
    vault = vault_at(chain, address)
    if calls is None:
        calls = [bytes(event["call"]) for event in vault.history("Announced")]
    now = chain.timestamp()
    by_selector = {function.selector: function for function in vault.functions.values()}
    asked: dict[bytes, tuple[str, tuple[Any, ...]]] = {}
    found = []
    for call in calls:
        try:
            function = by_selector[call[:4]]
            asked[keccak256(call)] = (function.name, function.decode_inputs(call))
        except (KoinonError, KeyError, ValueError):
            continue  # no change that a vault knows
    newest = dict(list(asked.items())[-MOST_ANNOUNCED:])
    try:
        answers = vault.call_many([("ready_at", change_id) for change_id in newest]) if newest else []
    except TransactionFailed:
        return []  # a contract that only looks like a vault
    for (change_id, (name, arguments)), ready_at in zip(newest.items(), answers, strict=True):
        if now - GRACE_S <= ready_at <= now + DELAY_S:
            found.append(Announced("0x" + change_id.hex(), int(ready_at), name, arguments))
    return sorted(found, key=lambda each: each.ready_at)


__all__ = [
    "DELAY_S",
    "KEEP",
    "NOBODY",
    "Announced",
    "Charter",
    "Kind",
    "Limits",
    "Slot",
    "Strategy",
    "VaultState",
    "announced",
    "read_vault",
    "vault_at",
]
