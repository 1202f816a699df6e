# SPDX-License-Identifier: Apache-2.0
"""Fixed-point models as files, and what names the arithmetic they are computed by.

The file is a NumPy ``.npz`` without pickles: ``format`` is the text ``koinon.fixed/1``, ``kind`` is
``network`` or ``trees``, and the other arrays are the fields of `Inputs`, `Outputs`, `FixedNetwork`
(``w1``, ``b1``, …) or `FixedTrees` under their names.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from koinon.compute.fixed_point.inputs import Inputs, malformed
from koinon.compute.fixed_point.network import FixedNetwork
from koinon.compute.fixed_point.outputs import Outputs
from koinon.compute.fixed_point.trees import FixedTrees

FORMAT: Final = "koinon.fixed/1"
RUNTIME: Final = hashlib.sha256(FORMAT.encode()).digest()
"""The runtime's digest in a service's commitments: whoever computes by this format gets the same bits."""
LARGEST_FILE: Final = 1 << 26
_TABLE: Final = ("feature", "threshold", "left", "right", "output", "value", "roots", "base")

FixedModel = FixedNetwork | FixedTrees


def to_bytes(model: FixedModel) -> bytes:
    """The file's content; the same model gives the same bytes."""
    inputs, outputs = model.inputs, model.outputs
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        "features": np.array(inputs.features),
        "signed_log": inputs.signed_log,
        "center": inputs.center,
        "scale": inputs.scale,
        "link": np.array(outputs.link),
        "classes": np.array(outputs.classes, dtype=np.str_),
    }
    if isinstance(model, FixedNetwork):
        arrays |= {"kind": np.array("network"), "activation": np.array(model.activation)}
        for number, (weights, biases) in enumerate(model.layers, 1):
            arrays |= {f"w{number}": weights, f"b{number}": biases}
    else:
        arrays["kind"] = np.array("trees")
        arrays |= {name: getattr(model, name) for name in _TABLE}
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> FixedModel:
    """Read what `to_bytes` wrote; BadInput (``compute.fixed_point_model``) when it is something else."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > LARGEST_FILE:
                raise malformed(f"a file unpacks to at most {LARGEST_FILE:,} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if str(arrays["format"]) != FORMAT:
                raise malformed(f"its format is not {FORMAT}")
            found = {name: arrays[name] for name in arrays.files}
        inputs = Inputs(
            tuple(str(name) for name in found["features"]),
            _array(found["signed_log"], np.bool_),
            _array(found["center"], np.float64),
            _array(found["scale"], np.float64),
        )
        outputs = Outputs(str(found["link"]), tuple(str(name) for name in found["classes"]))
        if str(found["kind"]) == "trees":
            kinds = dict.fromkeys(_TABLE, np.int64) | {"threshold": np.float32}
            columns = {name: _array(found[name], kind) for name, kind in kinds.items()}
            return FixedTrees(inputs, **columns, outputs=outputs)
        count = sum(1 for name in found if name[:1] == "w" and name[1:].isdigit())
        layers = tuple(
            (_array(found[f"w{n}"], np.int64), _array(found[f"b{n}"], np.int64)) for n in range(1, count + 1)
        )
        return FixedNetwork(inputs, layers, str(found["activation"]), outputs)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise malformed(f"it cannot be read ({type(error).__name__})") from error


def save(path: Path, model: FixedModel) -> None:
    """Write the file."""
    path.write_bytes(to_bytes(model))


def load(path: Path) -> FixedModel:
    """Read the file; BadInput when it is not there or no such model."""
    try:
        return from_bytes(path.read_bytes())
    except OSError as error:
        raise malformed(f"{path.name} cannot be read") from error


def _array(found: Any, kind: Any) -> Any:
    """The array, whose type must be the one that was written: nothing is converted on the way in."""
    if found.dtype != np.dtype(kind):
        raise malformed(f"an array has the type {found.dtype}, not {np.dtype(kind)}")
    return found
