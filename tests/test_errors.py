# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from koinon import errors
from tools.write_error_list import FOLDER, pages, raised, tree

KINDS = [kind for kind, _depth in tree(errors.KoinonError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_has_a_code_of_its_own(kind):
    assert "code" in vars(kind)
    assert [other for other in KINDS if other.code == kind.code] == [kind]


def test_every_first_level_class_has_an_exit_status_of_its_own():
    statuses = [
        kind.exit_status for kind in errors.KoinonError.__subclasses__() if kind.__module__ == errors.__name__
    ]
    assert sorted(statuses) == list(range(2, 2 + len(statuses)))


def test_the_tree_at_the_top_of_the_file_is_the_tree():
    assert errors.__doc__ is not None
    drawn = [
        word
        for word in errors.__doc__.replace("─", " ").split()
        if word.endswith(("Error", "Input", "Fault"))
    ]
    assert set(drawn) <= {kind.__name__ for kind in KINDS}
    assert all(kind.__name__ in errors.__doc__ for kind in KINDS)


def test_every_code_names_its_area_and_its_reason():
    found = {each.code for each in raised()}
    assert "store.corrupt" in found
    narrow = found - {kind.code for kind in KINDS}
    assert [code for code in narrow if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", code)] == []


def test_every_code_has_a_page_with_its_sentence_its_hint_and_where_it_is_raised():
    made = pages()
    assert {f"{FOLDER}/{each.code}.md" for each in raised()} <= set(made)
    page = made[f"{FOLDER}/store.corrupt.md"]
    assert "urn:koinon:error:store.corrupt" in page
    assert "was changed on disk" in page
    assert "`src/koinon/store/blocks.py`" in page
    assert "| `IntegrityError` | 7 | 400 |" in page


def test_a_problem_carries_the_sentence_the_hint_and_the_code():
    problem = errors.BadInput("No such column.", hint="Look again.", code="learning.label").problem()
    assert problem == {
        "type": "urn:koinon:error:learning.label",
        "title": "No such column.",
        "status": 422,
        "detail": "Look again.",
        "code": "learning.label",
    }


def test_a_failed_transaction_keeps_the_contracts_words():
    failed = errors.TransactionFailed(
        "The claim reverted.", reason="Till: nothing due", transaction_hash="0x01"
    )
    assert (failed.reason, failed.transaction_hash, failed.exit_status) == ("Till: nothing due", "0x01", 4)
