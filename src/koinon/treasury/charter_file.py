# SPDX-License-Identifier: Apache-2.0
"""A vault as its founder writes it down: a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.treasury.vault import NOBODY, Charter, Kind, Limits, Strategy

EXAMPLE: Final = """name = "Balanced"
symbol = "BAL"
asset = "0x…"          # an ERC-20; the network's coin without it
allocator = "0x…"      # may only propose within the bounds below
guardian = "0x…"       # may veto what is announced, and stop allocation
work = 12              # the fee is this Work's income: its till gets it
fee_bps = 1000         # of a share's gain above its highest price, at most 2000
spread_bps = 20        # what leaving costs, for those who stay, at most 100
unlock_days = 7
epoch_hours = 24

[limits]
turnover_bps = 3000    # bought plus sold in an epoch
slippage_bps = 100     # of each trade, against the slot's price
drawdown_bps = 2000    # from a share's peak, where allocation stops
idle_bps = 500         # the least that targets leave idle

[[strategies]]
kind = "token"
token = "0x…"
feed = "0x…"           # Chainlink's ABI; in whole units of the asset
pair = "0x…"           # Uniswap V2's ABI
max_age_hours = 24
min_bps = 0
max_bps = 6000

[[strategies]]
kind = "shares"        # of an ERC-4626 over the same asset
token = "0x…"
min_bps = 0
max_bps = 4000
"""


@dataclass(frozen=True)
class VaultTerms:
    """What a vault is begun with. ``work_id`` the Work whose till gets the fee, 0 for ``charter.fee_to``."""

    name: str
    symbol: str
    charter: Charter
    limits: Limits
    strategies: tuple[Strategy, ...]
    work_id: int = 0


def read_charter(path: Path, *, manager: str, coin: str) -> VaultTerms:
    """Read a charter file. ``manager`` and ``coin`` stand where it names none.

    Raises
    ------
    BadInput
        It cannot be read, or says something that no vault is.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is no charter: {error}.", code="treasury.charter") from None
    try:
        return _read(document, manager, coin)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(
            f"{path} is no charter: {what}.",
            hint="See an example: koinon treasury vault create --help",
            code="treasury.charter",
        ) from None


def _read(document: dict[str, Any], manager: str, coin: str) -> VaultTerms:
    known = {
        "name",
        "symbol",
        "asset",
        "manager",
        "allocator",
        "guardian",
        "fee_to",
        "work",
        "fee_bps",
        "spread_bps",
        "unlock_days",
        "epoch_hours",
        "limits",
        "strategies",
    }
    _only(document, known)
    limits = document["limits"]
    _only(limits, {each.name for each in fields(Limits)})
    name, symbol = str(document["name"]), str(document["symbol"])
    if not 0 < len(name.encode()) <= 64 or not 0 < len(symbol.encode()) <= 16:
        raise ValueError("name or symbol is empty or too long")
    charter = Charter(
        _address(document.get("asset", coin)),
        _address(document.get("manager", manager)),
        _address(document.get("allocator", NOBODY)),
        _address(document.get("guardian", NOBODY)),
        _address(document.get("fee_to", NOBODY)),
        _whole(document.get("fee_bps", 0)),
        _whole(document.get("spread_bps", 0)),
        round(float(document.get("unlock_days", 7)) * 86_400),
        round(float(document.get("epoch_hours", 24)) * 3_600),
    )
    return VaultTerms(
        name,
        symbol,
        charter,
        Limits(**{key: _whole(value) for key, value in limits.items()}),
        tuple(_strategy(each) for each in document.get("strategies", [])),
        _whole(document.get("work", 0)),
    )


def _strategy(document: dict[str, Any]) -> Strategy:
    _only(document, {"kind", "token", "feed", "pair", "max_age_hours", "min_bps", "max_bps"})
    kind = {"token": Kind.TOKEN, "shares": Kind.SHARES}.get(document["kind"])
    if kind is None:
        raise ValueError(f"{document['kind']!r} is no kind of strategy")
    return Strategy(
        kind,
        _address(document["token"]),
        _address(document["feed"]) if kind is Kind.TOKEN else NOBODY,
        _address(document["pair"]) if kind is Kind.TOKEN else NOBODY,
        round(float(document.get("max_age_hours", 24)) * 3_600) if kind is Kind.TOKEN else 0,
        _whole(document.get("min_bps", 0)),
        _whole(document["max_bps"]),
    )


def _only(document: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(f"{unknown[0]} is not known")


def _address(text: Any) -> str:
    try:
        return checksum(str(text))
    except BadInput:
        raise ValueError(f"{text!r} is no address") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no whole number")
    return value
