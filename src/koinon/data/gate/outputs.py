# SPDX-License-Identifier: Apache-2.0
"""Reads a program's output files into what was declared, and nothing else; writes what leaves.

Text, order, spaces, digits beyond a number's value and files that were not declared do not survive this: what
leaves is written anew from values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.data.gate.policy import Policy, Reason, Refused
from koinon.data.gate.schema import RESULT, Output, ResultSchema

Numbers = NDArray[np.float64]
Values = dict[str, Numbers]
"""By ``name``, shape (length,); a table's second numbers by ``name.value``."""


def read_outputs(
    schema: ResultSchema, policy: Policy, files: Mapping[str, bytes]
) -> tuple[Values, dict[str, str]]:
    """All numbers, clipped to their declared bounds, and all choices.

    Raises
    ------
    Refused
        Files that were not declared or are missing, more bytes than the policy allows, or a result that is
        not what was declared.
    """
    if set(files) != schema.files:
        raise _unlike(
            "the program left other files than it declared", f"Declared: {', '.join(sorted(schema.files))}."
        )
    if len(files.get(RESULT, b"")) > policy.output_bytes:
        raise Refused(Reason.BYTES, f"The results have more than {policy.output_bytes} bytes.")
    told = _json(files[RESULT]) if RESULT in files else {}
    if set(told) != {output.name for output in schema.outputs if output.kind != "model"}:
        raise _unlike("the results have other names than were declared")
    values: Values = {}
    choices: dict[str, str] = {}
    for output in schema.outputs:
        if output.kind == "model":
            values[output.name] = _vector(output, policy, files[output.file])
        elif output.kind == "choice":
            choices[output.name] = _choice(output, told[output.name])
        elif output.kind == "table":
            values.update(_table(output, told[output.name]))
        else:
            listed = told[output.name] if output.kind == "vector" else [told[output.name]]
            values[output.name] = _numbers(output, listed, output.length)
    for output in schema.outputs:
        for name, measure in ((output.name, output.measure), (f"{output.name}.value", output.value)):
            if measure is not None:
                values[name] = np.clip(values[name], measure.low, measure.high)
    return values, choices


def middle_of(schema: ResultSchema) -> Values:
    """What stands for a run that left nothing: the middle of all bounds, whatever the data."""
    return {
        name: np.full(output.length, (measure.low + measure.high) / 2)
        for output in schema.outputs
        for name, measure in ((output.name, output.measure), (f"{output.name}.value", output.value))
        if measure is not None
    }


def write_results(results: Mapping[str, Any]) -> bytes:
    """The one way to write results: names in order, no spaces, each number by its shortest digits."""
    return json.dumps(results, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _json(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _unlike(f"{RESULT} cannot be read") from error
    if not isinstance(told, dict):
        raise _unlike(f"{RESULT} is no object")
    return told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _no_number(word: str) -> float:
    raise ValueError(word)


def _numbers(output: Output, told: Any, length: int) -> Numbers:
    if (
        not isinstance(told, list)
        or len(told) != length
        or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in told)
    ):
        raise _unlike(f"{output.name} is not {length} numbers")
    try:
        values = np.array([float(each) for each in told])
    except OverflowError as error:
        raise _unlike(f"{output.name} has a number beyond any") from error
    if not np.isfinite(values).all():
        raise _unlike(f"{output.name} has a number beyond any")
    return values


def _table(output: Output, told: Any) -> Values:
    if not isinstance(told, dict) or set(told) != set(output.groups):
        raise _unlike(f"{output.name} has other groups than were declared")
    rows = [told[group] for group in output.groups]
    found: Values = {}
    if output.value is not None:
        if not all(isinstance(row, dict) and set(row) == {"count", "value"} for row in rows):
            raise _unlike(f"{output.name} has a group without count and value")
        found[f"{output.name}.value"] = _numbers(output, [row["value"] for row in rows], len(rows))
        rows = [row["count"] for row in rows]
    counts = _numbers(output, rows, len(rows))
    if (counts < 0).any() or not np.array_equal(counts, np.rint(counts)):
        raise _unlike(f"{output.name} has a count that is no count")
    found[output.name] = counts
    return found


def _vector(output: Output, policy: Policy, content: bytes) -> Numbers:
    if 4 * output.length > policy.model_bytes:
        raise Refused(Reason.BYTES, f"{output.name} has more than {policy.model_bytes} bytes.")
    if len(content) != 4 * output.length:
        raise _unlike(f"{output.file} is not {output.length} numbers of 4 bytes")
    values = np.frombuffer(content, dtype="<f4").astype(np.float64)
    if not np.isfinite(values).all():
        raise _unlike(f"{output.file} has a number beyond any")
    return values


def _choice(output: Output, told: Any) -> str:
    if told not in output.options:
        raise _unlike(f"{output.name} is none of its options")
    return str(told)


def _unlike(what: str, hint: str = "") -> Refused:
    return Refused(Reason.SCHEMA, f"The result is not what was declared: {what}.", hint=hint)
