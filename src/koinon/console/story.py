# SPDX-License-Identifier: Apache-2.0
"""What the newest tour on a node left for its page: who took part, which run, which Work, whom to ask about.

The tour writes it as it goes; amounts and states are never in here, they are read from the chain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson

from koinon.chain.address import checksum
from koinon.chain.keys import write_private
from koinon.errors import BadInput

FILE: Final = "story.json"
FOLDER: Final = "tour"
_LONGEST: Final = 120
_MOST: Final = 64


@dataclass(frozen=True)
class Applicant:
    """Somebody the model never saw: inputs by name, and what really happened."""

    features: Mapping[str, float]
    defaulted: bool


@dataclass(frozen=True)
class Story:
    """A tour so far. ``parties`` address → name; ``run_id`` and ``work_id`` 0 until there is one; ``pool``
    and ``wallet`` whom the model's scores lent to, or ``not_lent`` where the packages for it are missing;
    ``over`` once everybody is paid and the model is sold by the node's own gateway."""

    began_at: int
    parties: Mapping[str, str] = field(default_factory=dict)
    run_id: int = 0
    work_id: int = 0
    applicants: tuple[Applicant, ...] = ()
    pool: str = ""
    wallet: str = ""
    not_lent: bool = False
    over: bool = False

    def save(self, home: Path) -> None:
        """Put it where the page looks, in one piece."""
        write_private(home / FOLDER / FILE, orjson.dumps(asdict(self)))

    @classmethod
    def newest(cls, home: Path) -> Self | None:
        """The newest tour of a data directory; None where nobody took it, or it cannot be read."""
        try:
            found: dict[str, Any] = orjson.loads((home / FOLDER / FILE).read_bytes())
            return cls(
                began_at=int(found["began_at"]),
                parties={str(who)[:64]: str(name)[:_LONGEST] for who, name in found["parties"].items()},
                run_id=int(found["run_id"]),
                work_id=int(found["work_id"]),
                applicants=tuple(_applicant(entry) for entry in found["applicants"][:10]),
                pool=_address(found.get("pool")),
                wallet=_address(found.get("wallet")),
                not_lent=bool(found.get("not_lent")),
                over=bool(found["over"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadInput):
            return None


def _address(found: Any) -> str:
    return checksum(str(found)) if found else ""


def _applicant(entry: Mapping[str, Any]) -> Applicant:
    features = {str(name)[:_LONGEST]: float(value) for name, value in entry["features"].items()}
    if len(features) > _MOST or not all(math.isfinite(value) for value in features.values()):
        raise ValueError("no applicant")
    return Applicant(features, bool(entry["defaulted"]))
