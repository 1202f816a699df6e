# SPDX-License-Identifier: Apache-2.0
"""Whether an output is shorter to say when the data is known than when only other rows like it are.

The normalised compression distance (Li et al., *The similarity metric*, 2004; Cilibrasi and Vitányi, 2005)
by zlib with a preset dictionary: C(output | piece of the data), beside the same with a control. The control
is held-out rows where there are some, else the data with each column shuffled by itself: the same values, no
rows. zlib sees 32 KiB at once, so large data is looked at in pieces, at most 32 of them, and a large output
at four places, evenly spread.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.tables import Features, Table

_PIECE: Final = 24 * 1024
_PIECES: Final = 32
_PART: Final = 64 * 1024
_PARTS: Final = 4
_LEAST_GAIN: Final = 48
_SHARE: Final = 0.05


class Control:
    """The data's bytes and the control's, in the forms that outputs take."""

    def __init__(self, table: Table, held_out: Table | None, generator: np.random.Generator) -> None:
        shuffled = generator.permuted(table.features, axis=0)
        other = held_out.features if held_out is not None and len(held_out) else shuffled
        self._pairs = [
            (_spread(form(table.features), _PIECE, _PIECES), _spread(form(other), _PIECE, _PIECES))
            for form in (_as_floats, _as_text)
        ]

    def gain(self, output: bytes) -> float:
        """Share of the output's compressed length that the data saves and the control does not, 0 to 1."""
        best = 0.0
        for part in _spread(output, _PART, _PARTS):
            alone = _length(part, b"")
            for data, control in self._pairs:
                saved = alone - min(_length(part, piece) for piece in data)
                anyway = alone - min(_length(part, piece) for piece in control)
                if saved - anyway > _LEAST_GAIN:
                    best = max(best, (saved - anyway) / alone)
        return best

    def tells(self, output: bytes) -> bool:
        """Whether the gain is more than accidents make."""
        return self.gain(output) > _SHARE


def _spread(content: bytes, length: int, most: int) -> list[bytes]:
    """At most so many pieces of this length, evenly spread."""
    starts = range(0, max(len(content), 1), length)
    return [content[at : at + length] for at in starts[:: -(-len(starts) // most)]]


def _length(content: bytes, known: bytes) -> int:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, known)
    return len(packer.compress(content)) + len(packer.flush())


def _as_floats(features: Features) -> bytes:
    return np.ascontiguousarray(features, dtype="<f4").tobytes()


def _as_text(features: Features) -> bytes:
    rows: NDArray[np.float32] = features[: max(1, _PIECE * _PIECES // (8 * features.shape[1]))]
    return "\n".join(", ".join(f"{value:.7g}" for value in row) for row in rows.tolist()).encode()
