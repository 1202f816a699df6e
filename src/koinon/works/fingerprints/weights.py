# SPDX-License-Identifier: Apache-2.0
"""A digest of a model's weights that does not depend on how they are kept.

Each tensor of numbers counts as the multiset of its values, and a model as the multiset of its tensors:
names, order, transposed matrices and renumbered neurons change nothing. Values are taken at three precisions,
so that a model kept as float64, float32, float16 or bfloat16 shares a digest with the others:

    float32     of weights as float64 or float32
    float16     also of the same weights rounded to float16
    bfloat16    also rounded to bfloat16

Tensors of fewer than 16 values, or of one value throughout, are left out where others remain: converters add
and drop such constants. What is trained further, quantised to integers or scaled within has other digests;
see `behaviour` for those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from koinon.errors import BadInput

PRECISIONS: Final = ("float32", "float16", "bfloat16")
FEWEST: Final = 16
_PREFIX: Final = b"koinon.weights/1"


def weights_digests(tensors: Iterable[npt.NDArray[Any]]) -> dict[str, bytes]:
    """Digest of 32 bytes by precision.

    Parameters
    ----------
    tensors : iterable of arrays
        All of a model's, any shapes; arrays that hold no floating-point numbers are passed over.

    Raises
    ------
    BadInput
        There are no weights, or one is not a finite number (``works.weights``).
    """
    found = [np.asarray(each).ravel() for each in tensors if np.asarray(each).dtype.kind == "f"]
    found = [each.astype(np.float64) for each in found if each.size]
    telling = [each for each in found if each.size >= FEWEST and np.ptp(each) > 0]
    chosen = telling or found
    if not chosen or not all(np.isfinite(each).all() for each in chosen):
        raise BadInput(
            "The model has no weights, or one that is not a finite number.",
            hint="Fingerprint the file that is served.",
            code="works.weights",
        )
    return {precision: _digest(chosen, precision) for precision in PRECISIONS}


def _digest(tensors: list[npt.NDArray[np.float64]], precision: str) -> bytes:
    parts = sorted(_tensor_digest(each, precision) for each in tensors)
    return hashlib.sha256(_PREFIX + precision.encode() + b"".join(parts)).digest()


def _tensor_digest(values: npt.NDArray[np.float64], precision: str) -> bytes:
    rounded = np.sort(_rounded(values, precision)) + np.float32(0)  # no minus zero
    return hashlib.sha256(values.size.to_bytes(8, "big") + rounded.astype("<f4").tobytes()).digest()


def _rounded(values: npt.NDArray[np.float64], precision: str) -> npt.NDArray[np.float32]:
    """The values at a precision, as float32, which holds all three. Out of range becomes infinite."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
        if precision == "float16":
            return single.astype(np.float16).astype(np.float32)
    if precision == "bfloat16":
        bits = single.view(np.uint32)
        kept = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
        return np.where(np.isfinite(single), kept.view(np.float32), single)
    return single
