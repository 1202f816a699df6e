# SPDX-License-Identifier: Apache-2.0
"""An inverted index with BM25 scores, in memory, that grows a text at a time.

Score of a text for a question: the sum over its terms of ``idf × tf × (k1 + 1) / (tf + k1 × (1 − b + b ×
length / average))`` with ``idf = ln(1 + (N − n + 0.5) / (n + 0.5))``. A word of a name counts as several, as
in BM25F. A last word that nobody uses counts as the beginning of one.

Source: S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.services.finding.words import asked_for, words_of

K1: Final = 1.2
B: Final = 0.75
NAME_WEIGHT: Final = 3
MOST_BEGINNINGS: Final = 16
"""Words that the beginning of one stands for at most."""

Scores = NDArray[np.float32]


class TextIndex:
    """Texts by row: 0, 1, 2 … in the order they were added. Not safe to share between threads."""

    def __init__(self) -> None:
        self._rows: dict[str, array[int]] = {}
        self._counts: dict[str, array[int]] = {}
        self._lengths = array("f")
        self._total = 0.0
        self._vocabulary: list[str] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, name: str, texts: Sequence[str] = ()) -> int:
        """Keep a text under its name's and its other words; the row it has from now on."""
        row = len(self._lengths)
        counted: Counter[str] = Counter()
        for word in words_of(name):
            counted[word] += NAME_WEIGHT
        for text in texts:
            counted.update(words_of(text))
        for word, count in counted.items():
            rows = self._rows.get(word)
            if rows is None:
                rows = self._rows[word] = array("i")
                self._counts[word] = array("i")
            rows.append(row)
            self._counts[word].append(count)
        length = float(counted.total())
        self._lengths.append(length)
        self._total += length
        return row

    def scores(self, question: str) -> Scores:
        """Every row's score, float32; 0 where no word of the question stands."""
        found = np.zeros(len(self), dtype=np.float32)
        if not len(self):
            return found
        lengths = np.frombuffer(self._lengths, dtype=np.float32)
        longer = K1 * (1 - B + B * lengths / max(self._total / len(self), 1.0))
        words = asked_for(question)
        for place, word in enumerate(words):
            last = place == len(words) - 1
            for known in [word] if word in self._rows else self._beginning_with(word) if last else []:
                rows = np.frombuffer(self._rows[known], dtype=np.int32)
                counts = np.frombuffer(self._counts[known], dtype=np.int32)
                rarity = math.log(1 + (len(self) - len(rows) + 0.5) / (len(rows) + 0.5))
                found[rows] += rarity * counts * (K1 + 1) / (counts + longer[rows])
        return found

    def _beginning_with(self, word: str) -> list[str]:
        if len(self._vocabulary) != len(self._rows):
            self._vocabulary = sorted(self._rows)
        place = bisect_left(self._vocabulary, word)
        found = self._vocabulary[place : place + MOST_BEGINNINGS]
        return [known for known in found if known.startswith(word)]
