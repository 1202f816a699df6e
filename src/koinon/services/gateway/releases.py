# SPDX-License-Identifier: Apache-2.0
"""Versions of one service: what answers, and what a share of its payers is tried on.

A release of the same Work has the same till, price and shares; payers notice nothing but the version that
each answer names. Which payers get a staged release is a function of their account, the Work and the version:
each stays where it is while the share grows, also over a restart and between two gateways.

What needs other shares is another Work with this one as its parent: payers sign for a till, so their calls
cannot be moved there; the old one names its successor and is retired.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from koinon.errors import BadInput, NotFound, UsageError

Kind = Literal["function", "model", "endpoint"]
WHOLE_BPS: Final = 10_000
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}")


@dataclass(frozen=True)
class Release:
    """A staged version. ``share_bps`` of payers, in 1/10,000, are answered by it; 0 nobody yet.

    The others are as in `registry.Service`.
    """

    version: str
    kind: Kind
    target: str
    workers: int = 1
    timeout_s: float = 30.0
    inline: bool = False
    card: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    example: dict[str, Any] = field(default_factory=dict)
    share_bps: int = 0

    def __post_init__(self) -> None:
        check_version(self.version)
        if isinstance(self.share_bps, bool) or not isinstance(self.share_bps, int):
            raise _share(self.share_bps)
        if not 0 <= self.share_bps <= WHOLE_BPS:
            raise _share(self.share_bps)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Release:
        """Read what `to_dict` wrote; BadInput for anything else."""
        try:
            return cls(**data)
        except TypeError as error:  # no object, or with a field missing or unknown
            raise BadInput(f"A staged release is incomplete: {error}.", code="service.registry") from None

    def answers(self, work_id: int, payer: str) -> bool:
        """Whether calls of a payer go to this release."""
        text = f"{work_id}|{self.version}|{payer.lower()}"
        point = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return point * WHOLE_BPS >> 64 < self.share_bps


class Retired(UsageError):
    """A service that is not sold any more: HTTP 410. Nothing is charged; channels are still refunded."""

    code = "service.retired"
    http_status = 410

    def __init__(self, name: str, replaced_by: str) -> None:
        super().__init__(
            f"The service {name} is not sold any more.",
            hint=f"It was replaced by {replaced_by}." if replaced_by else "Its owner names no successor.",
        )
        self.replaced_by = replaced_by

    def problem(self) -> dict[str, object]:
        replaced = {"replaced_by": self.replaced_by} if self.replaced_by else {}
        return super().problem() | replaced


def check_version(version: str) -> str:
    """A version as answers name it; BadInput unless it is short and plain, like ``2`` or ``1.4.0``."""
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        raise BadInput(
            f"'{str(version)[:40]}' is no version.",
            hint="At most 32 letters, digits, dots, plus and minus signs, like 2 or 1.4.0.",
            code="service.version",
        )
    return version


def next_version(version: str) -> str:
    """The version after one: its last number and one more; ``.1`` appended where it has none at its end."""
    head, number = re.fullmatch(r"(.*?)([0-9]*)", version).groups()  # type: ignore[union-attr]  # always fits
    return f"{head}{int(number) + 1}" if number else f"{version}.1"


def not_staged(work_id: int) -> NotFound:
    """The error where a rollout has nothing to roll out."""
    return NotFound(
        f"Work {work_id} has no other version waiting here.",
        hint=f"Publish one: koinon service publish … --version-of {work_id}",
        code="service.not_staged",
    )


def _share(share: object) -> BadInput:
    return BadInput(
        f"A share of calls of {share} is not between nothing and all of them.",
        hint="Write it like 10%.",
        code="service.rollout_share",
    )
