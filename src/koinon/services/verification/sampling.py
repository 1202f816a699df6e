# SPDX-License-Identifier: Apache-2.0
"""Which answers a challenger looks at, and how long it waits for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from koinon.errors import BadInput


@dataclass(frozen=True)
class ChallengerOptions:
    """How a challenger works: see `challenger`. A provider that does not show an answer is asked
    again for ``patience_s`` before that is disputed, or until half of the window is over. ``sponsors`` are
    the accounts for whose known answers it attests what it checked: see `attesting`."""

    bonds: tuple[int, ...] = ()
    audit_rate: float = 0.0
    host: str = "127.0.0.1"
    port: int = 0
    url: str = ""
    patience_s: float = 300.0
    sponsors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.audit_rate <= 1:
            raise BadInput("An audit rate is a share of all answers.", code="verification.audit_rate")


@dataclass
class Audit:
    """A batch that is being audited: what is left of its sample, which answers proved wrong, and whether
    some could not be run again."""

    request: bytes
    since: float
    positions: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    not_run: bool = False
