# SPDX-License-Identifier: Apache-2.0
"""Text as numbers: hashed words and pairs of words, the same on every machine without a common vocabulary.

The hashing trick (Weinberger, Dasgupta, Langford, Smola and Attenberg 2009): a term's hash picks a column and
a sign, so that owners need not tell each other which words they have. Exactly:

1. Lower-case (`str.lower`). A word is a run of letters, digits and underscores; each Chinese, Japanese or
   Korean ideograph or syllable is a word of its own, as those scripts put no spaces between words.
2. Terms are the words, and pairs of neighbours joined by a space.
3. A term's BLAKE2b digest of 8 bytes, little endian: the lowest bits are the column, the highest is the sign.
4. A term found n times adds sign·(1 + ln n) to its column; each row is then divided by its Euclidean length.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from math import fsum, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

DEFAULT_COLUMNS: Final = 1024
MAXIMUM_COLUMNS: Final = 2**16
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")


def words(text: str) -> list[str]:
    """The words of a text in order, lower-cased."""
    return _WORD.findall(text.lower())


def terms(text: str) -> Counter[str]:
    """How often each word and each pair of neighbouring words occurs."""
    found = words(text)
    counts = Counter(found)
    counts.update(f"{first} {second}" for first, second in pairwise(found))
    return counts


def hash_columns(columns: int) -> tuple[str, ...]:
    """Names of so many columns: ``hash_0``, ``hash_1``, …"""
    return tuple(f"hash_{index}" for index in range(columns))


def hash_texts(texts: Iterable[str], columns: int = DEFAULT_COLUMNS) -> NDArray[np.float32]:
    """Features of texts.

    Parameters
    ----------
    columns : int
        A power of two up to 65,536; fewer columns mean more terms that share one.

    Returns
    -------
    float32 array, shape (texts, columns)
        Rows of length 1; zeros for a text without a word.

    Raises
    ------
    BadInput
        The number of columns is no such power.
    """
    if not 2 <= columns <= MAXIMUM_COLUMNS or columns & (columns - 1):
        raise BadInput(
            f"Text cannot be hashed into {columns} columns.",
            hint=f"Use a power of two up to {MAXIMUM_COLUMNS:,}, such as {DEFAULT_COLUMNS:,}.",
            code="learning.text_columns",
        )
    known: dict[str, int] = {}
    rows = []
    for text in texts:
        row = [0.0] * columns
        for term, count in terms(text).items():
            value = known.get(term)
            if value is None:
                digest = hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                value = known[term] = int.from_bytes(digest, "little")
            row[value & (columns - 1)] += (1.0 if value >> 63 else -1.0) * (1.0 + log(count))
        length = fsum(value * value for value in row) ** 0.5 or 1.0
        rows.append(np.array(row, dtype=np.float64) / length)
    return np.array(rows, dtype=np.float32).reshape(len(rows), columns)
