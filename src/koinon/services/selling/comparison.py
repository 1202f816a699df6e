# SPDX-License-Identifier: Apache-2.0
"""When two answers to one input count as the same: the rule a service declares before anyone calls it.

    exact            the same JSON value, numbers digit by digit
    quantised:GRID   numbers rounded to whole multiples of GRID are the same; all else exactly
    quantised:GRID:GUARD   the same, or numbers differ by at most GUARD, less than half of GRID
    tolerance:EPS    numbers differ by at most EPS; all else exactly

``exact`` suits whole numbers, trees and fixed-point models; floating point differs between batches and
processors, so it needs a grid or a tolerance. Two numbers on both sides of a grid line differ however close
they are, unless there is a guard band of the noise's size around every line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from koinon.errors import BadInput

Kind = Literal["exact", "quantised", "tolerance"]
_DEEPEST: Final = 64
_MOST_DIGITS: Final = 40


@dataclass(frozen=True)
class Comparison:
    """A rule. ``size`` is the grid or the tolerance as it was written, "" for exact; ``guard`` the guard band
    of a grid, "" for none; use `parse`."""

    kind: Kind = "exact"
    size: str = ""
    guard: str = ""

    @classmethod
    def parse(cls, text: str) -> Comparison:
        """Read ``exact``, ``quantised:0.01`` or ``tolerance:1e-6``.

        Raises
        ------
        BadInput
            Another word, or a size that is not a positive number (``service.comparison``).
        """
        kind, _, numbers = text.partition(":")
        size, _, guard = numbers.partition(":")
        if kind == "exact" and not numbers:
            return cls()
        if kind == "tolerance" and _size(numbers):
            return cls("tolerance", size)
        grid, band = _size(size), _size(guard)
        if kind == "quantised" and grid and (not guard or (band and 2 * band < grid)) and numbers[-1] != ":":
            return cls("quantised", size, guard)
        raise BadInput(
            f"'{text[:80]}' is no rule for comparing answers.",
            hint="Write exact, quantised:GRID, quantised:GRID:GUARD or tolerance:EPS, like quantised:0.01.",
            code="service.comparison",
        )

    def __str__(self) -> str:
        return ":".join(part for part in (self.kind, self.size, self.guard) if part)

    def same(self, one: Any, other: Any) -> bool:
        """Whether two JSON values count as the same answer."""
        return self._same(one, other, _DEEPEST)

    def _same(self, one: Any, other: Any, depth: int) -> bool:
        if depth == 0:
            return False
        if _is_number(one) and _is_number(other):
            return self._same_number(one, other)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return one.keys() == other.keys() and all(
                self._same(value, other[name], depth - 1) for name, value in one.items()
            )
        if isinstance(one, list) and isinstance(other, list):
            pairs = zip(one, other, strict=False)
            return len(one) == len(other) and all(self._same(*pair, depth - 1) for pair in pairs)
        return type(one) is type(other) and bool(one == other)

    def _same_number(self, one: float, other: float) -> bool:
        first, second = Decimal(repr(one)), Decimal(repr(other))
        if not (first.is_finite() and second.is_finite()):
            return repr(one) == repr(other)
        if self.kind == "exact":
            return type(one) is type(other) and repr(one) == repr(other)
        if self.kind == "tolerance":
            return abs(first - second) <= Decimal(self.size)
        if self.guard and abs(first - second) <= Decimal(self.guard):
            return True
        grid = Decimal(self.size)
        return (first / grid).to_integral_value() == (second / grid).to_integral_value()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(text: str) -> Decimal | None:
    """A positive number of a size that is met; None for anything else."""
    if len(text) > _MOST_DIGITS:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 and -30 <= number.adjusted() <= 30 else None
