# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.scoring.frame import Categorical, Frame, Numeric
from koinon.lending.scoring.frame_reading import column_of, frame_of, from_table, read_frame, to_table
from koinon.tables import Table


def write(folder, text):
    path = folder / "loans.csv"
    path.write_text(text)
    return path


def test_a_table_is_read_with_numbers_names_gaps_times_and_groups(tmp_path):
    text = "age;job;sex;when;bad\n30;fixed;f;2024-01-31;0\n;?;m;2024-03-01;1\n50;part;m;2024-02-01;0\n"
    frame = read_frame(write(tmp_path, text), "bad", time="when", groups=("sex",))
    assert frame.names == ("age", "job")
    assert isinstance(frame.columns["age"], Numeric)
    assert np.isnan(frame.columns["age"].values[1])
    assert isinstance(frame.columns["job"], Categorical)
    assert frame.columns["job"].texts.tolist() == ["fixed", "", "part"]
    assert frame.groups["sex"].tolist() == ["f", "m", "m"]
    assert frame.time is not None
    assert np.argsort(frame.time).tolist() == [0, 2, 1]
    assert frame.base_rate == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, "has no rows"),
        ("a,a\n1,2\n", {}, "twice"),
        ("a,bad\n1\n", {}, "cells"),
        ("a,b\n1,2\n", {}, "no column 'bad'"),
        ("a,bad\n1,yes\n2,no\n", {}, "not two classes"),
        ("a,bad\n1,\n2,1\n", {}, "missing in 1 rows"),
        ("bad\n1\n0\n", {}, "no column to score by"),
        ("a,t,bad\n1,,1\n2,3,0\n", {"time": "t"}, "time 't' is missing"),
        ("a,t,bad\n1,soon,1\n2,later,0\n", {"time": "t"}, "neither numbers nor dates"),
    ],
)
def test_a_broken_table_is_refused_with_what_is_wrong(tmp_path, text, options, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_frame(write(tmp_path, text), "bad", **options)


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        read_frame(tmp_path / "none.csv", "bad")


def test_the_bad_one_of_two_names_is_told():
    frame = frame_of({"a": [1, 2, 3], "status": ["good", "bad", "good"]}, "status", bad="bad")
    assert frame.labels.tolist() == [0, 1, 0]


def test_lengths_that_do_not_fit_and_labels_that_are_no_classes_are_refused():
    with pytest.raises(BadInput, match="has 2 rows"):
        Frame({"a": Numeric(np.zeros(2))}, np.zeros(3, dtype=np.int64))
    with pytest.raises(BadInput, match="not 0 or 1"):
        Frame({"a": Numeric(np.zeros(2))}, np.array([0, 2]))


def test_the_digest_names_the_content_and_not_the_file():
    one = frame_of({"a": ["1.50", "2"], "b": ["x", ""], "bad": ["0", "1"]}, "bad")
    two = frame_of({"a": [1.5, 2.0], "b": ["x", None], "bad": [0, 1]}, "bad")
    assert one.digest == two.digest
    assert one.digest != frame_of({"a": [1.5, 3.0], "b": ["x", None], "bad": [0, 1]}, "bad").digest


def test_a_learning_table_comes_and_goes_but_not_with_gaps():
    table = Table(np.array([[1.0, 2.0]], dtype=np.float32), np.array([1]), ("a", "b"))
    assert to_table(from_table(table)).digest == table.digest
    with pytest.raises(BadInput, match="not a number in every row"):
        to_table(Frame({"a": column_of([1.0, None])}, np.array([0, 1])))
