# SPDX-License-Identifier: Apache-2.0
"""A dataset's document may be anyone's: what pages and programs cannot take for one is none."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from koinon.data.document import DatasetDocument, terms_of
from koinon.data.policy_file import ColumnBounds, read_policy
from koinon.data.statistics import statistics
from koinon.errors import BadInput
from tests.data.market_support import POLICY, table


def document():
    shown = statistics(table(), {"age": ColumnBounds(18, 98, 4)}, 1.0, np.random.default_rng(1))
    sample = shown.synthetic(2, np.random.default_rng(2))
    terms = terms_of(read_policy(POLICY), 6)
    return DatasetDocument(("income", "age"), shown.to_json(), sample, "00" * 32, terms)


def test_a_document_is_read_as_it_was_written():
    assert DatasetDocument.from_bytes(document().to_bytes()) == document()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("columns",), []),
        (("columns",), 7),
        (("sample",), [7]),
        (("sample",), [{"age": "<b>"}]),
        (("terms", "compute"), []),
        (("terms", "compute"), {}),
        (("terms", "compute", "price_per_second"), "1"),
        (("terms", "compute", "max_blocks"), None),
        (("terms", "compute", "slot_s"), "soon"),
        (("terms", "compute", "algorithms"), 3),
        (("statistics", "epsilon"), 0),
        (("statistics", "columns"), []),
        (("statistics", "columns", "age", "edges"), [1.0]),
        (("statistics", "columns", "age", "edges"), [1, 1, 1, 1, 1]),
        (("statistics", "columns", "age"), {"mean": 1.0, "edges": [1.0], "counts": []}),
    ],
)
def test_what_a_page_could_not_show_is_no_document(path, value):
    told = orjson.loads(document().to_bytes())
    within = told
    for name in path[:-1]:
        within = within[name]
    within[path[-1]] = value
    with pytest.raises(BadInput):
        DatasetDocument.from_bytes(orjson.dumps(told))
