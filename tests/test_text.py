# SPDX-License-Identifier: Apache-2.0
"""Hashed text is the same everywhere, and says nothing of how long a text is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.tables import read_table
from koinon.text import hash_columns, hash_texts, terms, words


def test_words_are_runs_of_letters_and_single_ideographs():
    assert words("Dear  SIR, win $1_000!") == ["dear", "sir", "win", "1_000"]
    assert words("免費 Gift卡") == ["免", "費", "gift", "卡"]
    assert terms("a b a b") == {"a": 2, "b": 2, "a b": 2, "b a": 1}


def test_golden_vector():
    """Any change here would make models of one version misread texts of another."""
    found = hash_texts(["free money free"], 8)[0]
    assert [round(float(value), 5) for value in found] == GOLDEN


GOLDEN = [0.0, 0.32874, 0.0, 0.0, 0.0, 0.88536, 0.32874, 0.0]


def test_rows_have_length_one_and_empty_texts_are_zero():
    found = hash_texts(["", "!!", "one two three", "one " * 50], 64)
    assert found.shape == (4, 64)
    assert found.dtype == np.float32
    assert not found[:2].any()
    assert np.allclose(np.linalg.norm(found[2:], axis=1), 1)
    assert hash_texts([], 64).shape == (0, 64)


@given(st.lists(st.text(), max_size=5))
def test_any_text_is_hashed_and_its_neighbours_do_not_matter(texts):
    found = hash_texts(texts, 16)
    assert np.isfinite(found).all()
    for text, row in zip(texts, found, strict=True):
        assert np.array_equal(hash_texts([text], 16)[0], row)


@pytest.mark.parametrize("columns", [0, 1, 3, 1000, 2**17, -8])
def test_columns_must_be_a_power_of_two(columns):
    with pytest.raises(BadInput, match="columns"):
        hash_texts(["x"], columns)


def test_a_table_with_a_column_of_text_is_read(tmp_path):
    path = tmp_path / "mails.csv"
    path.write_text('length,body,kind\n3,"win, now",spam\n5,lunch today?,ham\n1,,ham\n')
    table = read_table(path, "kind", text="body", text_columns=16)
    assert table.columns == ("length", *hash_columns(16))
    assert table.labels.tolist() == [1, 0, 0]
    assert np.array_equal(table.features[:, 1:], hash_texts(["win, now", "lunch today?", ""], 16))
    with pytest.raises(BadInput, match="is text"):
        read_table(path, "kind")
    with pytest.raises(BadInput, match="no column 'text'"):
        read_table(path, "kind", text="text")


def test_parquet_text_may_be_missing_and_numbers_are_no_text(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "mails.parquet"
    parquet.write_table(pyarrow.table({"body": ["a", None], "hash_3": [1, 2], "y": [0, 1]}), path)
    with pytest.raises(BadInput, match="already has a column 'hash_3'"):
        read_table(path, "y", text="body", text_columns=8)
    assert not read_table(path, "y", text="body", text_columns=2).features[1, 1:].any()
    with pytest.raises(BadInput, match="no text in row 1"):
        read_table(path, "y", text="hash_3", text_columns=8)
