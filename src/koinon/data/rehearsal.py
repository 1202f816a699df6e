# SPDX-License-Identifier: Apache-2.0
"""Trying a program at home, on rows made up from what everyone may know, before it is paid for.

At the node nothing tells why a program gave no result, or even that it did; here everything may be told.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from koinon.compute.sandbox import BubblewrapSandbox, Finished, Limits, Sandbox
from koinon.data.document import DatasetDocument
from koinon.data.gate import read_schema
from koinon.data.gate.outputs import read_outputs
from koinon.data.gate.policy import Policy, Refused
from koinon.data.jobs import Bundle
from koinon.data.publishing import TABLE
from koinon.data.statistics import LABEL, Statistics
from koinon.tables import Table


@dataclass(frozen=True)
class Rehearsal:
    """How it went: ``fault`` says what would have been wrong, '' for nothing; ``log`` what it printed."""

    fault: str
    results: dict[str, Any]
    wall_s: float
    log: str = field(repr=False)


def made_up(document: DatasetDocument, rows: int, generator: np.random.Generator) -> Table:
    """Rows with a dataset's columns, each by itself from its histogram; where there is none, all 0."""
    drawn: list[dict[str, float]] = [{} for _ in range(rows)]
    if document.statistics is not None:
        drawn = Statistics.from_json(document.statistics).synthetic(rows, generator)
    features = np.array(
        [[row.get(name, 0.0) for name in document.columns] for row in drawn], dtype=np.float32
    )
    if drawn and LABEL in drawn[0]:
        labels = np.rint([row[LABEL] for row in drawn]).astype(np.int64)
    else:
        labels = generator.integers(0, 2, rows).astype(np.int64)
    return Table(features.reshape(rows, len(document.columns)), labels, document.columns)


def rehearse(
    document: DatasetDocument,
    program: Bundle,
    schema_text: str,
    *,
    seconds: float,
    rows: int = 200,
    seed: int = 1,
    sandbox: Sandbox | None = None,
) -> Rehearsal:
    """Run a program on made-up rows in this machine's own sandbox.

    Raises
    ------
    SetupError
        This machine cannot isolate programs, or lacks packages.
    BadInput
        The declaration is none.
    """
    schema = read_schema(schema_text)
    with tempfile.TemporaryDirectory(prefix="koinon-try-") as folder:
        place = Path(folder)
        (place / "program").mkdir()
        made_up(document, rows, np.random.default_rng(seed)).save(place / TABLE)
        started = program.write(place / "program")
        driver = sandbox or BubblewrapSandbox()
        finished = driver.run(started, {TABLE: place / TABLE}, Limits(wall_s=seconds, cpu_s=int(seconds) + 1))
    log = finished.log.decode("utf-8", "replace")
    fault, results = _told(finished), dict[str, Any]()
    if not fault:
        try:
            values, choices = read_outputs(schema, Policy(model_bytes=1 << 30), finished.outputs)
            results = {name: value.tolist() for name, value in values.items()} | choices
        except Refused as refused:
            fault = refused.message
    return Rehearsal(fault, results, finished.wall_s, log)


def _told(finished: Finished) -> str:
    return "" if finished.outcome == "ok" else f"The program ended with: {finished.outcome}."
