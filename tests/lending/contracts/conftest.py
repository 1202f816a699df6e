# SPDX-License-Identifier: Apache-2.0
"""A pool that stands, undone after each test; modules with another scene have fixtures of their own."""

from __future__ import annotations

import pytest

from tests.bench_support import account
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


@pytest.fixture
def thin(bank):
    """180,000 senior over 20,000 junior, which must cover 5 %; nothing is lent yet."""
    pool = bank.pool(coverage_bps=500, borrower_cap_bps=10_000, salt=b"\5" * 32)
    for role, tranche, amount in (("senior", SENIOR, 180_000), ("junior", JUNIOR, 20_000)):
        bank.loan_token.approve(pool.address, 2**200, sender=account(role))
        pool.deposit(tranche, amount * UNIT, account(role), sender=account(role))
    for role in ("borrower", "other borrower"):
        bank.fund(pool, role, 10**6 * UNIT, 10**4 * COIN)
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.wait(60)
    return pool
