# SPDX-License-Identifier: Apache-2.0
"""A pool that stands, undone after each test; modules with another scene have fixtures of their own."""

from __future__ import annotations

import pytest

from tests.lending.contracts.support import COIN, JUNIOR, SENIOR, UNIT, open_bank


@pytest.fixture(scope="module")
def standing():
    """A pool with 800,000 senior and 200,000 junior, and a borrower with 100 coins behind."""
    bank = open_bank()
    pool = bank.pool()
    for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
        lender = bank.fund(pool, role, 2_000_000 * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 10**6 * UNIT, 1_000 * COIN)
    pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    bank.wait(60)
    return bank, pool


@pytest.fixture
def bank(standing):
    with standing[0].bench.undone():
        yield standing[0]


@pytest.fixture
def pool(standing, bank):
    return standing[1]
