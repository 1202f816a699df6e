# SPDX-License-Identifier: Apache-2.0
"""Makes a scikit-learn or torch file an ONNX graph, in the sandbox, once, at publication."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.keys import write_private
from koinon.compute.sandbox.driver import MEBIBYTE, Limits, Outcome, Program, Sandbox
from koinon.errors import BadInput
from koinon.services.models.files import make_onnx

PICKLES: Final = (".joblib", ".pkl", ".pickle", ".pt2")
"""Endings of files that are opened in the sandbox."""

GRAPH: Final = ".onnx"
MOST_DIFFERENCE: Final = 1e-3
"""By which answers may differ from the model's own; of their range, where that is more than 1."""

_LIMITS: Final = Limits(
    wall_s=300,
    cpu_s=300,
    memory_bytes=4096 * MEBIBYTE,
    processes=64,
    open_files=1024,
    output_bytes=512 * MEBIBYTE,
    scratch_bytes=512 * MEBIBYTE,
)


@dataclass(frozen=True)
class Converted:
    """A graph at ``path``; its answers differed by at most ``differs`` from the model's on ``rows`` rows."""

    path: Path
    model: str
    differs: float
    rows: int


def to_onnx(source: Path, folder: Path, sandbox: Sandbox) -> Converted:
    """Open a pickled model in the sandbox and keep the graph that comes out, under its digest in ``folder``.

    Raises
    ------
    SetupError
        This host cannot isolate programs; then only ``.onnx`` and ``.npz`` can be published here.
    BadInput
        The file is no such model, or the graph's answers are not the model's (``service.conversion``).
    """
    if not source.is_file():
        raise BadInput(f"There is no file {source}.", hint="Check the path.", code="service.file_missing")
    program = Program(Path(make_onnx.__file__))
    suffix = ".joblib" if source.suffix in (".pkl", ".pickle") else source.suffix
    finished = sandbox.run(program, {f"model{suffix}": source}, _LIMITS)
    graph, report = finished.outputs.get("model.onnx"), finished.outputs.get("report.json")
    if finished.outcome is not Outcome.OK or graph is None or report is None:
        said = finished.log.decode("utf-8", "replace").strip().splitlines()
        raise _bad(source, f"{said[-1][:200]}" if said else f"it ended with “{finished.outcome}”")
    try:
        told = orjson.loads(report)
        model, differs, rows = str(told["model"])[:100], float(told["differs"]), int(told["rows"])
    except (ValueError, KeyError, TypeError):  # what a pickle wrote there instead
        raise _bad(source, "it gave no account of itself") from None
    if not differs <= MOST_DIFFERENCE:
        raise _bad(source, f"as a graph its answers differ by {differs:g}")
    path = folder / f"{hashlib.sha256(graph).hexdigest()[:32]}{GRAPH}"
    write_private(path, graph)
    return Converted(path, model, differs, rows)


def _bad(source: Path, reason: str) -> BadInput:
    return BadInput(
        f"{source.name} cannot be made an ONNX graph: {reason}.",
        hint="Convert it yourself and publish the .onnx file, or publish a Python function that loads it.",
        code="service.conversion",
    )
