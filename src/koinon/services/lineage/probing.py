# SPDX-License-Identifier: Apache-2.0
"""Asking a service that somebody sells the probes of a model it may be a copy of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from koinon.errors import BadInput, PeerError
from koinon.works.fingerprints.behaviour import Answers, Array

Call = Callable[[dict[str, Any]], Any]
"""Arguments → result of one paid call."""

_MOST: Final = 4_096


def service_answers(call: Call, input_schema: Mapping[str, Any]) -> Answers:
    """How a service answers rows of numbers, one paid call for each.

    A service with one input gets the row as a list there; one with as many inputs as the row has numbers gets
    them by position. Of the result all numbers count, or those under ``probabilities`` where it has that.

    Raises
    ------
    BadInput
        Its schema takes no row of numbers (``service.no_rows``).
    """
    properties = input_schema.get("properties")
    required = input_schema.get("required")
    names = list(required) if isinstance(required, list) else []
    if not isinstance(properties, dict) or not names:
        raise BadInput(
            "The service does not say what it takes, so probes cannot be sent.",
            hint="Bring the claim with the answers of somebody who uses it.",
            code="service.no_rows",
        )

    def ask(rows: Array) -> Array:
        answers = [_numbers(call(_arguments(names, [float(each) for each in row]))) for row in rows]
        if len({len(answer) for answer in answers}) != 1 or not answers[0]:
            raise BadInput("The service's answers are no rows of numbers.", code="service.no_rows")
        return np.array(answers, dtype=np.float64)

    return ask


def _arguments(names: list[str], row: list[float]) -> dict[str, Any]:
    if len(names) == 1:
        return {names[0]: row if len(row) > 1 else row[0]}
    if len(names) == len(row):
        return dict(zip(names, row, strict=True))
    raise BadInput(
        f"The service takes {len(names)} inputs, and the model {len(row)} numbers.", code="service.no_rows"
    )


def _numbers(result: Any) -> list[float]:
    if isinstance(result, Mapping) and "probabilities" in result:
        result = result["probabilities"]
    found: list[float] = []
    waiting = [result]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += reversed(list(each.values()))
        elif isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, int | float) and not isinstance(each, bool):
            found.append(float(each))
        if len(found) > _MOST or len(waiting) > _MOST:
            raise PeerError(
                "The service's answer is too long to be one of this model.", code="service.no_rows"
            )
    return found
