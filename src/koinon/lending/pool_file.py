# SPDX-License-Identifier: Apache-2.0
"""A credit pool as its founder writes it down: a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.score_word import SCHEMA_TEXT
from koinon.markets.tokens import Token
from koinon.works.attestations import SchemaTerms

EXAMPLE: Final = """lends = "0x…"             # the network's coin without it
against = "0x…"           # the collateral
feed = "0x…"              # prices one whole collateral token in whole loan tokens
issuers = ["0x…", "0x…", "0x…"]   # who scores; or schema = "0x…", one that is registered
threshold = 2             # how many of them must sign
work = 12                 # the model that scores: its till gets the fee
fee_bps = 1000            # of the interest
min_debt = "100"          # the least loan, in whole loan tokens
offer_only = false        # whether a loan needs an issuer's signed offer

[rates]                   # a year, before any tier's spread
base_bps = 100            # where nothing is lent out
kink_rate_bps = 600       # where kink_bps of the pool is
full_bps = 5000           # where all is
kink_bps = 8000

[limits]
borrower_cap_bps = 2000   # of the pool, that one borrower may owe
coverage_bps = 2000       # of all debt, that the junior tranche must have
junior_notice_days = 5
grace_days = 7

[auction]
close_factor_bps = 5000   # of a loan that is still covered, sold at once
min_bonus_bps = 100
max_bonus_bps = 1000
minutes = 60              # in which the bonus grows

[[tiers]]                 # the best score's first
lltv_bps = 8500
spread_bps = 150          # pays at least pd x lgd + capital
cap = "400000"            # what one borrower may owe, in whole loan tokens
pd_bps = 100
lgd_bps = 4000
capital_bps = 50

[[tiers]]                 # the last is what wallets without a score get
lltv_bps = 5000
spread_bps = 1200
cap = "50000"
pd_bps = 2500
lgd_bps = 4000
capital_bps = 50
"""

_RATES: Final = {
    "base_bps": "base_rate_bps",
    "kink_rate_bps": "kink_rate_bps",
    "full_bps": "full_rate_bps",
    "kink_bps": "kink_bps",
}
_LIMITS: Final = ("borrower_cap_bps", "coverage_bps")
_AUCTION: Final = ("close_factor_bps", "min_bonus_bps", "max_bonus_bps")
_TIER: Final = ("lltv_bps", "spread_bps", "pd_bps", "lgd_bps")
_KNOWN: Final = {
    "lends",
    "against",
    "feed",
    "issuers",
    "threshold",
    "schema",
    "work",
    "fee_bps",
    "min_debt",
    "offer_only",
    "rates",
    "limits",
    "auction",
    "tiers",
}


@dataclass(frozen=True)
class PoolPlan:
    """A pool that nobody created yet.

    ``schema`` whose scores it takes, 32 bytes; where it is None, ``issuers`` are to be registered first.
    ``numbers`` are `PoolTerms` fields by name; ``tiers`` and ``min_debt`` have amounts in whole loan tokens.
    """

    loan_token: str
    collateral_token: str
    feed: str
    schema: bytes | None
    issuers: SchemaTerms | None
    numbers: Mapping[str, Any]
    min_debt: str = ""
    tiers: tuple[Mapping[str, Any], ...] = field(default=())

    def terms(self, loan: Token, schema: bytes) -> PoolTerms:
        """As the factory takes it; BadInput where it would refuse."""
        tiers = tuple(
            TierTerms(
                **{name: tier[name] for name in _TIER},
                cap=loan.units(tier["cap"]),
                capital_bps=tier["capital_bps"],
            )
            for tier in self.tiers
        )
        rest: dict[str, Any] = {**self.numbers}
        if self.min_debt:
            rest["min_debt"] = loan.units(self.min_debt)
        return PoolTerms(self.loan_token, self.collateral_token, self.feed, schema, tiers, **rest)


def read_plan(path: Path, *, coin: str) -> PoolPlan:
    """Read a file of terms. ``coin`` is what the pool lends where it names nothing else.

    Raises
    ------
    BadInput
        It cannot be read, or says something that no pool is.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} holds no terms of a pool: {error}.", code="lending.pool_file") from None
    try:
        return _read(document, coin)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(
            f"{path} holds no terms of a pool: {what}.",
            hint="See an example: koinon lending pool create --help",
            code="lending.pool_file",
        ) from None


def _read(document: dict[str, Any], coin: str) -> PoolPlan:
    _only(document, _KNOWN)
    schema, issuers = _scores(document)
    numbers: dict[str, Any] = {"offer_required": _truth(document.get("offer_only", False))}
    for name, field_name in (("work", "work_id"), ("fee_bps", "fee_bps")):
        if name in document:
            numbers[field_name] = _whole(document[name])
    rates = _table(document, "rates", set(_RATES))
    numbers |= {_RATES[name]: _whole(value) for name, value in rates.items()}
    limits = _table(document, "limits", {*_LIMITS, "junior_notice_days", "grace_days"})
    auction = _table(document, "auction", {*_AUCTION, "minutes"})
    numbers |= {name: _whole(limits[name]) for name in _LIMITS if name in limits}
    numbers |= {name: _whole(auction[name]) for name in _AUCTION if name in auction}
    for source, name, target, unit in (
        (limits, "junior_notice_days", "junior_notice_s", 86_400),
        (limits, "grace_days", "grace_s", 86_400),
        (auction, "minutes", "auction_s", 60),
    ):
        if name in source:
            numbers[target] = round(_number(source[name]) * unit)
    return PoolPlan(
        _address(document.get("lends", coin)),
        _address(document["against"]),
        _address(document["feed"]),
        schema,
        issuers,
        numbers,
        _amount(document["min_debt"]) if "min_debt" in document else "",
        tuple(_tier(each) for each in document["tiers"]),
    )


def _scores(document: Mapping[str, Any]) -> tuple[bytes | None, SchemaTerms | None]:
    if ("schema" in document) == ("issuers" in document):
        raise ValueError("it names either issuers or a schema")
    if "schema" in document:
        text = str(document["schema"]).removeprefix("0x")
        if len(text) != 64 or "threshold" in document:
            raise ValueError("a schema has 64 hexadecimal digits, and its own threshold")
        return bytes.fromhex(text), None
    issuers = tuple(_address(each) for each in document["issuers"])
    return None, SchemaTerms(
        SCHEMA_TEXT, issuers=issuers, threshold=_whole(document.get("threshold", len(issuers)))
    )


def _tier(tier: Mapping[str, Any]) -> dict[str, Any]:
    _only(tier, {*_TIER, "cap", "capital_bps"})
    found: dict[str, Any] = {name: _whole(tier[name]) for name in _TIER}
    return {**found, "cap": _amount(tier["cap"]), "capital_bps": _whole(tier.get("capital_bps", 0))}


def _table(document: Mapping[str, Any], name: str, known: set[str]) -> Mapping[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise TypeError(f"{name} is no table")
    _only(found, known)
    return found


def _only(document: Mapping[str, Any], known: set[str]) -> None:
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


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"{value!r} is no number of days or minutes")
    return float(value)


def _amount(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r} is no amount: write it in quotes")
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
