# SPDX-License-Identifier: Apache-2.0
"""A user's table is read right, or refused with a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from koinon.errors import BadInput
from koinon.tables import Table, check_trainable, from_columns, read_table

GOOD = "age,income,default\n30,1000.5,0\n40,-2,1\n50,3e3,0\n"


def write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_is_read(tmp_path):
    table = read_table(write(tmp_path, "\ufeff" + GOOD), "default")
    assert table.columns == ("age", "income")
    assert table.features.dtype == np.float32
    assert table.features.tolist() == [[30, 1000.5], [40, -2], [50, 3000]]
    assert table.labels.tolist() == [0, 1, 0]


def test_parquet_and_npz_give_the_same_table(tmp_path):
    columns: dict[str, Any] = {"age": [30, 40, 50], "income": [1000.5, -2.0, 3000.0], "default": [0, 1, 0]}
    parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    np.savez(tmp_path / "table.npz", **columns)
    expected = read_table(write(tmp_path, GOOD), "default")
    for name in ("table.parquet", "table.npz"):
        found = read_table(tmp_path / name, "default")
        assert found.columns == expected.columns
        assert np.array_equal(found.features, expected.features)
        assert np.array_equal(found.labels, expected.labels)


def test_a_saved_table_comes_back(tmp_path):
    table = read_table(write(tmp_path, GOOD), "default")
    table.save(tmp_path / "own.npz")
    again = read_table(tmp_path / "own.npz", "labels")
    assert again.columns == table.columns
    assert np.array_equal(again.features, table.features)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("age,income\n1,2\n", "learning.no_label", "no column 'default'"),
        ("age,default\n1,0\n,1\n", "learning.missing_number", "column 'age' has no usable number in row 2"),
        ("age,default\n1,0\nnan,1\n", "learning.missing_number", "row 2"),
        ("age,default\n1,0\ninf,1\n", "learning.missing_number", "row 2"),
        ("age,default\n1,0\n1e39,1\n", "learning.missing_number", "row 2"),
        (
            "age,job,default\n1,cook,0\n2,3,1\n",
            "learning.text_feature",
            "column 'job', row 1 is text ('cook')",
        ),
        ("age,default\n1,1\n2,1\n", "learning.one_class", "only the class 1"),
        ("age,default\n", "learning.no_rows", "0 rows"),
        ("", "learning.no_rows", "empty"),
        ("age,default\n1,0.5\n2,0.7\n3,0.1\n", "learning.label_not_classes", "not classes"),
        ("age,default\n1,-1\n2,5\n3,2\n", "learning.label_not_classes", "goes from -1 to 5"),
        ("age,default\n1,0\n2\n", "learning.unreadable", "row 2 has 1 values"),
        ("age,age,default\n1,1,0\n", "learning.unreadable", "names a column twice"),
        ("default\n1\n0\n", "learning.no_features", "no column beside"),
    ],
)
def test_a_bad_csv_is_refused(tmp_path, text, code, words):
    with pytest.raises(BadInput, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        read_table(write(tmp_path, text), "default")
    assert caught.value.code == code


def test_the_missing_label_error_lists_the_columns(tmp_path):
    with pytest.raises(BadInput) as caught:
        read_table(write(tmp_path, GOOD), "bankrupt")
    assert "age, income, default" in caught.value.hint


@pytest.mark.parametrize("name", ["broken.npz", "broken.parquet", "broken.csv"])
def test_an_unreadable_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04\xff\xfe\x00 this is no table \xff")
    with pytest.raises(BadInput) as caught:
        read_table(tmp_path / name, "default")
    assert caught.value.code in ("learning.unreadable", "learning.no_label")


def test_pickled_arrays_are_not_loaded(tmp_path):
    np.savez(tmp_path / "table.npz", age=np.array([object()], dtype=object), default=np.array([0]))
    with pytest.raises(BadInput, match="cannot be read"):
        read_table(tmp_path / "table.npz", "default")


def test_unknown_formats_and_missing_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="tables are read from"):
        read_table(tmp_path / "table.xlsx", "default")
    with pytest.raises(BadInput, match="does not exist"):
        read_table(tmp_path / "table.csv", "default")


def test_two_valued_labels_become_classes():
    for values in ([1, 2, 2], ["no", "yes", "yes"], [-1.0, 1.0, 1.0], [0.2, 0.9, 0.9], ["1", "2", "2"]):
        assert from_columns({"x": [1, 2, 3], "y": values}, "y", "t").labels.tolist() == [0, 1, 1]


def test_several_classes_keep_their_numbers():
    assert from_columns({"x": [1, 2, 3], "y": [0, 2, 7]}, "y", "t").labels.tolist() == [0, 2, 7]


def test_an_owner_without_rows_or_with_too_few_or_unknown_classes_is_refused():
    empty = Table(np.empty((0, 1), np.float32), np.empty(0, np.int64), ("x",))
    with pytest.raises(BadInput, match="0 rows"):
        check_trainable(empty, "Your table")
    small = Table(np.ones((2, 1), np.float32), np.array([0, 3]), ("x",))
    with pytest.raises(BadInput, match="fewer than the 20"):
        check_trainable(small, "Your table", minimum_rows=20)
    with pytest.raises(BadInput, match="has a class 3"):
        check_trainable(small, "Your table", classes=2)


def test_a_table_whose_shapes_disagree_cannot_be_made():
    with pytest.raises(BadInput):
        Table(np.ones((2, 2), np.float32), np.zeros(2, np.int64), ("x",))
    with pytest.raises(BadInput):
        Table(np.ones((2, 1), np.float32), np.zeros(3, np.int64), ("x",))
