# SPDX-License-Identifier: Apache-2.0
"""Liquidity of one node: measured, kept for the page, and told at once where a warning rings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.markets.history.history import History
from koinon.watch.cases.alerts import AlertDesk
from koinon.watch.liquidity.reading import Position
from koinon.watch.liquidity.report import pool_report, simulated_report, tail_report, warnings_report
from koinon.watch.liquidity.runs import TOPS
from koinon.watch.liquidity.shelf import ReportShelf
from koinon.watch.liquidity.tail import WINDOW_DAYS

FEW: Final = 3
"""So few holders who could ask for more than there is are worth a look."""


class Liquidity:
    """Reports of liquidity of one data directory.

    Parameters
    ----------
    home : Path
        The watch's folder.
    alerts : callable
        Where people are told.
    clock : callable
        Unix seconds now.
    """

    def __init__(self, home: Path, alerts: Callable[[], AlertDesk], clock: Callable[[], float]) -> None:
        self._shelf, self._alerts, self._clock = ReportShelf(home), alerts, clock

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """The reports that were kept, ``pool``, ``tail`` or ``warnings``; the newest first."""
        return self._shelf.all(kind)

    def measure(
        self,
        history: History,
        contract: str,
        position: Position,
        *,
        data: str,
        name: str = "",
        keep: bool = True,
        tops: Sequence[int] = TOPS,
        horizon: int = 1,
        seed: int = 0,
    ) -> dict[str, Any]:
        """One pool or vault; kept, and told where it is red or a warning rings. Errors as
        `report.pool_report`."""
        document = pool_report(history, contract, position, data=data, tops=tops, horizon=horizon, seed=seed)
        if not keep:
            return document
        self.tell(document)
        return self._keep("pool", name or contract, document)

    def simulate(self, *, runs: bool = True, seed: int = 0, tops: Sequence[int] = TOPS) -> dict[str, Any]:
        """One simulated pool, kept for the page and called simulated there; it raises no alert."""
        document = simulated_report(runs=runs, seed=seed, tops=tops)
        return self._keep("pool", document["contract"], document)

    def tail(
        self, returns: NDArray[np.float64], name: str, *, window: int = WINDOW_DAYS, keep: bool = True
    ) -> dict[str, Any]:
        """VaR and ES of a series; errors as `report.tail_report`."""
        document = tail_report(returns, name, window=window)
        return self._keep("tail", name, document) if keep else document

    def warnings(
        self, *, count: int = 60, seed: int = 2, real: bool = True, keep: bool = True
    ) -> dict[str, Any]:
        """How often warnings were right; errors as `report.warnings_report`."""
        document = warnings_report(count=count, seed=seed, real=real)
        return self._keep("warnings", "warnings", document) if keep else document

    def tell(self, document: Mapping[str, Any]) -> list[str]:
        """Raise what a pool's report says: coverage below 1, few holders who can ask too much, and early
        warning; the keys of the alerts."""
        contract, covered = document["contract"], document["coverage"]
        rings, breaks = document["warning"] or {}, document["holders"]["breaks_at"]
        found = []
        if rings.get("combined"):
            found.append(
                ("warning", 3, f"Early warning: withdrawals from {contract} surge, and coverage is below 1.")
            )
        if document["red"]:
            found.append(
                (
                    "coverage",
                    2,
                    f"{contract} can pay out {covered['ratio']:.2f} of what thirty bad days may ask for.",
                )
            )
        if breaks is not None and breaks <= FEW:
            who = "The largest holder" if breaks == 1 else f"The {breaks} largest holders"
            found.append(("run", 1, f"{who} of {contract} can ask for more than it can pay out at once."))
        keys = []
        for name, level, text in found:
            keys.append(f"liquidity {name} {contract}")
            self._alerts().raise_(keys[-1], text, level=level)
        return keys

    def _keep(self, kind: str, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        return self._shelf.keep(kind, name, document, now=int(self._clock()))
