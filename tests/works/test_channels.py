# SPDX-License-Identifier: Apache-2.0
"""The Channels class on a real node: a payer, a gateway, a till, and what it all costs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from koinon.chain.keys import Key
from koinon.errors import TransactionFailed
from koinon.works.channels import Channels
from koinon.works.vouchers import ChannelConfig, Claim
from tests.services.support import COIN, Hall, open_hall

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Hall]:
    with open_hall(tmp_path_factory.mktemp("hall")) as hall:
        yield hall


@dataclass
class Shop:
    """One payer, one gateway, one till."""

    hall: Hall
    channels: Channels
    payer: Key
    gateway: Key
    till: str

    def config(self, number: int = 0) -> ChannelConfig:
        return self.channels.config(
            self.payer.address, self.till, self.gateway.address, salt=number.to_bytes(32, "big")
        )

    def open(self, amount: int, number: int = 0) -> ChannelConfig:
        config = self.config(number)
        authorization = self.channels.authorize_deposit(
            self.payer, config, amount, valid_before=2**40, salt=secrets.randbits(256)
        )
        self.channels.try_deposit(self.gateway.address, config, authorization)
        self.channels.deposit(self.gateway, config, authorization)
        return config

    def claim_of(self, config: ChannelConfig, total: int) -> Claim:
        channel_id = self.channels.digests.channel_id(config)
        return Claim(config, self.channels.digests.sign(self.payer, channel_id, total), total)

    def state(self, config: ChannelConfig):
        return self.channels.state(self.channels.digests.channel_id(config))


@pytest.fixture
def shop(hall: Hall) -> Shop:
    payer = hall.account(coins=10 * COIN, ether=1)
    return Shop(hall, Channels(hall.chain), payer, hall.account(ether=10), Key.generate().address)


def test_deposit_claim_settle_and_refund_come_out_even(shop):
    config = shop.open(1000)
    assert (shop.state(config).balance, shop.state(config).open) == (1000, 1000)
    outcome = shop.channels.claim(shop.gateway, [shop.claim_of(config, 400)])
    assert (outcome.amount, outcome.refused, len(outcome.receipts)) == (400, (), 1)
    assert shop.channels.unsettled(shop.till) == 400
    assert shop.channels.settle(shop.payer, shop.till) == 400
    assert shop.channels.settle(shop.payer, shop.till) == 0
    assert shop.channels.refund(shop.gateway, config, 100) == 100
    assert shop.channels.refund(shop.payer, config, 10**9, authorizer=shop.gateway) == 500
    assert shop.hall.coins(shop.till) == 400
    assert shop.hall.coins(shop.payer.address) == 10 * COIN - 400
    assert (shop.state(config).open, shop.state(config).refund_nonce) == (0, 2)


def test_a_stranger_submits_what_the_gateway_signed(shop):
    config = shop.open(1000)
    stranger = shop.hall.account(ether=1)
    claims = [shop.claim_of(config, 300)]
    refused = shop.channels.claim(stranger, claims)
    assert refused.receipts == ()
    assert refused.refused[0][1].startswith("NotAuthorizedToClaim")
    assert shop.channels.claim(stranger, claims, authorizer=shop.gateway).amount == 300


def test_one_bad_claim_does_not_hold_up_the_others(shop):
    configs = [shop.open(1000, number) for number in range(7)]
    claims = [shop.claim_of(config, 100) for config in configs]
    claims[2] = replace(claims[2], voucher=replace(claims[2].voucher, signature=bytes(65)))
    claims[5] = shop.claim_of(configs[5], 1001)
    outcome = shop.channels.claim(shop.gateway, claims)
    assert outcome.amount == 500
    assert [(claim, reason.partition("(")[0]) for claim, reason in outcome.refused] == [
        (claims[2], "InvalidSignature"),
        (claims[5], "ClaimExceedsBalance"),
    ]


def test_the_payer_goes_alone_after_the_delay(shop):
    config = shop.open(1000)
    due = shop.channels.initiate_withdraw(shop.payer, config, 1000)
    state = shop.state(config)
    assert (state.withdrawing, state.withdraw_requested_at) == (1000, due - 900)
    with pytest.raises(TransactionFailed, match="WithdrawDelayNotElapsed"):
        shop.channels.finalize_withdraw(shop.payer, config)
    shop.hall.chain.rpc.call("evm_increaseTime", 901)
    shop.hall.chain.rpc.call("evm_mine")
    assert shop.channels.finalize_withdraw(shop.payer, config) == 1000
    assert shop.hall.coins(shop.payer.address) == 10 * COIN


def test_a_refusal_names_the_contracts_reason(shop):
    config = shop.open(1000)
    for refused, reason in (
        (lambda: shop.channels.refund(shop.payer, config, 1), "NotAuthorizedToRefund"),
        (lambda: shop.channels.initiate_withdraw(shop.gateway, config, 1), "InvalidChannel"),
        (lambda: shop.channels.finalize_withdraw(shop.payer, config), "WithdrawalNotPending"),
    ):
        with pytest.raises(TransactionFailed) as caught:
            refused()
        assert caught.value.reason.startswith(reason)


def test_claims_of_a_hundred_known_channels_cost_what_was_promised(shop):
    """At most 18,500 gas a channel, of the whole transaction; more than 100 make a second transaction."""
    configs = [shop.open(1000, number) for number in range(101)]
    first = shop.channels.claim(shop.gateway, [shop.claim_of(config, 10) for config in configs])
    again = shop.channels.claim(shop.gateway, [shop.claim_of(config, 25) for config in configs])
    assert (first.amount, again.amount) == (1010, 1515)
    assert [len(outcome.receipts) for outcome in (first, again)] == [2, 2]
    assert again.receipts[0].gas_used <= 100 * 18_500
    assert again.receipts[1].gas_used <= 50_000
