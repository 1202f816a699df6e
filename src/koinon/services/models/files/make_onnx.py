# SPDX-License-Identifier: Apache-2.0
"""The program that opens a pickle in the sandbox and makes it an ONNX graph: ``make_onnx.py /data /out``.

It stands alone: the sandbox shows it packages, and nothing of Koinon. Reads ``/data/model.joblib`` (or
``.pkl``, ``.pt2``), writes ``/out/model.onnx`` and ``/out/report.json``: what the model was, the names of its
inputs, and by how much the graph's answers differ from the model's own on some hundred rows.
"""

# ruff: noqa: PLC0415  (each kind of model needs packages that the other does not)

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 256


def main() -> int:
    warnings.simplefilter("ignore")
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    source = next(path for path in data.iterdir() if path.name.startswith("model."))
    report = _from_torch(source, out) if source.suffix == ".pt2" else _from_sklearn(source, out)
    (out / "report.json").write_text(json.dumps(report))
    return 0


def _from_sklearn(source: Path, out: Path) -> dict[str, Any]:
    import joblib
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    model = joblib.load(source)
    count = int(model.n_features_in_)
    features = [str(name) for name in getattr(model, "feature_names_in_", ())]
    center, scale, rows = _region(model, count)
    known = {"koinon.center": center.tolist(), "koinon.scale": scale.tolist()}
    if features:
        known["koinon.features"] = features
    best: tuple[float, bytes] | None = None
    for kind, dtype in ((DoubleTensorType, np.float64), (FloatTensorType, np.float32)):
        try:
            options = {"zipmap": False} if hasattr(model, "classes_") else None
            graph = to_onnx(
                model,
                initial_types=[("features", kind([None, count]))],
                options=None if options is None else {id(model): options},
            )
            _describe(graph, f"{type(model).__name__} of scikit-learn", known)
            content = graph.SerializeToString()
            differs = _differs(content, {"features": rows.astype(dtype)}, _answers(model, rows.astype(dtype)))
        except Exception as error:  # an operator that lacks one of the two kinds of number
            print(
                f"{dtype.__name__}: {(str(error).splitlines() or [type(error).__name__])[0][:200]}",
                file=sys.stderr,
            )
            continue
        if best is None or differs < best[0]:
            best = (differs, content)
    if best is None:
        raise SystemExit(f"{type(model).__name__} has no form in ONNX")
    (out / "model.onnx").write_bytes(best[1])
    return {"model": type(model).__name__, "differs": best[0], "rows": ROWS}


def _answers(model: Any, rows: Any) -> Any:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(rows)
    found = np.asarray(model.predict(rows))
    return found.reshape(len(rows), -1) if found.dtype.kind == "f" else found


def _region(model: Any, count: int) -> tuple[Any, Any, Any]:
    """Where the model does something, about its scaler's means and its trees' thresholds: center and scale of
    each input, and rows there."""
    draw = np.random.default_rng(0)
    center, scale = np.zeros(count), np.ones(count)
    thresholds: list[list[float]] = [[] for _ in range(count)]
    for part in _parts(model):
        mean = np.asarray(getattr(part, "mean_", None), dtype=object)
        spread = np.asarray(getattr(part, "scale_", None), dtype=object)
        if mean.shape == spread.shape == (count,):
            center, scale = mean.astype(float), spread.astype(float)
        tree = getattr(part, "tree_", None)
        if tree is not None and tree.n_features == count:
            for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
                if feature >= 0:
                    thresholds[feature].append(float(threshold))
    rows = center + scale * draw.standard_normal((ROWS, count)) * draw.choice([0.1, 1.0, 3.0], (ROWS, 1))
    for feature, known in enumerate(thresholds):
        if known:
            width = float(np.std(known)) or 1.0
            rows[:, feature] = draw.choice(known, ROWS) + width * draw.standard_normal(ROWS)
            center[feature], scale[feature] = float(np.mean(known)), width
    return center, scale, rows


def _parts(model: Any) -> list[Any]:
    found: list[Any] = []
    waiting = [model]
    while waiting and len(found) < 10_000:
        each = waiting.pop()
        found.append(each)
        waiting += [step for _name, step in getattr(each, "steps", [])]
        waiting += list(np.ravel(np.asarray(getattr(each, "estimators_", []), dtype=object)))
    return found


def _from_torch(source: Path, out: Path) -> dict[str, Any]:
    import torch

    program = torch.export.load(str(source))
    given, named = program.example_inputs
    if named:
        raise SystemExit("only inputs by position can be called")
    torch.onnx.export(
        program, tuple(given), str(out / "model.onnx"), dynamo=True, external_data=False, verbose=False
    )
    content = (out / "model.onnx").read_bytes()
    import onnx

    graph = onnx.load_from_string(content)
    _describe(graph, "a module of torch", {})
    content = graph.SerializeToString()
    (out / "model.onnx").write_bytes(content)
    torch.manual_seed(0)
    rows = [torch.randn_like(each) if each.is_floating_point() else each for each in given]
    with torch.no_grad():
        answer = program.module()(*rows)
    first = answer[0] if isinstance(answer, (tuple, list)) else answer
    names = [each.name for each in graph.graph.input]
    feeds = {name: row.numpy() for name, row in zip(names, rows, strict=True)}
    return {
        "model": "torch",
        "differs": _differs(content, feeds, first.numpy(), output=0),
        "rows": len(rows[0]),
    }


def _describe(graph: Any, text: str, known: dict[str, Any]) -> None:
    """Say what it was made from, and drop what names this machine or its moment."""
    graph.doc_string = text
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for key, value in known.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)


def _differs(content: bytes, feeds: dict[str, Any], wanted: Any, output: int = -1) -> float:
    """The largest difference between the graph's answers and the model's, by the answers' range where that is
    above 1; of labels, the part that differs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(None, feeds)[output])
    wanted = np.asarray(wanted)
    if wanted.dtype.kind not in "fc":
        return float(np.mean(found.reshape(-1) != wanted.reshape(-1)))
    size = max(1.0, float(np.ptp(wanted)))
    return float(np.max(np.abs(found.reshape(wanted.shape) - wanted))) / size


if __name__ == "__main__":
    sys.exit(main())
