# SPDX-License-Identifier: Apache-2.0
"""A program tried at home tells everything that the node would not."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.compute.sandbox import BubblewrapSandbox
from koinon.data.document import DatasetDocument
from koinon.data.jobs import Bundle
from koinon.data.policy_file import ColumnBounds
from koinon.data.rehearsal import made_up, rehearse
from koinon.data.statistics import statistics
from koinon.errors import BadInput, SetupError
from tests.data.market_support import MEAN_AGE, MEAN_SCHEMA, VERDICT_SCHEMA, table, verdict

BOUNDS = {"age": ColumnBounds(18, 98, 8), "label": ColumnBounds(0, 1, 2)}


@pytest.fixture(scope="module")
def sandbox():
    made = BubblewrapSandbox()
    try:
        made.check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    return made


@pytest.fixture
def document():
    shown = statistics(table(), BOUNDS, 1.0, np.random.default_rng(1)).to_json()
    return DatasetDocument(("income", "age"), shown, [], "00" * 32, {})


def test_made_up_rows_have_the_datasets_columns_and_its_declared_ranges(document):
    rows = made_up(document, 100, np.random.default_rng(1))
    assert rows.columns == ("income", "age")
    assert set(rows.features[:, 0]) == {0.0}
    assert ((rows.features[:, 1] >= 18) & (rows.features[:, 1] <= 98)).all()
    assert set(rows.labels) <= {0, 1}
    bare = DatasetDocument(("income",), None, [], "00" * 32, {})
    assert len(made_up(bare, 10, np.random.default_rng(1))) == 10


def test_a_good_program_returns_what_it_declared(document, sandbox):
    found = rehearse(
        document, Bundle({"main.py": MEAN_AGE.encode()}), MEAN_SCHEMA, seconds=10, sandbox=sandbox
    )
    assert found.fault == ""
    assert 18 <= found.results["mean_age"][0] <= 98


@pytest.mark.parametrize(
    ("program", "schema", "fault", "log"),
    [
        (verdict("raise ValueError('no such column')"), VERDICT_SCHEMA, "failed", "no such column"),
        (verdict("time.sleep(9)"), VERDICT_SCHEMA, "timeout", ""),
        (verdict("").replace('"yes"', '"perhaps"'), VERDICT_SCHEMA, "none of its options", ""),
        (verdict("print('so far')"), MEAN_SCHEMA, "other names", "so far"),
    ],
)
def test_what_goes_wrong_is_told(document, sandbox, program, schema, fault, log):
    bundle = Bundle({"main.py": program.encode()})
    seconds = 1 if "time.sleep" in program else 20
    found = rehearse(document, bundle, schema, seconds=seconds, sandbox=sandbox)
    assert fault in found.fault
    assert log in found.log


def test_a_declaration_that_is_none_is_refused(document, sandbox):
    with pytest.raises(BadInput):
        rehearse(document, Bundle({"main.py": b""}), "[", seconds=1, sandbox=sandbox)
