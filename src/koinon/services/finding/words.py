# SPDX-License-Identifier: Apache-2.0
"""Text as a search sees it: Latin words folded, and of Chinese, Japanese and Korean each sign and each pair.

Chinese is written without spaces. Pairs of signs find words without a dictionary that would be wrong about
names (C. D. Manning et al., Introduction to Information Retrieval, 2.2.1); single signs are kept so that a
search for one of them finds something.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST_WORD: Final = 32
MOST_WORDS: Final = 2_000
"""Of one text; what is beyond is not searched."""

_HAN: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_WORD: Final = re.compile(r"[^\W_]+")
_PLURAL: Final = 4
"""From this length on a final s is taken off, so that loans finds loan."""


def words_of(text: str) -> list[str]:
    """The terms under which a text is kept, in order and with repetitions."""
    return [
        term for word in _split(text) for term in (_signs_and_pairs(word) if _HAN.match(word) else (word,))
    ]


def asked_for(text: str) -> list[str]:
    """The terms that a question asks for, each once: of Chinese the pairs, or the sign where it is one."""
    found: dict[str, None] = {}
    for word in _split(text):
        if _HAN.match(word) and len(word) > 1:
            found |= dict.fromkeys(word[place : place + 2] for place in range(len(word) - 1))
        else:
            found[word] = None
    return list(found)


def _split(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    parts = (_HAN.sub(lambda run: f" {run.group()} ", word).split() for word in _WORD.findall(folded))
    return [_plain(part) for parted in parts for part in parted][:MOST_WORDS]


def _plain(word: str) -> str:
    if _HAN.match(word):
        return word
    cut = word[:LONGEST_WORD]
    return cut[:-1] if len(cut) >= _PLURAL and cut.endswith("s") and not cut.endswith("ss") else cut


def _signs_and_pairs(run: str) -> list[str]:
    return [*run, *(run[place : place + 2] for place in range(len(run) - 1))]
