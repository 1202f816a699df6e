# SPDX-License-Identifier: Apache-2.0
"""Payouts: many are paid by one root, each once, never more than was paid in."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.works.bonds import Payout, PayoutTree, payout_leaf, payout_node
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, events, fresh_chain

FUNDER = account("funder")
PEOPLE = [account(f"person {number}") for number in range(5)]
HOUR = 3600


@pytest.fixture(scope="module")
def payouts():
    with fresh_chain():
        yield deploy("works", "Payouts")


@pytest.fixture(scope="module")
def token(payouts):
    return funded(payouts)


@pytest.fixture(autouse=True)
def _undo(token):
    with fresh_chain():
        yield


def funded(payouts: Any) -> Any:
    token = deploy_mock("StakeToken")
    token.mint(FUNDER, 10**9)
    token.approve(payouts, 2**256 - 1, sender=FUNDER)
    return token


def now() -> int:
    return int(boa.env.evm.patch.timestamp)


def fund(payouts: Any, token: Any, tree: PayoutTree, total: int | None = None) -> int:
    amount = tree.total if total is None else total
    return int(payouts.fund_payouts(tree.root, token, amount, now() + HOUR, sender=FUNDER))


def claim(payouts: Any, fund_id: int, tree: PayoutTree, number: int) -> None:
    payouts.claim(fund_id, *tree.payouts[number], tree.proof(number))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 13])
def test_everyone_in_the_tree_is_paid_once(payouts, token, size):
    tree = PayoutTree([(PEOPLE[number % 5], 10 + number) for number in range(size)])
    fund_id = fund(payouts, token, tree)
    (event,) = events(payouts, "Funded")
    assert (event["fund_id"], event["root"], event["total"]) == (fund_id, tree.root, tree.total)
    for number in range(size):
        assert not payouts.is_paid(fund_id, number)
        claim(payouts, fund_id, tree, number)
        assert payouts.is_paid(fund_id, number)
        with boa.reverts("already paid"):
            claim(payouts, fund_id, tree, number)
    for person in PEOPLE:
        assert token.balanceOf(person) == sum(payout.amount for payout in tree.of(person))
    assert token.balanceOf(payouts) == 0
    assert payouts.fund_of(fund_id)[3] == 0


def test_a_payout_is_announced(payouts, token):
    tree = PayoutTree([(PEOPLE[0], 7), (PEOPLE[1], 8)])
    fund_id = fund(payouts, token, tree)
    claim(payouts, fund_id, tree, 1)
    assert events(payouts, "Paid") == [{"fund_id": fund_id, "index": 1, "account": PEOPLE[1], "amount": 8}]


def test_nothing_else_is_in_the_tree(payouts, token):
    tree = PayoutTree([(PEOPLE[number], 10) for number in range(4)])
    fund_id = fund(payouts, token, tree)
    proof = tree.proof(0)
    for forged in ((0, PEOPLE[0], 11), (4, PEOPLE[0], 10), (0, PEOPLE[1], 10)):
        with boa.reverts("not in the tree"):
            payouts.claim(fund_id, *forged, proof)
    for wrong in ([], proof[:1], proof[::-1], [*proof, proof[0]]):
        with boa.reverts("not in the tree"):
            payouts.claim(fund_id, *tree.payouts[0], wrong)
    with boa.reverts("not in the tree"):
        payouts.claim(fund_id, 0, PEOPLE[0], 10, tree.proof(1))


def test_an_inner_node_is_not_a_leaf():
    one, other = payout_leaf(Payout(0, PEOPLE[0], 1)), payout_leaf(Payout(1, PEOPLE[1], 1))
    assert payout_node(one, other) == payout_node(other, one)
    assert PayoutTree([(PEOPLE[0], 1), (PEOPLE[1], 1)]).root == payout_node(one, other)


def test_a_root_that_promises_too_much_pays_no_more_than_its_own_fund(payouts, token):
    honest = PayoutTree([(PEOPLE[0], 100)])
    lying = PayoutTree([(PEOPLE[1], 60), (PEOPLE[2], 60)])
    fund(payouts, token, honest)
    fund_id = fund(payouts, token, lying, total=100)
    claim(payouts, fund_id, lying, 0)
    with boa.reverts("more than is left in the fund"):
        claim(payouts, fund_id, lying, 1)
    claim(payouts, 1, honest, 0)
    assert token.balanceOf(PEOPLE[0]) == 100


def test_what_nobody_claimed_goes_back_to_the_funder(payouts, token):
    tree = PayoutTree([(PEOPLE[0], 30), (PEOPLE[1], 70)])
    fund_id = fund(payouts, token, tree)
    claim(payouts, fund_id, tree, 0)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("still claimable"):
        payouts.reclaim(fund_id)
    boa.env.time_travel(seconds=1)
    with boa.reverts("deadline past"):
        claim(payouts, fund_id, tree, 1)
    payouts.reclaim(fund_id)
    assert events(payouts, "Reclaimed") == [{"fund_id": fund_id, "amount": 70}]
    assert token.balanceOf(FUNDER) == 10**9 - 30
    with boa.reverts("nothing left"):
        payouts.reclaim(fund_id)


def test_a_fund_needs_root_token_total_and_time(payouts, token):
    root = PayoutTree([(PEOPLE[0], 1)]).root
    for arguments, reason in (
        ((b"\x00" * 32, token, 1, now() + 1), "root missing"),
        ((root, NOBODY, 1, now() + 1), "token missing"),
        ((root, token, 0, now() + 1), "total missing"),
        ((root, token, 1, now()), "deadline already past"),
    ):
        with boa.reverts(reason):
            payouts.fund_payouts(*arguments, sender=FUNDER)
    for unknown in (0, 1):
        for act in (
            lambda unknown=unknown: payouts.fund_of(unknown),
            lambda unknown=unknown: payouts.reclaim(unknown),
            lambda unknown=unknown: payouts.claim(unknown, 0, PEOPLE[0], 1, []),
        ):
            with boa.reverts("no such fund"):
                act()


def test_tokens_that_take_fees_or_refuse_are_refused(payouts, token):
    tree = PayoutTree([(PEOPLE[0], 100)])
    token.set_fee(1_00)
    with boa.reverts("token did not deliver exactly"):
        fund(payouts, token, tree)
    token.set_fee(0)
    fund_id = fund(payouts, token, tree)
    token.set_refusing(True)
    with boa.reverts("transfer refused"):
        claim(payouts, fund_id, tree, 0)


class PayoutsMachine(RuleBasedStateMachine):
    """Honest and lying funds in one token, claims and reclaims in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.payouts = deploy("works", "Payouts")
        self.token = funded(self.payouts)
        self.funds: dict[int, tuple[PayoutTree, int]] = {}
        self.left: dict[int, int] = {}
        self.earned = dict.fromkeys(PEOPLE, 0)

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(
        amounts=st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(1, 50)), min_size=1, max_size=6),
        missing=st.integers(0, 20),
    )
    def fund(self, amounts, missing) -> None:
        tree = PayoutTree(amounts)
        total = max(1, tree.total - missing)
        fund_id = fund(self.payouts, self.token, tree, total)
        self.funds[fund_id], self.left[fund_id] = (tree, now() + HOUR), total

    @rule(data=st.data())
    def claim(self, data) -> None:
        if not self.funds:
            return
        fund_id = data.draw(st.sampled_from(sorted(self.funds)))
        tree, deadline = self.funds[fund_id]
        number = data.draw(st.integers(0, len(tree.payouts) - 1))
        payout = tree.payouts[number]
        good = (
            now() <= deadline
            and not self.payouts.is_paid(fund_id, number)
            and payout.amount <= self.left[fund_id]
        )
        if good:
            claim(self.payouts, fund_id, tree, number)
            self.left[fund_id] -= payout.amount
            self.earned[payout.account] += payout.amount
        else:
            with boa.reverts():
                claim(self.payouts, fund_id, tree, number)

    @rule(data=st.data())
    def reclaim(self, data) -> None:
        over = [number for number, (_, end) in self.funds.items() if now() > end and self.left[number]]
        if over:
            fund_id = data.draw(st.sampled_from(over))
            self.payouts.reclaim(fund_id)
            self.left[fund_id] = 0

    @rule()
    def wait(self) -> None:
        boa.env.time_travel(seconds=HOUR // 2)

    @invariant()
    def payouts_never_exceed_what_was_paid_in(self) -> None:
        assert self.token.balanceOf(self.payouts) == sum(self.left.values())
        for person, earned in self.earned.items():
            assert self.token.balanceOf(person) == earned


PayoutsMachine.TestCase.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
TestPayouts = PayoutsMachine.TestCase
