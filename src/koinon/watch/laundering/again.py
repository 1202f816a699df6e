# SPDX-License-Identifier: Apache-2.0
"""Learning again from where the last model came from, with what was decided since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from koinon.errors import BadInput
from koinon.watch.graph.importing import Columns, read_labelled

if TYPE_CHECKING:
    from koinon.watch.api import Watch
    from koinon.watch.laundering.feedback import Retrained


def of_file(path: Path, label: str, columns: Columns, known_at: str, budget: float) -> dict[str, Any]:
    """What is kept of a training from a file, so that it can be done again."""
    return {
        "kind": "file",
        "path": str(path.resolve()),
        "label": label,
        "columns": [columns.source, columns.target, columns.timestamp, columns.amount],
        "known_at": known_at,
        "budget": budget,
    }


def of_simulation(seed: int, budget: float) -> dict[str, Any]:
    """The same of simulated transfers."""
    return {"kind": "simulated", "seed": seed, "budget": budget}


def can_learn_again(report: Mapping[str, Any]) -> bool:
    """Whether the report says where its transfers came from, and they are still there."""
    source = report.get("source") or {}
    return source.get("kind") == "simulated" or (
        source.get("kind") == "file" and Path(source["path"]).exists()
    )


def learn_again(watch: Watch, *, draws: int = 200) -> tuple[dict[str, Any], Retrained | None]:
    """Teach on the same transfers and on decided cases; errors as `Watch.train` and `Watch.report`.

    Raises
    ------
    BadInput
        The report does not say where its transfers came from, or they are gone (``watch.again``).
    """
    report = watch.report()
    if not can_learn_again(report):
        raise BadInput(
            "The transfers that the model was taught on are not there any more.",
            hint="Teach it by command: koinon watch train FILE",
            code="watch.again",
        )
    source = report["source"]
    if source["kind"] == "simulated":
        return watch.train_simulated(seed=source["seed"], budget=source["budget"], draws=draws)
    path = Path(source["path"])
    edges, illicit, known = read_labelled(
        path, source["label"], Columns(*source["columns"]), known_at=source["known_at"]
    )
    return watch.train(
        edges,
        illicit,
        data=report["data"]["what"],
        known_at=known,
        budget=source["budget"],
        draws=draws,
        source=source,
    )
