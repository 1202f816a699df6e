# SPDX-License-Identifier: Apache-2.0
"""x402's own client and facilitator, unmodified, work against our Channels and collector on a real node.

The node is a development chain as it is begun; the facilitator reads through the Multicall3 that it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from x402.mechanisms.evm import FacilitatorWeb3Signer
from x402.mechanisms.evm.batch_settlement.authorizer_signer import LocalAuthorizerSigner
from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme
from x402.mechanisms.evm.batch_settlement.facilitator import BatchSettlementEvmFacilitator
from x402.mechanisms.evm.batch_settlement.types import ChannelConfig as TheirConfig
from x402.mechanisms.evm.batch_settlement.types import EnrichedRefundPayload, VoucherClaim, VoucherFields
from x402.mechanisms.evm.batch_settlement.utils import compute_channel_id
from x402.mechanisms.evm.multicall import MulticallCall, multicall
from x402.mechanisms.evm.signers import EthAccountSignerWithRPC
from x402.schemas import PaymentPayload, PaymentRequirements

from koinon.chain import artifacts
from koinon.chain.devnet import CHAIN_ID
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.works.channels import Channels
from koinon.works.payments import ChannelPayment
from tests.services.support import COIN, Hall

pytestmark = pytest.mark.e2e
NETWORK = f"eip155:{CHAIN_ID}"
PRICE = 1000


@pytest.fixture(scope="module")
def hall(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with Chain.open(network) as chain:
        hall = Hall(chain, tmp_path_factory.mktemp("hall"))
        hall.fund(hall.publisher.address, ether=100)
        yield hall


class Stock:
    """A payer with x402's client, and a facilitator that claims for the till; nothing of ours in between."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.channels = Channels(hall.chain)
        self.payer = hall.account(coins=COIN)
        self.facilitator_key = hall.account(ether=10)
        self.till = Key.generate().address
        url = hall.chain.rpc.url
        secret = bytes(self.facilitator_key._private.secret)
        self.facilitator = BatchSettlementEvmFacilitator(
            FacilitatorWeb3Signer(private_key="0x" + secret.hex(), rpc_url=url),
            LocalAuthorizerSigner(Account.from_key(secret)),
        )
        self.requirements = PaymentRequirements(
            scheme="batch-settlement",
            network=NETWORK,
            asset=hall.chain.coin.address,
            amount=str(PRICE),
            pay_to=self.till,
            max_timeout_seconds=300,
            extra={
                "name": "Koinon test dollar",
                "version": "1",
                "receiverAuthorizer": self.facilitator_key.address,
                "withdrawDelay": 900,
                "minDeposit": str(10 * PRICE),
            },
        )

    def pay(self) -> dict[str, Any]:
        """The payload a client makes for a call when it knows only what the chain says of its channel."""
        wallet = Account.from_key(bytes(self.payer._private.secret))
        client = BatchSettlementEvmScheme(EthAccountSignerWithRPC(wallet, self.hall.chain.rpc.url))
        return client.create_payment_payload(self.requirements)

    def verify(self, payload: dict[str, Any]) -> Any:
        return self.facilitator.verify(self._payment(payload), self.requirements)

    def settle(self, payload: dict[str, Any]) -> Any:
        return self.facilitator.settle(self._payment(payload), self.requirements)

    def _payment(self, payload: dict[str, Any]) -> PaymentPayload:
        return PaymentPayload(payload=payload, accepted=self.requirements)

    def open(self) -> dict[str, Any]:
        """Make and settle a deposit; the payload."""
        payload = self.pay()
        settled = self.settle(payload)
        assert settled.success, settled
        return payload

    def claim_of(self, payload: dict[str, Any], total: int) -> VoucherClaim:
        voucher = payload["voucher"]
        return VoucherClaim(
            TheirConfig.from_dict(payload["channelConfig"]),
            voucher["maxClaimableAmount"],
            voucher["signature"],
            str(total),
        )

    def state(self, payload: dict[str, Any]) -> Any:
        return self.channels.state(ChannelPayment.from_json(payload).voucher.channel_id)


@pytest.fixture
def stock(hall: Hall) -> Stock:
    return Stock(hall)


def test_deposit_vouchers_claim_and_settle(stock: Stock) -> None:
    first = stock.pay()
    assert first["type"] == "deposit"
    verified = stock.verify(first)
    assert verified.is_valid, verified
    assert stock.settle(first).success
    assert stock.state(first).balance == 10 * PRICE
    assert stock.hall.coins(stock.payer.address) == COIN - 10 * PRICE
    assert not stock.settle(first).success  # an authorization is good once

    second = stock.pay()
    assert second["type"] == "voucher"
    verified = stock.verify(second)
    assert verified.is_valid, verified
    assert verified.extra["balance"] == str(10 * PRICE)

    claim = {"type": "claim", "claims": [stock.claim_of(second, PRICE).to_dict()]}
    assert stock.settle(claim).success
    assert (stock.state(first).claimed, stock.channels.unsettled(stock.till)) == (PRICE, PRICE)
    assert not stock.verify(second).is_valid  # what is claimed is spent

    settled = stock.settle({"type": "settle", "receiver": stock.till, "token": stock.requirements.asset})
    assert settled.success
    assert stock.hall.coins(stock.till) == PRICE
    again = stock.settle({"type": "settle", "receiver": stock.till, "token": stock.requirements.asset})
    assert again.error_reason == "invalid_batch_settlement_evm_nothing_to_settle"


def test_ids_agree_between_their_python_ours_and_the_contract(stock: Stock) -> None:
    payload = stock.pay()
    config = ChannelPayment.from_json(payload).config
    theirs = compute_channel_id(TheirConfig.from_dict(payload["channelConfig"]), NETWORK)
    assert "0x" + stock.channels.digests.channel_id(config).hex() == theirs
    assert "0x" + stock.channels.contract.call("getChannelId", config.values()).hex() == theirs


@pytest.mark.parametrize("claimed", [0, PRICE])
def test_a_refund_alone_and_with_a_claim_in_one_transaction(stock: Stock, claimed: int) -> None:
    payload = stock.open()
    refund = EnrichedRefundPayload()
    refund.channel_config = TheirConfig.from_dict(payload["channelConfig"])
    refund.voucher = VoucherFields.from_dict(payload["voucher"])
    refund.amount = str(10 * PRICE - claimed)
    refund.refund_nonce = "0"
    refund.claims = [stock.claim_of(payload, claimed)] if claimed else []
    settled = stock.settle(refund.to_dict())
    assert settled.success, settled
    state = stock.state(payload)
    assert (state.balance, state.claimed, state.refund_nonce) == (claimed, claimed, 1)
    assert stock.hall.coins(stock.payer.address) == COIN - claimed


def test_forged_and_overdrawn_payments_are_told_apart(stock: Stock) -> None:
    payload = stock.open()
    forged = stock.pay()
    forged["voucher"]["maxClaimableAmount"] = str(2 * PRICE)
    assert stock.verify(forged).invalid_reason == "invalid_batch_settlement_evm_voucher_signature"
    over = {"type": "claim", "claims": [stock.claim_of(payload, 2 * PRICE).to_dict()]}
    refused = stock.settle(over)
    assert refused.error_reason == "invalid_batch_settlement_evm_claim_simulation_failed"
    assert stock.state(payload).claimed == 0


def test_a_facilitator_sees_an_announced_withdrawal(stock: Stock) -> None:
    payload = stock.open()
    stock.hall.fund(stock.payer.address, ether=1)
    config = ChannelPayment.from_json(payload).config
    stock.channels.initiate_withdraw(stock.payer, config, 10 * PRICE)
    assert stock.verify(stock.pay()).extra["withdrawRequestedAt"] > 0


def test_a_facilitators_reads_in_one_call_tell_successes_from_failures(stock: Stock) -> None:
    signer = stock.facilitator._signer
    coin = stock.hall.chain.coin.address
    abi = [dict(entry) for entry in artifacts.load("Coin").abi]
    balance, symbol, nothing = multicall(
        signer,
        [
            MulticallCall(coin, abi=abi, function_name="balanceOf", args=(stock.payer.address,)),
            MulticallCall(coin, abi=abi, function_name="symbol"),
            MulticallCall(stock.channels.contract.address, abi=abi, function_name="symbol"),
        ],
    )
    assert (balance.success, balance.result) == (True, COIN)
    assert (symbol.success, symbol.result) == (True, "tUSD")
    assert not nothing.success
