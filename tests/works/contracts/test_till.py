# SPDX-License-Identifier: Apache-2.0
"""A till: where it stands, what it accepts, whom it pays and when."""

from __future__ import annotations

import boa
import pytest

from koinon.works.shares import OWNER, WHOLE, ShareTable
from tests.contracts_support import (
    ETH,
    NOBODY,
    account,
    deploy_hall,
    deploy_mock,
    events,
    fresh_chain,
    give_eth,
    till_at,
)


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(autouse=True)
def _undo(hall):
    with fresh_chain():
        yield


@pytest.fixture
def token():
    return deploy_mock("Token")


@pytest.fixture
def owner():
    return account("owner of the work")


def test_money_that_came_before_the_till_was_deployed_is_paid(hall, token, owner):
    work = hall.publish(owner)
    address = hall.works.till_of(work)
    give_eth(address, 700)
    token.mint(address, 900)
    till = hall.till(work)
    assert till.release(ETH, OWNER, WHOLE, [], sender=owner) == 700
    assert till.release(token, OWNER, WHOLE, [], sender=owner) == 900
    assert token.balanceOf(owner) == 900
    assert till.root() == ShareTable.of_owner().root


def test_the_till_knows_whose_it_is(hall, owner):
    hall.publish(owner)
    work = hall.publish(owner)
    till = hall.till(work)
    assert till.work() == (boa.env.evm.patch.chain_id, hall.works.address, work)
    assert hall.works.deploy_till(work) == till.address == hall.works.till_of(work)


def test_everyone_in_the_root_is_paid_their_share(hall, token, owner):
    work = hall.publish(owner)
    till = hall.till(work)
    singer, writer = account("singer"), account("writer")
    table = ShareTable({OWNER: 500_000_000, singer: 300_000_000, writer: 200_000_000})
    till.write_root(table.root, [], sender=owner)
    assert [event["root"] for event in events(till, "RootWritten")] == [table.root]
    token.mint(till.address, 1001)
    anyone = account("anyone")
    assert till.due(token, singer, table[singer]) == 300
    assert till.release(token, singer, *table.proof(singer), sender=anyone) == 300
    assert events(till, "Released") == [
        {"token": token.address, "payee": singer, "receiver": singer, "amount": 300}
    ]
    assert till.release(token, singer, *table.proof(singer), sender=anyone) == 0
    token.mint(till.address, 9)
    assert till.release(token, singer, *table.proof(singer), sender=anyone) == 3
    assert till.release(token, writer, *table.proof(writer), sender=anyone) == 202
    assert till.release(token, OWNER, *table.proof(OWNER), sender=owner) == 505
    assert till.released(token) == token.balanceOf(singer) + token.balanceOf(writer) + token.balanceOf(owner)
    assert till_at(till.address).claimed(token, NOBODY) == 505
