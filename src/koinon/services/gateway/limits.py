# SPDX-License-Identifier: Apache-2.0
"""What a service lets one caller do: how often, and how much."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from koinon.errors import BadInput

LARGEST_BODY: Final = 1 << 20
"""Bytes: what a gateway reads of a request at all."""

LARGEST_ANSWER: Final = 4 << 20
MOST_CALLS: Final = 1_000_000
MOST_WAITING: Final = 10_000


@dataclass(frozen=True)
class Limits:
    """All of them; the defaults are the gateway's own bounds.

    Parameters
    ----------
    calls_per_minute : int
        Of one payer; 0 for as many as the gateway can.
    body_bytes, answer_bytes : int
        Of one request and one answer, at most `LARGEST_BODY` and `LARGEST_ANSWER`.
    at_once : int
        Calls that run at once; 0 for as many as its processes or connections can.
    of_one_payer : int
        Of those that run or wait, how many may be of one payer; 0 for all.
    waiting : int
        Calls that may wait for their turn; others are sent away with a time to come back.

    Raises
    ------
    BadInput
        A limit is out of its range (``service.limit``).
    """

    calls_per_minute: int = 0
    body_bytes: int = LARGEST_BODY
    answer_bytes: int = LARGEST_ANSWER
    at_once: int = 0
    of_one_payer: int = 0
    waiting: int = 256

    def __post_init__(self) -> None:
        _check("calls_per_minute", self.calls_per_minute, 0, MOST_CALLS)
        _check("body_bytes", self.body_bytes, 1, LARGEST_BODY)
        _check("answer_bytes", self.answer_bytes, 1, LARGEST_ANSWER)
        _check("at_once", self.at_once, 0, MOST_WAITING)
        _check("of_one_payer", self.of_one_payer, 0, MOST_WAITING)
        _check("waiting", self.waiting, 0, MOST_WAITING)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Limits:
        """Read what `to_json` wrote; BadInput for anything else."""
        names = {item.name for item in fields(cls)}
        if not isinstance(data, dict) or not data.keys() <= names:
            raise BadInput("A service's limits are not an object of limits.", code="service.limit")
        return cls(**data)


def _check(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadInput(
            f"The limit {name} is {str(value)[:40]}; it must be a whole number from {least} to {most}.",
            hint="Leave it out for the gateway's own bound.",
            code="service.limit",
        )
