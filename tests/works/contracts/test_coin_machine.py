# SPDX-License-Identifier: Apache-2.0
"""Our ERC-20 beside snekmate's under the same random actions: the same balances, allowances and refusals."""

from __future__ import annotations

import boa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from koinon.works.coin import CoinDigests
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, fresh_chain, key

ROLES = ("payer", "till", "gateway")
roles = st.sampled_from((*ROLES, "nobody"))
amounts = st.one_of(st.integers(0, 300), st.sampled_from([2**256 - 1, 2**255]))


class CoinMachine(RuleBasedStateMachine):
    """Three people and the zero address."""

    @initialize()
    def start(self):
        self.chain = fresh_chain()
        self.chain.__enter__()
        boa.env.evm.patch.chain_id = 1337
        self.issuer = account("issuer")
        self.ours = deploy("works", "Coin", "Same", "S", 6)
        self.theirs = deploy_mock("ReferenceToken", "Same", "S", sender=self.issuer)
        self.minted = 0

    def teardown(self):
        if hasattr(self, "chain"):
            self.chain.__exit__(None, None, None)

    def address(self, role):
        return NOBODY if role == "nobody" else account(role)

    def both(self, ours, theirs):
        """Do the same to both; both must agree on whether it can be done."""
        done = []
        for action in (ours, theirs):
            try:
                action()
            except boa.BoaError:
                done.append(False)
            else:
                done.append(True)
        assert done[0] == done[1]
        return done[0]

    @rule(to=roles, amount=st.integers(0, 300))
    def mint(self, to, amount):
        if self.both(
            lambda: self.ours.mint(self.address(to), amount),
            lambda: self.theirs.mint(self.address(to), amount, sender=self.issuer),
        ):
            self.minted += amount

    @rule(sender=roles, to=roles, amount=amounts)
    def transfer(self, sender, to, amount):
        arguments = (self.address(to), amount)
        self.both(
            lambda: self.ours.transfer(*arguments, sender=self.address(sender)),
            lambda: self.theirs.transfer(*arguments, sender=self.address(sender)),
        )

    @rule(owner=roles, spender=roles, amount=amounts)
    def approve(self, owner, spender, amount):
        arguments = (self.address(spender), amount)
        self.both(
            lambda: self.ours.approve(*arguments, sender=self.address(owner)),
            lambda: self.theirs.approve(*arguments, sender=self.address(owner)),
        )

    @rule(spender=roles, sender=roles, to=roles, amount=amounts)
    def transfer_from(self, spender, sender, to, amount):
        arguments = (self.address(sender), self.address(to), amount)
        self.both(
            lambda: self.ours.transferFrom(*arguments, sender=self.address(spender)),
            lambda: self.theirs.transferFrom(*arguments, sender=self.address(spender)),
        )

    @rule(
        owner=st.sampled_from(ROLES),
        spender=roles,
        amount=amounts,
        late=st.integers(-1, 1),
        skipped=st.integers(0, 1),
        signer=st.sampled_from(ROLES),
    )
    def permit(self, owner, spender, amount, late, skipped, signer):
        deadline = boa.env.timestamp - late

        def permit(token):
            digests = CoinDigests(1337, token.address, "Same", "1")
            nonce = token.nonces(account(owner)) + skipped
            digest = digests.permit(account(owner), self.address(spender), amount, nonce, deadline)
            signature = key(signer).sign(digest)
            token.permit(
                account(owner),
                self.address(spender),
                amount,
                deadline,
                signature[64],
                signature[:32],
                signature[32:64],
            )

        self.both(lambda: permit(self.ours), lambda: permit(self.theirs))

    @invariant()
    def balances_allowances_and_nonces_are_the_same(self):
        for role in (*ROLES, "nobody"):
            owner = self.address(role)
            assert self.ours.balanceOf(owner) == self.theirs.balanceOf(owner)
            assert self.ours.nonces(owner) == self.theirs.nonces(owner)
            for other in (*ROLES, "nobody"):
                spender = self.address(other)
                assert self.ours.allowance(owner, spender) == self.theirs.allowance(owner, spender)

    @invariant()
    def the_sum_of_all_balances_is_the_supply_and_was_minted(self):
        total = sum(self.ours.balanceOf(self.address(role)) for role in (*ROLES, "nobody"))
        assert total == self.ours.totalSupply() == self.theirs.totalSupply() == self.minted


CoinMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
TestCoin = CoinMachine.TestCase
