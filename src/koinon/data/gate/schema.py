# SPDX-License-Identifier: Apache-2.0
"""What a buyer declares, before a program runs, that its results will be.

In TOML (or the same as JSON), one table an output::

    [mean_age]
    kind = "scalar"
    bounds = [0, 120]
    sensitivity = 0.012          # how far one row more or less can move what a run says
    epsilon = 0.5

    [slope]
    kind = "vector"
    length = 3
    bounds = [-10, 10]
    mechanism = "gaussian"       # "laplace" where not given
    sensitivity = 0.1            # of the whole vector: L1 for Laplace, L2 for Gaussian
    epsilon = 0.3
    delta = 1e-7

    [by_region]
    kind = "table"               # counts by group, whole numbers
    groups = ["north", "south"]
    by = "region"                # a column ("label" for the labels): the gate counts again
    values = [0, 1]              # its value for each group; or edges = [0, 10, 20], one more than groups
    bounds = [0, 100000]
    sensitivity = 1
    epsilon = 0.2
    value = {bounds = [0, 50], sensitivity = 2, epsilon = 0.2}   # a number for each group; may be left out

    [model]
    kind = "model"
    size = 31
    form = "logistic"            # how the vector predicts: see koinon.data.gate.membership
    bounds = [-20, 20]

    [verdict]
    kind = "choice"
    options = ["yes", "no"]

The program writes ``/out/result.json``, an object with a number, a list of ``length`` numbers, an object from
each group to a count (or to ``{"count": …, "value": …}``), or one of the options; and each model as
``/out/<name>.f32``, exactly ``size`` little-endian float32. Nothing else may be there.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from koinon.errors import BadInput

KINDS: Final = ("scalar", "vector", "table", "model", "choice")
MECHANISMS: Final = ("laplace", "gaussian")
RESULT: Final = "result.json"
MAXIMUM_LENGTH: Final = 1 << 24
LEAST_EPSILON: Final = 1e-6
"""What the ledger on chain counts in."""

_LARGEST: Final = 1e100
_LARGEST_COUNT: Final = 2.0**53

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MEASURE: Final = {"bounds", "sensitivity", "epsilon", "delta", "mechanism"}
_FIELDS: Final = {
    "scalar": _MEASURE,
    "vector": _MEASURE | {"length"},
    "table": _MEASURE | {"groups", "by", "values", "edges", "value"},
    "model": _MEASURE | {"size", "form"},
    "choice": {"options"},
}


@dataclass(frozen=True)
class Measure:
    """Numbers with bounds, and the noise they get: none where ``sensitivity`` is None."""

    low: float
    high: float
    sensitivity: float | None = None
    epsilon: float = 0.0
    delta: float = 0.0
    mechanism: str = "laplace"


@dataclass(frozen=True)
class Output:
    """One declared output; see the module for which fields a kind has."""

    name: str
    kind: str
    measure: Measure | None = None
    length: int = 1
    groups: tuple[str, ...] = ()
    by: str = ""
    values: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    value: Measure | None = None
    form: str = ""
    options: tuple[str, ...] = ()

    @property
    def measures(self) -> list[Measure]:
        return [each for each in (self.measure, self.value) if each is not None]

    @property
    def file(self) -> str:
        """The file that holds it."""
        return f"{self.name}.f32" if self.kind == "model" else RESULT


@dataclass(frozen=True)
class ResultSchema:
    """All outputs of a job. ``text`` is what was declared, as it was read."""

    outputs: tuple[Output, ...]
    text: str

    @property
    def digest(self) -> bytes:
        """sha256 of the declaration."""
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def epsilon(self) -> float:
        """What a run spends."""
        return sum(measure.epsilon for output in self.outputs for measure in output.measures)

    @property
    def delta(self) -> float:
        return sum(measure.delta for output in self.outputs for measure in output.measures)

    @property
    def files(self) -> set[str]:
        return {output.file for output in self.outputs}


def read_schema(text: str) -> ResultSchema:
    """Read a declaration in TOML or JSON.

    Raises
    ------
    BadInput
        Neither, or something in it that is not as the module describes.
    """
    try:
        told = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong("cannot be read", str(error)[:100]) from error
    if not told:
        raise _wrong("declares nothing")
    return ResultSchema(tuple(_output(name, fields) for name, fields in sorted(told.items())), text)


def _output(name: str, told: Any) -> Output:
    if _NAME.fullmatch(name) is None or not isinstance(told, dict):
        raise _wrong(f"has '{name[:70]}', which names no output")
    kind = told.get("kind")
    if kind not in KINDS:
        raise _wrong(f"gives {name} the kind {kind!r}", f"Kinds are {', '.join(KINDS)}.")
    unknown = set(told) - _FIELDS[kind] - {"kind"}
    if unknown:
        raise _wrong(
            f"gives {name} the field {min(unknown)!r}", f"A {kind} has {', '.join(sorted(_FIELDS[kind]))}."
        )
    if kind == "choice":
        return Output(name, kind, options=_texts(name, "options", told.get("options")))
    made = Output(
        name,
        kind,
        _measure(name, told),
        _length(name, kind, told),
        _texts(name, "groups", told["groups"]) if kind == "table" and "groups" in told else (),
        str(told.get("by", "")),
        _numbers(name, "values", told.get("values", [])),
        _numbers(name, "edges", told.get("edges", [])),
        _measure(f"{name}.value", told["value"]) if "value" in told else None,
        str(told.get("form", "")),
    )
    if kind == "table":
        _check_table(made)
    return made


def _check_table(output: Output) -> None:
    if output.measure is not None and max(-output.measure.low, output.measure.high) > _LARGEST_COUNT:
        raise _wrong(f"gives {output.name} counts beyond any", "Counts are whole numbers up to 2^53.")
    if not output.groups:
        raise _wrong(f"gives {output.name} no groups", "Name every group that may be shown.")
    ways = bool(output.values) + bool(output.edges)
    if ways != bool(output.by):
        raise _wrong(
            f"does not say how {output.name} is grouped", "Give by with values or edges, or neither."
        )
    values = np.unique(np.array(output.values, dtype=np.float32))  # a table's own precision
    if values.size != (len(output.groups) if output.values else 0) or (
        output.edges
        and (len(output.edges) != len(output.groups) + 1 or list(output.edges) != sorted(set(output.edges)))
    ):
        raise _wrong(
            f"does not give one value of its own for each group of {output.name}",
            "values has one for each group; edges rises and has one more than groups.",
        )


def _length(name: str, kind: str, told: Mapping[str, Any]) -> int:
    if kind == "table":
        return len(told["groups"]) if isinstance(told.get("groups"), list) else 1
    field = {"vector": "length", "model": "size"}.get(kind)
    length = told.get(field) if field else 1
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= MAXIMUM_LENGTH:
        raise _wrong(f"gives {name} the {field} {length!r}", f"It must be 1 to {MAXIMUM_LENGTH}.")
    return length


def _measure(name: str, told: Any) -> Measure:
    if not isinstance(told, dict) or not isinstance(told.get("bounds"), list) or len(told["bounds"]) != 2:
        raise _wrong(f"gives {name} no bounds", "bounds = [lowest, highest]")
    low, high = (_number(name, "bounds", each) for each in told["bounds"])
    if not low < high:
        raise _wrong(f"gives {name} bounds from {low} to {high}", "The lower one comes first.")
    if "sensitivity" not in told:
        if {"epsilon", "delta", "mechanism"} & set(told):
            raise _wrong(
                f"gives {name} an epsilon and no sensitivity", "Noise needs both; leave both out for none."
            )
        return Measure(low, high)
    mechanism = told.get("mechanism", "laplace")
    sensitivity = _number(name, "sensitivity", told["sensitivity"])
    epsilon = _number(name, "epsilon", told.get("epsilon"))
    delta = _number(name, "delta", told.get("delta", 0.0))
    if mechanism not in MECHANISMS or sensitivity <= 0 or epsilon < LEAST_EPSILON:
        raise _wrong(
            f"gives {name} noise that cannot be made",
            f"mechanism is laplace or gaussian; sensitivity is above 0, epsilon at least {LEAST_EPSILON:g}.",
        )
    if (mechanism == "laplace" and delta != 0) or (
        mechanism == "gaussian" and not (0 < delta < 1 and epsilon <= 1)
    ):
        raise _wrong(
            f"gives {name} an epsilon of {epsilon} and a delta of {delta}",
            "Laplace has no delta; the Gaussian's calibration holds for epsilon up to 1 and a delta above 0.",
        )
    return Measure(low, high, sensitivity, epsilon, delta, mechanism)


def _texts(name: str, field: str, told: Any) -> tuple[str, ...]:
    if (
        not isinstance(told, list)
        or not told
        or not all(isinstance(each, str) and 0 < len(each) <= 100 for each in told)
        or len(set(told)) != len(told)
    ):
        raise _wrong(
            f"gives {name} {field} that are not different words", "A list of texts of up to 100 letters."
        )
    return tuple(told)


def _numbers(name: str, field: str, told: Any) -> tuple[float, ...]:
    if not isinstance(told, list):
        raise _wrong(f"gives {name} the {field} {told!r}", "It must be a list of numbers.")
    return tuple(_number(name, field, each) for each in told)


def _number(name: str, field: str, told: Any) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not abs(told) <= _LARGEST:
        raise _wrong(f"gives {name} the {field} {told!r}", "It must be a number.")
    return float(told)


def _wrong(what: str, hint: str = "") -> BadInput:
    return BadInput(f"The declaration of results {what}.", hint=hint, code="gate.declaration")
