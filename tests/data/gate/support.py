# SPDX-License-Identifier: Apache-2.0
"""Programs that run for real in the sandbox on a private table, and what the gate lets out of it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from koinon.compute.sandbox import BubblewrapSandbox, Finished, Limits, Program
from koinon.compute.sandbox.driver import MEBIBYTE
from koinon.data.gate import Policy, Release, ResultSchema, gate, read_schema
from koinon.tables import Table

LIMITS = Limits(wall_s=30, cpu_s=20, memory_bytes=256 * MEBIBYTE, scratch_bytes=8 * MEBIBYTE)
ROWS = 400
OPEN = Policy(allow_undeclared=True, allow_models=True)
"""An owner who lets results without noise out: the other checks stand alone."""

HEAD = """
import json, os, sys
from pathlib import Path
import numpy
data = numpy.load("/data/table.npz")
features, labels = data["features"], data["labels"]
def leave(**results):
    Path("/out/result.json").write_text(json.dumps(results))
def leave_model(vector):
    Path("/out/model.f32").write_bytes(numpy.asarray(vector, "<f4").tobytes())
"""


def make_table(rows: int = ROWS, seed: int = 0) -> Table:
    """Money in cents, an age, a flag and two measurements, of which the label depends on two."""
    draw = np.random.default_rng(seed)
    features = np.column_stack(
        [
            np.round(draw.lognormal(8, 0.8, rows), 2),
            draw.integers(18, 90, rows),
            draw.integers(0, 2, rows),
            draw.normal(0, 1, rows),
            draw.normal(50, 12, rows),
        ]
    ).astype(np.float32)
    score = features[:, 3] + (features[:, 4] - 50) / 12 + draw.normal(0, 1, rows)
    return Table(features, (score > 0).astype(np.int64), ("income", "age", "member", "x", "y"))


@dataclass(frozen=True)
class Desk:
    """The owner's side: a sandbox, the rows that programs see, and rows that they do not."""

    sandbox: BubblewrapSandbox
    folder: Path
    table: Table
    held_out: Table

    def run(self, code: str, limits: Limits = LIMITS, table: Table | None = None) -> Finished:
        """Run a program on the rows (``features`` and ``labels`` are read; see ``HEAD``)."""
        path, rows = self.folder / "main.py", self.folder / "table.npz"
        path.write_text(HEAD + textwrap.dedent(code))
        (table or self.table).save(rows)
        return self.sandbox.run(Program(path), {"table.npz": rows}, limits)

    def gate(self, schema: str | ResultSchema, code: str, policy: Policy = OPEN, seed: int = 1) -> Release:
        """Run a program that ends well, and decide on what it left."""
        finished = self.run(code)
        assert finished.outcome == "ok", finished.log.decode()
        declared = read_schema(schema) if isinstance(schema, str) else schema
        generator = np.random.default_rng(seed)
        return gate(declared, policy, finished.outputs, self.table, self.held_out, generator)


def make_desk(sandbox: BubblewrapSandbox, folder: Path) -> Desk:
    """400 rows for programs, 200 held out."""
    whole = make_table(600)
    return Desk(sandbox, folder, whole.take(np.arange(400)), whole.take(np.arange(400, 600)))
