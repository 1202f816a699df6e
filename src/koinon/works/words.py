# SPDX-License-Identifier: Apache-2.0
"""What a Work is found by: the words of its texts, and of Chinese every part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MOST_WORDS: Final = 64
LONGEST_WORD: Final = 24
_HAN: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_WORD: Final = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text, folded: Latin ones whole, Han text in runs."""
    words: dict[str, None] = {}
    for word in _WORD.findall(text.casefold()):
        for part in _HAN.sub(lambda run: f" {run.group()} ", word).split():
            words[part[:LONGEST_WORD]] = None
    return list(words)[:MOST_WORDS]


def index_words(texts: Iterable[str]) -> list[str]:
    """What texts are found by, at most 64: every word, and of Han text every ending, so that any part of it
    is the beginning of one."""
    found: dict[str, None] = {}
    for text in texts:
        for word in words_of(text):
            for start in range(len(word)) if _HAN.match(word) else range(1):
                found[word[start:]] = None
                if len(found) == MOST_WORDS:
                    return list(found)
    return list(found)
