# SPDX-License-Identifier: Apache-2.0
"""Bundles of wallets: good history is shared by signature, bad history is not shaken off."""

from __future__ import annotations

import pytest

from koinon.lending.bundles import JoinDomain
from tests.bench_support import HALL_MOCKS, NOBODY, account, deploy, key, refused
from tests.lending.contracts.support import COIN, DAY, JUNIOR, SENIOR, UNIT, open_bank

WALLETS = tuple(f"wallet {number}" for number in range(9))
FIRST, SECOND, THIRD = (account(role) for role in WALLETS[:3])


@pytest.fixture(scope="module")
def standing():
    bank = open_bank()
    pool = bank.pool()
    for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
        lender = bank.fund(pool, role, amount * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    for role in WALLETS:
        wallet = bank.fund(pool, role, 10**6 * UNIT, 100 * COIN)
        pool.supply_collateral(100 * COIN, wallet, sender=wallet)
    bank.wait(60)
    return bank, pool


@pytest.fixture
def bank(standing):
    with standing[0].bench.undone():
        yield standing[0]


@pytest.fixture
def pool(standing, bank):
    return standing[1]


def join(
    bank,
    newcomer: str,
    members: tuple[str, ...],
    *,
    first: str = WALLETS[0],
    size: int | None = None,
    **options,
):
    """Let a role into the bundle that ``first`` founded, signed by it and these members."""
    domain = JoinDomain(bank.bench.chain_id, bank.bundles.address)
    deadline = options.get("deadline", bank.now)
    count = len(members) if size is None else size
    values = (account(first), account(newcomer), count, deadline)
    bank.bundles.join(
        account(first),
        account(newcomer),
        deadline,
        domain.sign(key(options.get("signer", newcomer)), *values),
        [domain.sign(key(member), *values) for member in members],
    )


def test_two_wallets_become_one_borrower(bank, pool):
    bank.score(FIRST, 0)
    assert pool.tier_of(SECOND) == 3
    join(bank, WALLETS[1], WALLETS[:1])
    assert pool.tier_of(SECOND) == 0
    assert bank.bundles.bundle_of(SECOND) == bank.bundles.bundle_of(FIRST) == FIRST
    assert list(bank.bundles.wallets_of(FIRST)) == [FIRST, SECOND]
    wallets, good = bank.bundles.history_of(SECOND)
    assert (list(wallets), good) == ([FIRST, SECOND], 0b11)
    assert [event["size"] for event in bank.bundles.events("Joined")] == [1, 2]
    digest = bank.bundles.join_digest(FIRST, SECOND, 1, bank.now)
    assert digest == JoinDomain(bank.bench.chain_id, bank.bundles.address).digest(FIRST, SECOND, 1, bank.now)
    assert bank.bundles.eip712Domain()[1:3] == ("Koinon Bundles", "1")


def test_what_wallets_of_one_bundle_owe_counts_together(bank, pool):
    bank.score(FIRST, 1)
    join(bank, WALLETS[1], WALLETS[:1])
    bank.wait(1)
    pool.borrow(150_000 * UNIT, FIRST, sender=FIRST)
    with refused("above the tier's cap"):
        pool.borrow(150_000 * UNIT + 1, SECOND, sender=SECOND)
    pool.borrow(150_000 * UNIT, SECOND, sender=SECOND)


def test_the_worst_history_counts_for_all_expired_or_not(bank, pool):
    bank.score(FIRST, 0)
    bank.score(SECOND, 2, lasts_s=DAY)
    join(bank, WALLETS[1], WALLETS[:1])
    assert pool.tier_of(FIRST) == pool.tier_of(SECOND) == 2
    bank.wait(2 * DAY)
    assert pool.tier_of(FIRST) == 2
    with refused("score expired"):
        pool.tier_of(SECOND)


def test_what_was_taken_back_or_is_another_models_does_not_count_against_others(bank, pool):
    bank.score(FIRST, 0)
    bad = bank.score(SECOND, 2)
    join(bank, WALLETS[1], WALLETS[:1])
    bank.revoke(bad)
    assert pool.tier_of(FIRST) == 0
    with refused("score revoked"):
        pool.tier_of(SECOND)
    bank.wait(1)
    bank.score(SECOND, 2, work_id=77)
    assert pool.tier_of(FIRST) == 0
    with refused("score of another model"):
        pool.tier_of(SECOND)


def test_leaving_does_not_wash(bank, pool):
    bank.score(FIRST, 2)
    join(bank, WALLETS[1], WALLETS[:1])
    bank.bundles.leave(sender=SECOND)
    assert pool.tier_of(SECOND) == 3
    bank.wait(1)
    bank.score(SECOND, 0)
    assert pool.tier_of(SECOND) == 2
    assert pool.tier_of(FIRST) == 2
    with refused("left before"):
        bank.bundles.leave(sender=SECOND)
    with refused("already in a bundle"):
        join(bank, WALLETS[1], WALLETS[2:3], first=WALLETS[2])
    with refused("in no bundle"):
        bank.bundles.leave(sender=THIRD)


def test_a_default_follows_every_wallet_of_the_bundle(bank, pool):
    bank.score(FIRST, 0)
    join(bank, WALLETS[1], WALLETS[:1])
    bank.wait(1)
    pool.borrow(160_000 * UNIT, SECOND, sender=SECOND)
    bank.set_price(1_000)
    liquidator = bank.fund(pool, "liquidator", 10**6 * UNIT)
    pool.liquidate(SECOND, 2**200, 0, liquidator, sender=liquidator)
    bank.set_price(2_000)
    bank.bundles.leave(sender=FIRST)
    assert pool.tier_of(FIRST) == pool.tier_of(SECOND) == 3
    bank.wait(1)
    bank.score(FIRST, 1)
    assert pool.tier_of(FIRST) == 1
    assert pool.tier_of(SECOND) == 3


def test_a_fresh_wallet_washes_nothing(bank, pool):
    """A new wallet gets the worst tier, and a friend's tier only under the friend's own cap."""
    bank.score(FIRST, 2)
    fresh = THIRD
    assert pool.tier_of(fresh) == 3 > pool.tier_of(FIRST)
    with refused("above the tier's cap"):
        pool.borrow(60_000 * UNIT, fresh, sender=fresh)
    join(bank, WALLETS[2], WALLETS[:1])
    assert pool.tier_of(fresh) == 2


def test_everyone_in_a_bundle_must_agree(bank):
    join(bank, WALLETS[1], WALLETS[:1])
    with refused("a signature is missing"):
        join(bank, WALLETS[2], WALLETS[:1], size=2)
    with refused("wrong signature"):
        join(bank, WALLETS[2], (WALLETS[0], WALLETS[3]))
    with refused("wrong signature"):
        join(bank, WALLETS[2], WALLETS[:2], signer=WALLETS[3])
    with refused("wrong signature"):
        join(bank, WALLETS[2], WALLETS[:2], size=1)
    join(bank, WALLETS[2], WALLETS[:2])
    bank.bundles.leave(sender=FIRST)
    join(bank, WALLETS[3], WALLETS[1:3], size=3)
    assert len(bank.bundles.wallets_of(FIRST)) == 4


def test_who_cannot_join(bank):
    with refused("too late"):
        join(bank, WALLETS[1], WALLETS[:1], deadline=bank.now - 1)
    with refused("already in a bundle"):
        join(bank, WALLETS[0], WALLETS[:1])
    join(bank, WALLETS[1], WALLETS[:1])
    with refused("already in a bundle"):
        join(bank, WALLETS[1], WALLETS[:2])
    with refused("not a bundle's first wallet"):
        join(bank, WALLETS[2], WALLETS[1:2], first=WALLETS[1])
    for count in range(2, 8):
        join(bank, WALLETS[count], WALLETS[:count])
    with refused("bundle is full"):
        join(bank, WALLETS[8], WALLETS[:8])


def test_a_bundle_that_all_have_left_takes_nobody(bank):
    join(bank, WALLETS[1], WALLETS[:1])
    for wallet in (FIRST, SECOND):
        bank.bundles.leave(sender=wallet)
    with refused("everyone has left"):
        join(bank, WALLETS[2], (), size=2)
    with refused("wrong signature"):
        join(bank, WALLETS[2], (), size=1)


def test_a_wallet_that_is_a_contract_signs_by_erc_1271(bank):
    wallet = deploy(bank.bench, HALL_MOCKS / "ContractWallet.vy", bytes.fromhex("1626ba7e"))
    domain = JoinDomain(bank.bench.chain_id, bank.bundles.address)
    values = (FIRST, wallet.address, 1, bank.now)
    wallet.agree(domain.digest(*values))
    bank.bundles.join(FIRST, wallet.address, bank.now, b"", [domain.sign(key(WALLETS[0]), *values)])
    assert bank.bundles.bundle_of(wallet.address) == FIRST
    assert bank.bundles.bundle_of(THIRD) == NOBODY
