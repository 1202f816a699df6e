# SPDX-License-Identifier: Apache-2.0
"""Small models served from a file, without the code that trained them.

The file is a NumPy ``.npz`` without pickles; d inputs, k outputs:

    format       the text "koinon.mlp/1"
    features     (d,) text: input names, in order
    signed_log   (d,) bool: whether an input first becomes sign(x) · log(1 + |x|)
    center       (d,) float: subtracted after that
    scale        (d,) float, not 0: divided by after that
    activation   the text "tanh" or "relu": of every layer but the last
    w1, b1, ...  layer by layer (inputs, outputs) and (outputs,) float; the last with k = 1 is a logistic
    output,
                 with k > 1 a softmax
    classes      (k,) text, or (2,) where k = 1: names of the classes

Asked with ``{"features": {name: number, ...}}`` or ``{"features": [number, ...]}`` in the file's order;
answers ``{"label": text, "probability": number, "probabilities": {class: number}}``.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from koinon.errors import BadInput
from koinon.services.models.rows import answer_schema, input_schema, read_row
from koinon.services.selling.signature import Signature

FORMAT: Final = "koinon.mlp/1"
ACTIVATIONS: Final = ("tanh", "relu")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mlp:
    """A multi-layer perceptron with its scaling. Shapes as in the module's table; BadInput when they
    disagree."""

    features: tuple[str, ...]
    signed_log: npt.NDArray[np.bool_]
    center: Array
    scale: Array
    layers: tuple[tuple[Array, Array], ...]
    activation: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        d = len(self.features)
        if not d or len(set(self.features)) != d or self.activation not in ACTIVATIONS or not self.layers:
            raise _bad("its features, layers or activation are not what they must be")
        for name, found in (("signed_log", self.signed_log), ("center", self.center), ("scale", self.scale)):
            if found.shape != (d,):
                raise _bad(f"'{name}' has the shape {found.shape}, not {(d,)}")
        width = d
        for number, (weights, biases) in enumerate(self.layers, 1):
            if biases.ndim != 1 or weights.shape != (width, biases.size) or not biases.size:
                raise _bad(
                    f"layer {number} has the shapes {weights.shape} and {biases.shape} after {width} values"
                )
            width = biases.size
        if len(self.classes) != max(2, width):
            raise _bad(f"it names {len(self.classes)} classes for {width} outputs")
        numbers = [self.center, self.scale, *(array for layer in self.layers for array in layer)]
        if not all(np.isfinite(array).all() for array in numbers) or not self.scale.all():
            raise _bad("it holds numbers that are not finite, or a scale of 0")

    def probabilities(self, rows: Array) -> Array:
        """Class probabilities, (n, classes), of raw feature rows, (n, d)."""
        values = np.where(self.signed_log, np.sign(rows) * np.log1p(np.abs(rows)), rows)
        values = (values - self.center) / self.scale
        for weights, biases in self.layers[:-1]:
            values = values @ weights + biases
            values = np.tanh(values) if self.activation == "tanh" else np.maximum(values, 0.0)
        weights, biases = self.layers[-1]
        logits: Array = values @ weights + biases
        if biases.size == 1:
            positive = 0.5 * (1.0 + np.tanh(0.5 * logits))
            return np.hstack([1.0 - positive, positive])
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: Array = exponents / exponents.sum(axis=1, keepdims=True)
        return result


def save(path: Path, model: Mlp) -> None:
    """Write the file described at the top of this module."""
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        "features": np.array(model.features),
        "signed_log": model.signed_log,
        "center": model.center,
        "scale": model.scale,
        "activation": np.array(model.activation),
        "classes": np.array(model.classes),
    }
    for number, (weights, biases) in enumerate(model.layers, 1):
        arrays |= {f"w{number}": weights, f"b{number}": biases}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load(path: Path) -> Mlp:
    """Read it; BadInput (``service.model_file``) when it is not such a file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["format"]) != FORMAT:
                raise _bad(f"its format is not {FORMAT}", path)
            count = sum(1 for name in arrays.files if name[:1] == "w" and name[1:].isdigit())
            return Mlp(
                features=tuple(str(name) for name in arrays["features"]),
                signed_log=np.asarray(arrays["signed_log"], dtype=np.bool_),
                center=np.asarray(arrays["center"], dtype=np.float64),
                scale=np.asarray(arrays["scale"], dtype=np.float64),
                layers=tuple(
                    (
                        np.asarray(arrays[f"w{n}"], dtype=np.float64),
                        np.asarray(arrays[f"b{n}"], dtype=np.float64),
                    )
                    for n in range(1, count + 1)
                ),
                activation=str(arrays["activation"]),
                classes=tuple(str(name) for name in arrays["classes"]),
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _bad(f"it cannot be read ({type(error).__name__})", path) from error


class ModelRunner:
    """Answers calls with a model; no more than some tens of microseconds each, so it runs in the gateway."""

    def __init__(self, model: Mlp, name: str, description: str) -> None:
        self._model = model
        self.signature = Signature(
            name, description, input_schema(model.features), answer_schema(model.classes)
        )

    def answer(self, body: bytes) -> bytes:
        """A JSON body in, a JSON result out; InvalidInput."""
        row = np.array([read_row(body, self._model.features)])
        shares = [float(share) for share in self._model.probabilities(row)[0]]
        best = max(range(len(shares)), key=shares.__getitem__)
        classes = self._model.classes
        return orjson.dumps(
            {
                "label": classes[best],
                "probability": shares[-1] if len(shares) == 2 else shares[best],
                "probabilities": dict(zip(classes, shares, strict=True)),
            }
        )

    async def call(self, body: bytes) -> bytes:
        return self.answer(body)

    async def close(self) -> None:
        """Nothing to release."""


def _bad(reason: str, path: Path | None = None) -> BadInput:
    return BadInput(
        f"{path.name if path else 'The model file'} is not a model this gateway can serve: {reason}.",
        hint="Write it with koinon.services.models.perceptron.save.",
        code="service.model_file",
    )
