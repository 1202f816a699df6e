# SPDX-License-Identifier: Apache-2.0
"""Delegate against a model: sessions granted, used, signed for, revoked and outlived in any order."""

from __future__ import annotations

import boa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.contracts_support import account, deploy_mock, fresh_chain
from tests.services.contracts.delegate_support import TRANSFER, delegating, execute, relay, signed, transfer

AGENTS = ("agent one", "agent two")
RECEIVER = account("receiver")
START = 10**6
DAY = 86_400


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.wallet = delegating()
        self.token = deploy_mock("Token")
        self.token.mint(self.wallet.address, START)
        self.until = dict.fromkeys(AGENTS, 0)
        self.limits = dict.fromkeys(AGENTS, (0, 0, 0))
        self.spent = dict.fromkeys(AGENTS, 0)
        self.by_day: dict[tuple[str, int], int] = {}
        self.nonces = dict.fromkeys(AGENTS, 0)
        self.taken = 0

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    @property
    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    @rule(
        who=st.sampled_from(AGENTS),
        seconds=st.integers(1, 3 * DAY),
        limits=st.tuples(st.integers(1, 60), st.integers(1, 100), st.integers(1, 300)),
    )
    def grant(self, who, seconds, limits):
        self.wallet.grant(
            account(who),
            self.now + seconds,
            [(self.token.address, TRANSFER)],
            [(self.token.address, *limits)],
            sender=self.wallet.address,
        )
        self.until[who], self.limits[who], self.spent[who] = self.now + seconds, limits, 0
        self.by_day = {key: value for key, value in self.by_day.items() if key[0] != who}

    @rule(who=st.sampled_from(AGENTS), by_key=st.booleans())
    def revoke(self, who, by_key):
        if self.wallet.session_of(account(who))[0]:
            self.wallet.revoke(account(who), sender=account(who) if by_key else self.wallet.address)
        self.until[who] = 0

    @rule()
    def revoke_all(self):
        self.wallet.revoke_all(sender=self.wallet.address)
        self.until = dict.fromkeys(AGENTS, 0)

    @rule(seconds=st.integers(1, DAY))
    def wait(self, seconds):
        boa.env.time_travel(seconds=seconds)

    @rule(amount=st.integers(1, 100))
    def the_owner_spends(self, amount):
        execute(self.wallet, [transfer(self.token, RECEIVER, amount)], self.wallet.address)
        self.taken += amount

    @rule(
        who=st.sampled_from(AGENTS),
        amounts=st.lists(st.integers(0, 60), min_size=1, max_size=3),
        by_signature=st.booleans(),
    )
    def a_session_spends(self, who, amounts, by_signature):
        per_call, per_day, total = self.limits[who]
        amount, today = sum(amounts), (who, self.now // DAY)
        allowed = (
            self.now <= self.until[who]
            and amount <= per_call
            and self.by_day.get(today, 0) + amount <= per_day
            and self.spent[who] + amount <= total
        )
        calls = [transfer(self.token, RECEIVER, each) for each in amounts]

        def act() -> None:
            if by_signature:
                relay(self.wallet, calls, signed(self.wallet, calls, role=who))
            else:
                execute(self.wallet, calls, account(who))

        if not allowed:
            with boa.reverts():
                act()
            return
        act()
        self.nonces[who] += by_signature
        self.taken += amount
        self.spent[who] += amount
        self.by_day[today] = self.by_day.get(today, 0) + amount

    @invariant()
    def the_account_lost_what_was_allowed_and_no_more(self):
        assert self.token.balanceOf(self.wallet.address) == START - self.taken

    @invariant()
    def what_a_session_spent_is_what_the_contract_says_and_within_its_total(self):
        for who in AGENTS:
            said = self.wallet.spending_of(account(who), self.token.address)[1]
            assert said == self.spent[who] <= self.limits[who][2]

    @invariant()
    def a_session_stands_exactly_until_its_time_or_its_end(self):
        for who in AGENTS:
            stands = self.now <= self.until[who]
            assert self.wallet.session_of(account(who))[0] == (self.until[who] if stands else 0)
            assert self.wallet.is_granted(account(who), self.token.address, TRANSFER) == stands

    @invariant()
    def nonces_only_rise(self):
        for who in AGENTS:
            assert self.wallet.nonces(account(who)) == self.nonces[who]


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
