# SPDX-License-Identifier: Apache-2.0
"""Labels of a chain that a simulated market filled: its transfers beside the ground truth that was kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from koinon.errors import NotFound
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.importing import NOBODY, EventRows
from koinon.watch.laundering.planted import Planted

_SQL: Final = (
    'SELECT e."from" AS source, e."to" AS target, b.timestamp AS timestamp, e.value AS amount, '
    "e.transaction_hash AS hash FROM coin_transfer e JOIN block b ON b.number = e.block_number "
    "WHERE e.block_number <= ? ORDER BY e.block_number, e.log_index"
)


def label_chain(
    index: EventRows,
    truth: Mapping[str, Any],
    *,
    decimals: int,
    through_block: int,
    venues: Collection[str] = (),
) -> Planted:
    """The coin's payments up to a block, each with the case that it belongs to; exchanges with ``venues``
    are left out, as in `from_index`.

    Raises
    ------
    NotFound
        No payment of the truth that launders money is on this chain (``watch.truth``).
    """
    case_of: dict[str, int] = {}
    kinds: list[str] = []
    for case in truth["cases"]:
        if case["illicit"]:
            hashes = (each["transaction"] for each in case["transfers"] if "transaction" in each)
            case_of |= dict.fromkeys((each.lower() for each in hashes), len(kinds))
            kinds.append(str(case["typology"]))
    no_payer = {NOBODY, *venues}
    rows = [
        row
        for row in index.rows(_SQL, (through_block,))
        if row["source"] not in no_payer and row["target"] not in no_payer
    ]
    pattern = np.array([case_of.get(str(row["hash"]).lower(), -1) for row in rows], dtype=np.int32)
    if not (pattern >= 0).any():
        raise NotFound(
            "None of the payments that this truth calls laundering is on the chain.",
            hint="Give the file that koinon markets fill wrote for this data directory, and let the index "
            "catch up: koinon index sync",
            code="watch.truth",
        )
    edges = Edges.of_rows(rows, decimals=decimals)
    nobody = np.full(edges.accounts, -1, dtype=np.int8)
    return Planted(edges, pattern >= 0, pattern, kinds, nobody)
