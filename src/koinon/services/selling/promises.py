# SPDX-License-Identifier: Apache-2.0
"""What a publisher promises with a service, besides what it computes and its price."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final

from koinon.errors import BadInput
from koinon.services.gateway.limits import Limits
from koinon.services.selling.comparison import Comparison

TRUSTS: Final = ("reputation", "crypto-economic", "tee-attestation", "zkml")
"""ERC-8004's words for ``supportedTrust``, and ``zkml`` for proofs of a computation."""

MOST_UNITS: Final = 10**9


@dataclass(frozen=True)
class Promises:
    """All with defaults that promise nothing special.

    Parameters
    ----------
    unit, most_units : str, int
        What the price is for where not for a call, and the most that one call may count.
    free_calls, free_in_all : int
        What each caller, and all of them together, get for nothing in a day.
    limits : Limits
    comparison : str
        When two answers count as the same (`Comparison`); "" for no promise, so nothing can be challenged.
    supported_trust : tuple of str
        By what callers may come to trust it: some of `TRUSTS`.

    Raises
    ------
    BadInput
        One of them is out of its range, or a word nobody knows (``service.promise``).
    """

    unit: str = ""
    most_units: int = 1
    free_calls: int = 0
    free_in_all: int = 0
    limits: Limits = field(default_factory=Limits)
    comparison: str = ""
    supported_trust: tuple[str, ...] = ("reputation",)

    def __post_init__(self) -> None:
        if self.comparison:
            Comparison.parse(self.comparison)
        if not set(self.supported_trust) <= set(TRUSTS) or not self.supported_trust:
            raise _wrong(
                f"One of {', '.join(self.supported_trust) or 'no trusts'} is no kind of trust.", TRUSTS
            )
        if self.unit and not (self.unit.isidentifier() and len(self.unit) <= 32):
            raise _wrong(f"'{self.unit[:40]}' is no unit.", ("token", "row", "second"))
        if not 1 <= self.most_units <= MOST_UNITS or (not self.unit and self.most_units != 1):
            raise BadInput(
                f"A call cannot count {self.most_units} units.",
                hint=f"Name the unit, and from 1 to {MOST_UNITS} of them.",
                code="service.promise",
            )
        if self.free_calls < 0 or (self.free_calls and self.free_in_all < self.free_calls):
            raise BadInput(
                f"{self.free_calls} free calls for each caller do not fit into {self.free_in_all} in all.",
                hint="Accounts cost nothing, so say how many free calls a day all callers get together.",
                code="service.promise",
            )

    def fields(self) -> dict[str, Any]:
        """As fields of `registry.Service`, which has all of them under the same names."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def _wrong(message: str, known: tuple[str, ...]) -> BadInput:
    return BadInput(message, hint=f"Known are: {', '.join(known)}.", code="service.promise")
