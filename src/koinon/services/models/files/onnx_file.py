# SPDX-License-Identifier: Apache-2.0
"""Answers calls with an ONNX graph, one case a call, by onnxruntime on one thread.

A call's JSON has a field for each input of the graph, without the batch dimension; so have answers for its
outputs. An input with names for its numbers (the graph's metadata ``koinon.features``, a JSON list) also
takes an object of numbers by name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from koinon.errors import BadInput, SetupError
from koinon.services.gateway.metering import Measured
from koinon.services.selling.signature import InvalidInput, Signature

LARGEST: Final = 512 << 20
"""Bytes of a graph."""

FEATURES: Final = "koinon.features"
MOST_NUMBERS: Final = 1 << 20
"""Of one input whose shape the graph leaves open."""

_DTYPES: Final[Mapping[str, tuple[Any, str]]] = {
    "tensor(float)": (np.float32, "number"),
    "tensor(double)": (np.float64, "number"),
    "tensor(float16)": (np.float16, "number"),
    "tensor(int64)": (np.int64, "integer"),
    "tensor(int32)": (np.int32, "integer"),
    "tensor(bool)": (np.bool_, "boolean"),
    "tensor(string)": (np.str_, "string"),
}


@dataclass(frozen=True)
class Tensor:
    """An input or output. ``shape`` without the batch dimension, -1 where the graph leaves a size open."""

    name: str
    kind: str
    shape: tuple[int, ...]
    batched: bool
    features: tuple[str, ...] = ()

    @property
    def dtype(self) -> Any:
        return _DTYPES[self.kind][0]

    @property
    def word(self) -> str:
        """JSON's type of one element."""
        return _DTYPES[self.kind][1]

    def schema(self) -> dict[str, Any]:
        """JSON Schema of one case."""
        schema: dict[str, Any] = {"type": self.word}
        for size in reversed(self.shape):
            bounds = {} if size < 0 else {"minItems": size, "maxItems": size}
            schema = {"type": "array", "items": schema, **bounds}
        if self.features:
            named = {
                "type": "object",
                "additionalProperties": False,
                "required": list(self.features),
                "properties": {name: {"type": self.word} for name in self.features},
            }
            return {"anyOf": [named, schema]}
        return schema

    def example(self) -> Any:
        """One case of zeros."""
        if self.features:
            return dict.fromkeys(self.features, 0)
        zero: Any = {"string": "text", "boolean": False}.get(self.word, 0)
        for size in reversed(self.shape):
            zero = [zero] * (1 if size < 0 else size)
        return zero


class OnnxFile:
    """A graph with its schema; see the module. As `schema.Function`.

    Parameters
    ----------
    path : Path
    name, description : str, optional
        For people; the file's name and the graph's own description when not given.

    Raises
    ------
    SetupError
        onnxruntime is missing (``service.no_onnxruntime``).
    BadInput
        It is no graph that can be answered here (``service.onnx``).
    """

    def __init__(self, path: Path, name: str = "", description: str = "") -> None:
        content = _read(path)
        self._session = _open(path, content)
        meta = self._session.get_modelmeta()
        self.metadata: Mapping[str, str] = meta.custom_metadata_map
        names = _names(self.metadata.get(FEATURES, ""))
        self.inputs = [_tensor(each, path) for each in self._session.get_inputs()]
        self.outputs = [_tensor(each, path) for each in self._session.get_outputs()]
        if len(self.inputs) == 1 and self.inputs[0].shape == (len(names),):
            first = self.inputs[0]
            self.inputs = [Tensor(first.name, first.kind, first.shape, first.batched, names)]
        self.digest = hashlib.sha256(content).hexdigest()
        self.signature = Signature(
            name or path.stem,
            description or meta.description or f"The model {path.stem}.",
            {
                "type": "object",
                "additionalProperties": False,
                "required": [each.name for each in self.inputs],
                "properties": {
                    each.name: {**each.schema(), "examples": [each.example()]} for each in self.inputs
                },
            },
            {
                "type": "object",
                "required": [each.name for each in self.outputs],
                "properties": {each.name: each.schema() for each in self.outputs},
            },
        )

    @property
    def batches(self) -> bool:
        """Whether it answers several cases at once."""
        return all(not isinstance(each.shape[0], int) for each in self._session.get_inputs() if each.shape)

    def call(self, body: bytes) -> bytes:
        """A JSON body in, JSON out; InvalidInput where it does not fit the graph."""
        try:
            given = orjson.loads(body)
        except ValueError:
            raise InvalidInput([{"at": "", "reason": "The body is not JSON"}]) from None
        wanted = {each.name for each in self.inputs}
        if not isinstance(given, dict) or given.keys() != wanted:
            raise InvalidInput([{"at": "", "reason": f"the fields must be {', '.join(sorted(wanted))}"}])
        feeds = {each.name: _array(each, given[each.name])[None] for each in self.inputs if each.batched}
        feeds |= {each.name: _array(each, given[each.name]) for each in self.inputs if not each.batched}
        answers = self.run(feeds)
        return orjson.dumps(
            {
                each.name: _plain(answer[0] if each.batched else answer)
                for each, answer in zip(self.outputs, answers, strict=True)
            }
        )

    def measure(self, body: bytes) -> Measured:
        """As `call`; a model reports no units."""
        return Measured(self.call(body), None)

    def stream(self, body: bytes) -> Generator[Measured, None, None]:
        """The answer as its only part."""
        yield self.measure(body)

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Outputs, in the graph's order, for inputs with their batch dimension."""
        return [np.asarray(each) for each in self._session.run(None, dict(feeds))]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise _bad(path, f"it is longer than {LARGEST >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise _bad(path, f"it cannot be read ({error.strerror})") from None


def _open(path: Path, content: bytes) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  (only who answers with ONNX files needs it)
    except ImportError:
        raise SetupError(
            "ONNX models need onnxruntime, which is not installed.",
            hint="pip install 'koinon[onnx]'",
            code="service.no_onnxruntime",
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:  # from bytes, so that a graph cannot have files beside it read as its weights
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise _bad(path, str(error).splitlines()[0][:200]) from None


def _tensor(found: Any, path: Path) -> Tensor:
    if found.type not in _DTYPES:
        raise _bad(path, f"'{found.name}' is a {found.type}, which JSON cannot carry")
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in found.shape)
    batched = bool(shape) and shape[0] in (-1, 1)
    return Tensor(str(found.name), str(found.type), shape[1:] if batched else shape, batched)


def _names(text: str) -> tuple[str, ...]:
    try:
        found = orjson.loads(text)
    except ValueError:
        return ()
    plain = isinstance(found, list) and all(isinstance(name, str) and name for name in found)
    return tuple(found) if plain and len(set(found)) == len(found) else ()


def _array(tensor: Tensor, given: Any) -> npt.NDArray[Any]:
    if tensor.features and isinstance(given, dict):
        if given.keys() != set(tensor.features):
            wrong = ", ".join(sorted(map(str, set(tensor.features).symmetric_difference(given)))[:5])
            raise _misfit(tensor, f"missing or unknown: {wrong}")
        given = [given[name] for name in tensor.features]
    flat: list[Any] = []
    sizes = _flatten(tensor, given, tensor.shape, flat)
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=object if tensor.word == "string" else tensor.dtype).reshape(sizes)
    except (OverflowError, ValueError):
        raise _misfit(tensor, "a number is out of range") from None
    if tensor.word == "number" and not np.isfinite(array).all():
        raise _misfit(tensor, "a number is out of range")
    return array


def _flatten(tensor: Tensor, given: Any, shape: tuple[int, ...], flat: list[Any]) -> tuple[int, ...]:
    """Append the numbers of a nested list; its sizes, which fit ``shape``."""
    if not shape:
        if not _fits(tensor.word, given):
            raise _misfit(tensor, f"not of the type {tensor.word}")
        if len(flat) >= MOST_NUMBERS:
            raise _misfit(tensor, f"more than {MOST_NUMBERS} values")
        flat.append(given)
        return ()
    if not isinstance(given, list) or not given or (shape[0] >= 0 and len(given) != shape[0]):
        raise _misfit(tensor, f"not an array of {shape[0] if shape[0] >= 0 else 'one or more'} values")
    inner = {_flatten(tensor, each, shape[1:], flat) for each in given}
    if len(inner) != 1:
        raise _misfit(tensor, "rows of different lengths")
    return (len(given), *inner.pop())


def _fits(word: str, value: Any) -> bool:
    if word in ("boolean", "string"):
        return isinstance(value, bool if word == "boolean" else str)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) if word == "integer" else _is_finite(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _plain(answer: Any) -> Any:
    array = np.asarray(answer)
    return array.astype(np.float64).tolist() if array.dtype == np.float16 else array.tolist()


def _misfit(tensor: Tensor, reason: str) -> InvalidInput:
    return InvalidInput([{"at": tensor.name, "reason": reason}])


def _bad(path: Path, reason: str) -> BadInput:
    return BadInput(
        f"{path.name} is not an ONNX model this gateway can serve: {reason}.",
        hint="Check it with onnx.checker; keep all weights within the one file.",
        code="service.onnx",
    )
