# SPDX-License-Identifier: Apache-2.0
"""Junior capital that a marked loan has lost covers nothing any more."""

from __future__ import annotations

from tests.bench_support import account, refused
from tests.lending.contracts.support import COIN, DAY, JUNIOR, UNIT, balanced
from tests.lending.contracts.test_audit import lend, sell

BORROWER, OTHER, JUNIOR_LENDER = account("borrower"), account("other borrower"), account("junior")
NOTICE_S = 5 * DAY


def test_what_junior_lenders_are_seen_to_have_lost_covers_nothing(bank, thin):
    """A junior lender left with capital that a marked loan had lost, and the next loss was the seniors'."""
    lend(bank, thin, BORROWER, 0, 60_000, 40)
    lend(bank, thin, OTHER, 0, 100_000, 200)
    thin.announce_exit(thin.shares_of(JUNIOR, JUNIOR_LENDER), sender=JUNIOR_LENDER)
    bank.wait(NOTICE_S)
    bank.set_price(1_250)
    thin.mark(BORROWER)
    before = thin.max_withdraw(JUNIOR, JUNIOR_LENDER)
    with bank.bench.undone():
        sell(thin, BORROWER)
        after = thin.max_withdraw(JUNIOR, JUNIOR_LENDER)
    assert before <= after
    with refused("junior must cover the debt"):
        thin.withdraw(JUNIOR, before + UNIT, JUNIOR_LENDER, sender=JUNIOR_LENDER)
    if before:
        thin.withdraw(JUNIOR, before, JUNIOR_LENDER, sender=JUNIOR_LENDER)
    sell(thin, BORROWER)
    _, junior, _, debt, _ = thin.books()
    assert junior * 10_000 >= debt * 500
    balanced(bank, thin)


def test_nobody_borrows_on_junior_capital_that_is_seen_to_be_lost(bank, thin):
    lend(bank, thin, BORROWER, 0, 60_000, 40)
    bank.set_price(900)
    thin.mark(BORROWER)
    assert thin.assets_of(JUNIOR, JUNIOR_LENDER) == 0
    bank.score(OTHER, 0)
    thin.supply_collateral(1_000 * COIN, OTHER, sender=OTHER)
    with refused("junior must cover the debt"):
        thin.borrow(100_000 * UNIT, OTHER, sender=OTHER)
