# SPDX-License-Identifier: Apache-2.0
"""What the model tells: the transfers that score above its threshold, one finding a payer and day."""

from __future__ import annotations

import numpy as np

from koinon.watch.findings import Finding
from koinon.watch.graph.windows import DAY_S
from koinon.watch.laundering.grouping import Groups, bursts
from koinon.watch.laundering.measuring import Scores
from koinon.watch.laundering.model import Model
from koinon.watch.laundering.table import Table


def model_findings(table: Table, model: Model, scores: Scores | None = None) -> list[Finding]:
    """Findings of kind ``model``; each says which columns raised the highest score."""
    scores = model.scores(table) if scores is None else scores
    edges, marked = table.edges, scores >= model.threshold
    groups = Groups.by(edges.source, edges.accounts)
    found = []
    for account, first, last, _ in bursts(edges, marked, edges.source, DAY_S):
        rows = groups.between(account, first, last)
        rows = rows[marked[rows]]
        best = int(rows[np.argmax(scores[rows])])
        names = (name.replace("_", " ") for name, _ in model.reasons(table, best, 3))
        raised = ", ".join(names) or "nothing alone"
        found.append(
            Finding.of_rows(
                edges,
                "model",
                rows.tolist(),
                why=f"The model scores {float(scores[best]):.0%}; what raises it: {raised}.",
                strength=float(scores[best]),
                about=[account],
            )
        )
    return found
