# SPDX-License-Identifier: Apache-2.0
"""Channels under random actions by payers, receivers and a token that cheats, beside a simple model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from koinon.works.vouchers import CANONICAL_CHANNELS, ChannelConfig, Claim
from tests.contracts_support import account, deploy_mock, fresh_chain, key
from tests.works.contracts.channels_support import Bank, Reverted, rows

amounts = st.integers(1, 1000)
channels = st.integers(0, 5)


@dataclass
class Model:
    """What a channel should hold."""

    config: ChannelConfig
    balance: int = 0
    claimed: int = 0
    withdrawing: int = 0
    since: int = 0
    nonce: int = 0
    paid_in: int = 0
    paid_back: int = 0
    vouchers: list[Claim] = field(default_factory=list)


class ChannelsMachine(RuleBasedStateMachine):
    """Six channels: two payers, two receivers, an honest token and one that fails or cheats."""

    @initialize()
    def start(self):
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.bank = Bank()
        self.honest, self.hostile = deploy_mock("Token"), deploy_mock("HostileToken")
        for token in (self.honest, self.hostile):
            token.mint(self.bank.bringer, 10**12)
        self.cheated = False
        self.gift = 0
        self.models = [
            Model(
                self.bank.config(
                    payer=account(payer),
                    receiver=account(receiver),
                    token=token.address,
                    salt=bytes([number] * 32),
                    payer_authorizer=account("pen") if number == 1 else "0x" + "00" * 20,
                )
            )
            for number, (payer, receiver, token) in enumerate(
                [
                    ("payer", "till", self.honest),
                    ("payer", "till", self.honest),
                    ("other payer", "till", self.honest),
                    ("other payer", "other till", self.honest),
                    ("payer", "till", self.hostile),
                    ("other payer", "other till", self.hostile),
                ]
            )
        ]
        self.settled: dict[tuple[str, str], int] = {}

    def teardown(self):
        if hasattr(self, "chain"):
            self.chain.__exit__(None, None, None)

    def attempt(self, model, *call, sender):
        """Make the call; a refusal is allowed only where the token cheats."""
        try:
            self.bank.channels(*call, sender=sender)
        except Reverted:
            assert self.cheated
            assert model.config.token == self.hostile.address
            return False
        return True

    @rule(number=channels, amount=amounts)
    def deposit(self, number, amount):
        model = self.models[number]
        arguments = (model.config.values(), amount, self.bank.bringer.address, b"")
        if self.attempt(model, "deposit", *arguments, sender=self.bank.stranger):
            model.balance += amount
            model.paid_in += amount

    @rule(number=channels, total=amounts, extra=st.integers(0, 100))
    def sign(self, number, total, extra):
        model = self.models[number]
        signer = (
            "pen" if number == 1 else "payer" if model.config.payer == account("payer") else "other payer"
        )
        model.vouchers.append(self.bank.claim_of(model.config, total, total + extra, signer))

    @rule(numbers=st.lists(channels, min_size=1, max_size=6), by_signature=st.booleans(), data=st.data())
    def claim(self, numbers, by_signature, data):
        batch = [
            data.draw(st.sampled_from(self.models[number].vouchers))
            for number in numbers
            if self.models[number].vouchers
        ]
        expected = {model.config.salt: model.claimed for model in self.models}
        possible = bool(batch)
        for claim in batch:
            model = self.models[claim.config.salt[0]]
            possible &= claim.total <= max(model.balance, expected[claim.config.salt])
            expected[claim.config.salt] = max(expected[claim.config.salt], claim.total)
        try:
            if by_signature:
                signature = key("gateway").sign(self.bank.digests.claim_batch(batch))
                self.bank.channels("claimWithSignature", rows(*batch), signature, sender=self.bank.stranger)
            else:
                self.bank.claim(*batch)
        except Reverted:
            assert not possible
            return
        assert possible
        for model in self.models:
            model.claimed = expected[model.config.salt]

    @rule(number=channels, stolen=channels)
    def present_another_channels_voucher(self, number, stolen):
        """A voucher of one channel never counts in another."""
        for claim in self.models[stolen].vouchers[-1:]:
            model = self.models[number]
            if number != stolen and claim.total > model.claimed:
                try:
                    self.bank.claim(Claim(model.config, claim.voucher, claim.total))
                except Reverted:
                    continue
                raise AssertionError("a voucher counted in a channel it was not signed for")

    @rule(number=channels)
    def settle(self, number):
        model = self.models[number]
        receiver, token = model.config.receiver, model.config.token
        if self.attempt(model, "settle", receiver, token, sender=self.bank.stranger):
            self.settled[receiver, token] = self.claimed_for(receiver, token)

    @rule(number=channels, amount=amounts)
    def announce_withdrawal(self, number, amount):
        model = self.models[number]
        if model.since or amount > model.balance - model.claimed:
            return
        self.bank.channels("initiateWithdraw", model.config.values(), amount, sender=model.config.payer)
        model.withdrawing, model.since = amount, boa.env.timestamp

    @rule(number=channels)
    def withdraw(self, number):
        model = self.models[number]
        if not model.since:
            return
        boa.env.timestamp = max(boa.env.timestamp, model.since + 3600)
        if self.attempt(model, "finalizeWithdraw", model.config.values(), sender=model.config.payer):
            self.give_back(model, min(model.withdrawing, model.balance - model.claimed))
            model.withdrawing = model.since = 0

    @rule(number=channels, amount=amounts, by_signature=st.booleans())
    def refund(self, number, amount, by_signature):
        model = self.models[number]
        call: tuple[Any, ...] = ("refund", model.config.values(), amount)
        if by_signature:
            channel_id = self.bank.digests.channel_id(model.config)
            signature = key("gateway").sign(self.bank.digests.refund(channel_id, model.nonce, amount))
            call = ("refundWithSignature", model.config.values(), amount, model.nonce, signature)
        if not self.attempt(model, *call, sender=self.bank.gateway):
            return
        model.nonce += 1
        refunded = min(amount, model.balance - model.claimed)
        self.give_back(model, refunded)
        if refunded >= model.withdrawing:
            model.withdrawing = model.since = 0
        else:
            model.withdrawing -= refunded

    @rule(bad=st.sampled_from(["answers false", "moves nothing", "takes a fee", "blocks the till", "honest"]))
    def the_hostile_token_changes_its_manners(self, bad):
        self.cheated = self.cheated or bad != "honest"
        self.hostile.set_manners(bad == "answers false", bad == "moves nothing", False)
        self.hostile.take_fee(500 if bad == "takes a fee" else 0, 0)
        self.hostile.set_block(account("till"), bad == "blocks the till")

    @rule(amount=amounts)
    def somebody_sends_money_by_mistake(self, amount):
        self.honest.mint(CANONICAL_CHANNELS, amount)
        self.gift += amount

    def give_back(self, model, amount):
        model.balance -= amount
        model.paid_back += amount

    def claimed_for(self, receiver, token):
        return sum(
            model.claimed
            for model in self.models
            if (model.config.receiver, model.config.token) == (receiver, token)
        )

    @invariant()
    def every_channel_is_as_the_model_says_and_claimed_never_exceeds_its_balance(self):
        for model in self.models:
            channel_id = self.bank.digests.channel_id(model.config)
            assert self.bank.channels("channels", channel_id) == (model.balance, model.claimed)
            assert self.bank.channels("pendingWithdrawals", channel_id) == (model.withdrawing, model.since)
            assert self.bank.channels("refundNonce", channel_id) == model.nonce
            assert model.claimed <= model.balance

    @invariant()
    def what_receivers_may_settle_is_what_their_channels_claimed(self):
        for receiver in (account("till"), account("other till")):
            for token in (self.honest.address, self.hostile.address):
                state = self.bank.channels("receivers", receiver, token)
                assert state == (self.claimed_for(receiver, token), self.settled.get((receiver, token), 0))

    @invariant()
    def the_contract_holds_exactly_open_and_unsettled_money_and_what_was_sent_by_mistake(self):
        held = {self.honest.address: self.gift, self.hostile.address: 0}
        for model in self.models:
            held[model.config.token] += model.balance
        for (_, token), amount in self.settled.items():
            held[token] -= amount
        assert self.honest.balanceOf(CANONICAL_CHANNELS) == held[self.honest.address]
        assert self.hostile.balanceOf(CANONICAL_CHANNELS) >= held[self.hostile.address]

    @invariant()
    def honest_money_is_conserved_to_the_unit(self):
        honest = self.honest.address
        paid_in = sum(model.paid_in for model in self.models if model.config.token == honest)
        receivers = (account("till"), account("other till"))
        assert sum(self.honest.balanceOf(receiver) for receiver in receivers) == sum(
            amount for (_, token), amount in self.settled.items() if token == honest
        )
        payers = (account("payer"), account("other payer"))
        assert sum(self.honest.balanceOf(payer) for payer in payers) == sum(
            model.paid_back for model in self.models if model.config.token == honest
        )
        gift = self.gift
        everyone = (*receivers, *payers, CANONICAL_CHANNELS)
        assert sum(self.honest.balanceOf(one) for one in everyone) == paid_in + gift


ChannelsMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
TestChannels = ChannelsMachine.TestCase
