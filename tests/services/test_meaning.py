# SPDX-License-Identifier: Apache-2.0
"""Searching by meaning: with the weights where they are installed, and a sentence where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.errors import SetupError
from koinon.services.finding import meaning
from koinon.services.finding.meaning import DIMENSIONS, Meaning, Vectors

RAIN = "雨量預報：未來六小時各地的降雨量。"
LOAN = "How likely a customer is to pay back a loan."


def test_without_the_weights_it_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(meaning, "available", lambda: False)
    with pytest.raises(SetupError, match="weights that are not installed"):
        Meaning(tmp_path)


@pytest.mark.skipif(not meaning.available(), reason="the extra `meaning` is not installed")
def test_a_question_is_closest_to_what_answers_it_in_either_language(tmp_path):
    first, vectors = Meaning(tmp_path), Vectors()
    for row, text in enumerate((RAIN, LOAN)):
        vectors.add(row, first.text(text))
        assert np.linalg.norm(first.text(text)) == pytest.approx(1, abs=1e-3)
    for question, nearest in (("will it rain tomorrow", 0), ("借錢會不會還", 1), ("credit risk", 1)):
        rows, close = vectors.closeness(first.question(question))
        assert rows[int(np.argmax(close))] == nearest
    first.close()
    again = Meaning(tmp_path)
    assert vectors.closeness(again.text(RAIN))[1][0] == pytest.approx(1, abs=1e-3)
    again.close()


def test_vectors_grow_and_keep_their_rows():
    vectors, dice = Vectors(), np.random.default_rng(1)
    kept = dice.standard_normal((200, DIMENSIONS)).astype(np.float32)
    for row, vector in enumerate(kept):
        vectors.add(3 * row, vector)
    rows, close = vectors.closeness(kept[7])
    assert rows[int(np.argmax(close))] == 21
    assert 21 in vectors
    assert 22 not in vectors
