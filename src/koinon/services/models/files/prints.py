# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of served model files, taken when they are published (see `works.fingerprints`)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from koinon.chain.keys import write_private
from koinon.compute.fixed_point import FixedModel, FixedNetwork
from koinon.errors import BadInput, NotFound, SetupError
from koinon.services.gateway.registry import Service
from koinon.services.models.exact import open_model
from koinon.services.models.files.onnx_file import OnnxFile
from koinon.services.models.perceptron import Mlp
from koinon.works.fingerprints.behaviour import Answers, Array, Probes, make_probes
from koinon.works.fingerprints.record import Fingerprints
from koinon.works.fingerprints.weights import weights_digests

FOLDER: Final = "fingerprints"
"""Of the gateway's data: the probes of each Work, which stay secret until a dispute."""

CENTER: Final = "koinon.center"
SCALE: Final = "koinon.scale"
"""A graph's metadata: mean and standard deviation of each input, as JSON lists."""


def fingerprints_of(service: Service) -> tuple[Fingerprints, Probes | None]:
    """What a service registers, and the probes to keep; nothing where it is no model file.

    Weights need the package ``onnx`` for graphs, and are left out without it.
    """
    if service.kind != "model":
        return Fingerprints(), None
    path = Path(service.target)
    try:
        weights = weights_digests(tensors_of(path))
    except (BadInput, SetupError):
        weights = {}
    try:
        probes = make_probes(answers_of(path), *_region(path), secrets.token_bytes(32))
    except BadInput:  # it takes no row of numbers, or answers the same everywhere
        probes = None
    return Fingerprints(weights, probes.digest if probes else b""), probes


def keep_probes(data_dir: Path, work_id: int, probes: Probes | None) -> None:
    """Keep a Work's probes, for its owner's eyes."""
    if probes is not None:
        write_private(probes_file(data_dir, work_id), probes.to_bytes())


def kept_probes(data_dir: Path, work_id: int) -> Probes:
    """A Work's probes; NotFound where none are kept here."""
    try:
        return Probes.from_bytes(probes_file(data_dir, work_id).read_bytes())
    except FileNotFoundError:
        raise NotFound(
            f"No probes of Work {work_id} are kept here.",
            hint="They lie where the Work was published; restore them from its backup.",
            code="service.no_probes",
        ) from None


def probes_file(data_dir: Path, work_id: int) -> Path:
    """Where a Work's probes lie."""
    return data_dir / FOLDER / f"{work_id}.npz"


def tensors_of(path: Path) -> list[npt.NDArray[Any]]:
    """The weights in a model file, ``.npz`` or ``.onnx``.

    Raises
    ------
    BadInput
        It is no such file.
    SetupError
        A graph, and the package ``onnx`` is missing (``service.no_onnx``).
    """
    if path.suffix == ".npz":
        return _numbers_of(open_model(path))
    try:
        import onnx  # noqa: PLC0415  (only who publishes needs it)
    except ImportError:
        raise SetupError(
            "Fingerprints of ONNX models need the package onnx, which is not installed.",
            hint="pip install 'koinon[convert]'",
            code="service.no_onnx",
        ) from None
    try:
        graph = onnx.load_model_from_string(path.read_bytes()).graph
    except Exception as error:  # protobuf's and the system's errors have no common class
        raise BadInput(f"{path.name} is not an ONNX model.", code="service.onnx") from error
    found = [onnx.numpy_helper.to_array(each) for each in graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.floats:
                found.append(np.array(attribute.floats, dtype=np.float32))
            elif attribute.HasField("t"):
                found.append(onnx.numpy_helper.to_array(attribute.t))
    return found


def answers_of(path: Path) -> Answers:
    """What a model file answers to rows of numbers.

    Raises
    ------
    BadInput
        It is no model file, or does not take one row of numbers (``service.no_rows``).
    """
    if path.suffix == ".npz":
        return _asked(open_model(path))
    graph = OnnxFile(path)
    taken = graph.inputs[0]
    numbers = [at for at, each in enumerate(graph.outputs) if each.word == "number"]
    if len(graph.inputs) != 1 or taken.word != "number" or len(taken.shape) != 1 or not numbers:
        raise BadInput(f"{path.name} does not take one row of numbers.", code="service.no_rows")
    wanted = numbers[-1]

    def ask(rows: Array) -> Array:
        if taken.shape[0] not in (-1, rows.shape[1]):
            raise BadInput(f"{path.name} takes rows of {taken.shape[0]} numbers.", code="service.no_rows")
        batch = rows.astype(taken.dtype)
        parts = [graph.run({taken.name: part})[wanted] for part in _batches(batch, graph.batches)]
        return np.concatenate(parts).astype(np.float64).reshape(len(rows), -1)

    return ask


def _numbers_of(model: Mlp | FixedModel) -> list[npt.NDArray[Any]]:
    if isinstance(model, Mlp | FixedNetwork):
        return [array for layer in model.layers for array in layer]
    return [model.threshold, model.value]


def _asked(model: Mlp | FixedModel) -> Answers:
    if isinstance(model, Mlp):
        return model.probabilities

    def shares(rows: Array) -> Array:
        scores = model.scores(rows)
        found = model.outputs.shares(scores) if model.outputs.classes else scores
        return found.astype(np.float64) / (1 << 30)

    return shares


def _batches(rows: npt.NDArray[Any], whole: bool) -> Iterator[npt.NDArray[Any]]:
    yield from [rows] if whole else (rows[at : at + 1] for at in range(len(rows)))


def _region(path: Path) -> tuple[Any, Any]:
    """Where inputs of the task lie: (center, scale), each (inputs,)."""
    if path.suffix == ".npz":
        found = open_model(path)
        model = found if isinstance(found, Mlp) else found.inputs
        low, high = model.center - model.scale, model.center + model.scale
        raw = [
            np.where(model.signed_log, np.sign(each) * np.expm1(np.abs(each)), each) for each in (low, high)
        ]
        return (raw[0] + raw[1]) / 2, np.maximum(np.abs(raw[1] - raw[0]) / 2, 1e-6)
    graph = OnnxFile(path)
    count = graph.inputs[0].shape[0] if graph.inputs[0].shape else 0
    if count <= 0:
        raise BadInput(f"{path.name} does not say how many numbers a row has.", code="service.no_rows")
    return _numbers(graph, CENTER, count, 0.0), _numbers(graph, SCALE, count, 1.0)


def _numbers(graph: OnnxFile, key: str, count: int, default: float) -> Any:
    try:
        found = np.array(orjson.loads(graph.metadata.get(key, "null")), dtype=np.float64)
    except (ValueError, TypeError):
        found = np.zeros(0)
    return found if found.shape == (count,) else np.full(count, default)
