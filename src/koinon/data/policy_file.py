# SPDX-License-Identifier: Apache-2.0
"""What an owner decides about a dataset, in one TOML file that stays beside the data::

name = "Loans of a regional bank"
summary = "Who paid back, by income, age and debt."
data = "Our own customers, 2019 to 2024."
limits = ["One region only."]
contest = "data@bank.example"

epsilon_total = 10.0         # most that may ever be learnt; higher only after a week in public
statistics_epsilon = 0.5     # of it, for the statistics that everyone sees
sample = "synthetic"         # or "none": rows made up from those statistics, or no rows at all
held_out = 0.2               # part of the rows that programs never see, to test models with

[columns.age]                # what everyone may know beforehand; others get no statistics
bounds = [18, 100]
bins = 8

[compute]                    # and [train], [download]: the uses that are for sale
price = "5"                  # of the grant, in coins
period_days = 30             # 0 for ever
consent = "open"             # or "signed", "listed"
expires_at = 0               # Unix seconds; 0 without end
price_per_second = "0.01"    # only for compute
max_seconds = 60
algorithms = []              # sha256 of the programs that may run; empty for any

[gate]                       # the fields of koinon.data.gate.Policy
epsilon_per_job = 1.0

[node]
max_blocks = 64              # most runs on disjoint blocks of the rows in one job
billing_step_s = 0           # seconds are billed in whole steps; 0 is the gate's slot
least_epsilon = 0.1          # what a job counts at least whose noise does not hold for every program
failures = 20                # after so many jobs of one buyer that failed or were refused, no more
memory_mb = 1024
processes = 32
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import Any, Final

from koinon.compute.sandbox import Limits
from koinon.data.gate.policy import Policy
from koinon.errors import BadInput
from koinon.works.terms import Consent, Use

USES: Final = {"download": Use.DOWNLOAD, "compute": Use.COMPUTE, "train": Use.TRAIN}
SAMPLES: Final = ("none", "synthetic")
_CONSENTS: Final = {"open": Consent.OPEN, "signed": Consent.SIGNED, "listed": Consent.LISTED}
_TEXTS: Final = ("name", "summary", "data", "contest")
_NUMBERS: Final = {"epsilon_total": 10.0, "statistics_epsilon": 0.0, "held_out": 0.2}
_NODE: Final = {"max_blocks", "billing_step_s", "least_epsilon", "failures", "memory_mb", "processes"}
_SALE: Final = {"price", "period_days", "consent", "expires_at"}
_COMPUTE: Final = {"price_per_second", "max_seconds", "algorithms"}
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ColumnBounds:
    """What may be known of a column beforehand: its range, and how many equal bins its histogram has."""

    low: float
    high: float
    bins: int


@dataclass(frozen=True)
class Sale:
    """On what terms one use is open; ``price`` in whole coins."""

    price: Decimal
    period_days: int = 0
    consent: Consent = Consent.OPEN
    expires_at: int = 0


@dataclass(frozen=True)
class ComputeTerms:
    """What a run costs and which programs may run: ``price_per_second`` in coins, digests in hexadecimal
    (empty for any)."""

    price_per_second: Decimal
    max_seconds: int
    algorithms: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetPolicy:
    """The whole file; see the module."""

    name: str
    summary: str
    data: str
    contest: str
    limits: tuple[str, ...]
    epsilon_total: float
    statistics_epsilon: float
    sample: str
    held_out: float
    columns: Mapping[str, ColumnBounds]
    sales: Mapping[Use, Sale]
    compute: ComputeTerms | None
    gate: Policy
    max_blocks: int = 64
    billing_step_s: float = 0
    least_epsilon: float = 0.1
    failures: int = 20
    memory_mb: int = 1024
    processes: int = 32
    text: str = field(default="", repr=False)

    def limits_for(self, wall_s: float) -> Limits:
        """What one run may use when this much time is left."""
        return Limits(
            wall_s=wall_s,
            cpu_s=max(1, int(wall_s) + 1),
            memory_bytes=self.memory_mb << 20,
            processes=self.processes,
            output_bytes=max(self.gate.output_bytes, self.gate.model_bytes * self.gate.allow_models),
        )

    @property
    def billing_s(self) -> float:
        """The step in which seconds are billed: coarse, because exact seconds can tell of the data."""
        return self.billing_step_s or self.gate.slot_s


def read_policy(text: str) -> DatasetPolicy:
    """Read the file's text; BadInput names the field that is wrong."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"is no TOML: {error}") from None
    known = {*_TEXTS, *_NUMBERS, "limits", "sample", "columns", "gate", "node", *USES}
    if unknown := set(told) - known:
        raise _wrong(f"has the field '{min(unknown)}'", f"It may have {', '.join(sorted(known))}.")
    numbers = {name: _number(told, name, least) for name, least in _NUMBERS.items()}
    if not 0 <= numbers["statistics_epsilon"] <= numbers["epsilon_total"]:
        raise _wrong("spends more on statistics than epsilon_total")
    if not numbers["held_out"] < 1:
        raise _wrong("holds all rows back", "held_out is a part of them, from 0 to below 1.")
    if (sample := told.get("sample", "none")) not in SAMPLES:
        raise _wrong(f"has the sample {sample!r}", f"It is {' or '.join(SAMPLES)}.")
    limits = told.get("limits")
    if not isinstance(limits, list) or not limits or not all(isinstance(one, str) and one for one in limits):
        raise _wrong("names no limits", "Say where the data must not be trusted.")
    node = _table(told, "node", _NODE)
    if not 1 <= (max_blocks := int(_number(node, "max_blocks", 64))) <= 1024:
        raise _wrong(f"has the value {max_blocks} for node.max_blocks", "From 1 to 1024.")
    return DatasetPolicy(
        name=_text(told, "name"),
        summary=_text(told, "summary"),
        data=_text(told, "data"),
        contest=_text(told, "contest"),
        limits=tuple(limits),
        epsilon_total=numbers["epsilon_total"],
        statistics_epsilon=numbers["statistics_epsilon"],
        sample=sample,
        held_out=numbers["held_out"],
        columns={name: _column(name, one) for name, one in _table(told, "columns").items()},
        sales={use: _sale(name, told[name]) for name, use in USES.items() if name in told},
        compute=_compute(told["compute"]) if "compute" in told else None,
        gate=_gate(_table(told, "gate", {each.name for each in fields(Policy)})),
        max_blocks=max_blocks,
        billing_step_s=_number(node, "billing_step_s", 0),
        least_epsilon=_number(node, "least_epsilon", 0.1),
        failures=int(_number(node, "failures", 20)),
        memory_mb=int(_number(node, "memory_mb", 1024)),
        processes=int(_number(node, "processes", 32)),
        text=text,
    )


def load_policy(path: Path) -> DatasetPolicy:
    """Read the file; BadInput when it is not there."""
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The dataset's policy {path} cannot be read ({error}).",
            hint="See koinon.data.policy_file for an example.",
            code="data.policy_file",
        ) from None


def units(amount: Decimal, decimals: int) -> int:
    """Whole coins in a coin's smallest unit. BadInput when the coin has no such small part."""
    scaled = amount.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise BadInput(f"{amount} coins have more than {decimals} decimals.", code="data.amount")
    return int(scaled)


def _column(name: str, told: Any) -> ColumnBounds:
    if (
        not isinstance(told, dict)
        or set(told) - {"bounds", "bins"}
        or not isinstance(told.get("bounds"), list)
    ):
        raise _wrong(f"has no bounds for the column {name}", "bounds = [lowest, highest], bins = 8")
    if len(told["bounds"]) != 2:
        raise _wrong(f"has no two bounds for the column {name}")
    low, high = (_number({"bound": bound}, "bound", 0.0, negative=True) for bound in told["bounds"])
    bins = int(_number(told, "bins", 8))
    if not low < high or not 1 <= bins <= 1000:
        raise _wrong(f"has bounds for {name} that do not rise, or not 1 to 1000 bins")
    return ColumnBounds(low, high, bins)


def _sale(name: str, told: Any) -> Sale:
    known = _SALE | (_COMPUTE if name == "compute" else set())
    if not isinstance(told, dict) or (set(told) - known):
        raise _wrong(f"has a field in [{name}] that nobody knows", f"Known are {', '.join(sorted(known))}.")
    if (consent := told.get("consent", "open")) not in _CONSENTS:
        raise _wrong(f"has the consent {consent!r}", f"It is {', '.join(_CONSENTS)}.")
    return Sale(
        _coins(told, "price"),
        int(_number(told, "period_days", 0)),
        _CONSENTS[consent],
        int(_number(told, "expires_at", 0)),
    )


def _compute(told: Mapping[str, Any]) -> ComputeTerms:
    algorithms = told.get("algorithms", [])
    if not isinstance(algorithms, list) or not all(
        isinstance(one, str) and _DIGEST.fullmatch(one) for one in algorithms
    ):
        raise _wrong("has algorithms that are no sha256 digests in hexadecimal")
    seconds = int(_number(told, "max_seconds", 60))
    if seconds < 1:
        raise _wrong("lets no program run for a second")
    return ComputeTerms(_coins(told, "price_per_second"), seconds, tuple(algorithms))


def _gate(told: Mapping[str, Any]) -> Policy:
    made: dict[str, Any] = {}
    for each in fields(Policy):
        if each.name in told:
            wanted: type = type(each.default)
            value = told[each.name]
            right = isinstance(value, bool) if wanted is bool else not isinstance(value, bool)
            if not right or not isinstance(value, int | float):
                raise _wrong(f"has the value {value!r} for gate.{each.name}")
            made[each.name] = wanted(value)
    return Policy(**made)


def _table(told: Mapping[str, Any], name: str, known: set[str] | None = None) -> Mapping[str, Any]:
    found = told.get(name, {})
    if not isinstance(found, dict):
        raise _wrong(f"has a [{name}] that is no table")
    if known is not None and (unknown := set(found) - known):
        raise _wrong(f"has the field {name}.{min(unknown)}", f"Known are {', '.join(sorted(known))}.")
    return found


def _text(told: Mapping[str, Any], name: str) -> str:
    if not isinstance(told.get(name), str) or not told[name].strip():
        raise _wrong(f"has no {name}")
    return str(told[name])


def _number(told: Mapping[str, Any], name: str, otherwise: float, *, negative: bool = False) -> float:
    value = told.get(name, otherwise)
    wrong = isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)
    if wrong or (value < 0 and not negative):
        raise _wrong(f"has the value {value!r} for {name}")
    return float(value)


def _coins(told: Mapping[str, Any], name: str) -> Decimal:
    value = told.get(name, "0")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise _wrong(f"has the price {value!r}", 'Write it like "0.01".') from None
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount < 10**12:
        raise _wrong(f"has the price {value!r}", 'Write it like "0.01".')
    return amount


def _wrong(what: str, hint: str = "See koinon.data.policy_file for an example.") -> BadInput:
    return BadInput(f"The dataset's policy {what}.", hint=hint, code="data.policy_file")
