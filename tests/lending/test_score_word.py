# SPDX-License-Identifier: Apache-2.0
"""Scores as words."""

from __future__ import annotations

import pytest

from koinon.errors import BadInput
from koinon.lending.score_word import SCHEMA_TEXT, ScoreWord
from koinon.works.attestations import MAXIMUM_TEXT_BYTES


@pytest.mark.parametrize("points", [0, 612, -1, 2**31 - 1, -(2**31)])
def test_a_score_comes_back_from_its_word(points):
    score = ScoreWord(3, 1_234, points)
    assert ScoreWord.of(score.word()) == score
    assert score.word() & 255 == 4
    assert (score.word() >> 8) & 0xFFFF == 1_234


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScoreWord(255, 0),
        lambda: ScoreWord(0, 10_001),
        lambda: ScoreWord(0, 0, 2**31),
        lambda: ScoreWord.of(2**56),
        lambda: ScoreWord.of(0),
        lambda: ScoreWord.of(1 | 0xFFFF << 8),
    ],
)
def test_what_is_no_score_is_refused(make):
    with pytest.raises(BadInput):
        make()


def test_the_schemas_text_fits_the_contract():
    assert len(SCHEMA_TEXT.encode()) <= MAXIMUM_TEXT_BYTES
