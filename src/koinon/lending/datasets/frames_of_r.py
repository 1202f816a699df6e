# SPDX-License-Identifier: Apache-2.0
"""Data frames that a package keeps as pickles, opened so that nothing but numbers and names can come out.

A pickle is a program. This reader lets it name only what a plain frame is made of: eleven classes and
functions of pandas and NumPy, and ``slice``. Anything else ends the reading.
"""

from __future__ import annotations

import importlib
import io
import lzma
import pickle
from typing import Any, Final

from koinon.errors import IntegrityError
from koinon.extras import required

_ALLOWED: Final = {
    ("pandas.core.frame", "DataFrame"): "pandas.core.frame",
    ("pandas.core.internals.managers", "BlockManager"): "pandas.core.internals.managers",
    ("pandas._libs.internals", "_unpickle_block"): "pandas._libs.internals",
    ("pandas.core.indexes.base", "_new_Index"): "pandas.core.indexes.base",
    ("pandas.core.indexes.base", "Index"): "pandas.core.indexes.base",
    ("pandas.core.indexes.range", "RangeIndex"): "pandas.core.indexes.range",
    ("numpy", "dtype"): "numpy",
    ("numpy", "ndarray"): "numpy",
    ("numpy.core.numeric", "_frombuffer"): "numpy._core.numeric",
    ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("builtins", "slice"): "builtins",
}
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a frame when it is unpacked."""


class _Reader(pickle.Unpickler):
    """Knows what a plain frame is made of and nothing else."""

    def find_class(self, module: str, name: str, /) -> Any:
        place = _ALLOWED.get((module, name))
        if place is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return getattr(importlib.import_module(place), name)


def read_pickled_frame(content: bytes) -> dict[str, list[Any]]:
    """The columns of a data frame in an xz-compressed pickle.

    Raises
    ------
    IntegrityError
        It is damaged, too large, or names anything that no plain frame is made of.
    SetupError
        pandas is not installed.
    """
    required("pandas", extra="lending")
    try:
        unpacked = lzma.LZMADecompressor().decompress(content, MOST_BYTES)
        frame = _Reader(io.BytesIO(unpacked)).load()
        return {str(name): frame[name].tolist() for name in frame.columns}
    except (
        lzma.LZMAError,
        pickle.UnpicklingError,
        AttributeError,
        EOFError,
        ImportError,
        IndexError,
        TypeError,
        ValueError,
    ) as error:
        raise IntegrityError(
            f"The data frame cannot be read: {error}.",
            hint="Only plain tables are read from pickles; get the package again.",
            code="lending.dataset_pickle",
        ) from error
