# SPDX-License-Identifier: Apache-2.0
"""Views bought from a model Work: it is asked as any paid service is, and what it said is kept with evidence.

The service takes ``{"assets": [name, …], "returns": [[…], …], "periods_a_year": x}`` (past simple returns,
the newest last) and answers ``{"expected": {name: return over a period, …}, "confidence": {name: 0…1, …}}``;
confidence may be left out. Names it leaves out have no view.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import orjson

from koinon.errors import PeerError
from koinon.services.buying.replies import Answer
from koinon.treasury.allocation.methods import Views
from koinon.treasury.allocation.prices import Prices

LATEST: Final = 504
"""At most so many of the newest returns are told."""


class Buys(Protocol):
    """The part of `koinon.services.buying.client.Buyer` that is needed."""

    def call(self, url: str, arguments: dict[str, Any], *, number: str | None = None) -> Answer: ...


@dataclass(frozen=True)
class BoughtViews:
    """Views, what they were made from (``asked``, a digest), what was paid, and the service's evidence."""

    views: Views
    work_id: int
    asked: str
    charged: int
    evidence: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For a JSON document."""
        return {
            "work_id": self.work_id,
            "asked_sha256": self.asked,
            "expected": dict(self.views.expected),
            "confidence": dict(self.views.confidence),
            "charged": self.charged,
            "evidence": dict(self.evidence),
        }


def question(prices: Prices, rows: int = LATEST) -> dict[str, Any]:
    """What a model is asked: the newest returns, and nothing of the vault."""
    returns = prices.returns[-rows:]
    return {
        "assets": list(prices.names),
        "returns": np.round(returns, 10).tolist(),
        "periods_a_year": round(prices.periods_a_year, 6),
    }


def buy_views(buyer: Buys, url: str, prices: Prices, folder: Path) -> BoughtViews:
    """Ask a model Work, pay it, and keep question, answer and evidence in ``folder``.

    Raises
    ------
    PeerError
        The answer is no views.
    PaymentError
        The mandate or limit does not allow the price; see `Buyer.call` for the others.
    """
    asked = question(prices)
    digest = hashlib.sha256(orjson.dumps(asked)).hexdigest()
    answer = buyer.call(url, asked)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"url": url, "question": asked, "answer": answer.to_dict()}
    place = folder / f"{digest}.json"
    place.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    views = read_views(answer.result, prices.names)
    return BoughtViews(views, int(answer.evidence.get("work_id", 0)), digest, answer.charged, answer.evidence)


def read_views(result: Any, names: tuple[str, ...]) -> Views:
    """The views in a service's answer; PeerError where there are none."""
    try:
        expected = {str(name): float(value) for name, value in result["expected"].items()}
        trusted = {str(name): float(value) for name, value in (result.get("confidence") or {}).items()}
        views = Views(expected, {name: value for name, value in trusted.items() if name in expected})
    except Exception as error:  # whatever a stranger's answer breaks
        raise PeerError(
            f"The model's answer is no views: {error}.",
            hint='It must be like {"expected": {"ETH": 0.001}}.',
            code="treasury.answer",
        ) from error
    if not expected or set(expected) - set(names):
        raise PeerError(
            "The model's answer has no view of what was asked for.",
            hint="Its Work's page says what it takes and gives.",
            code="treasury.answer",
        )
    return views
