# SPDX-License-Identifier: Apache-2.0
"""A facilitator's part of x402's batch-settlement: vouchers and deposits checked, and what servers ask of the
chain: deposit, claim, settle, refund."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from koinon.errors import TransactionFailed
from koinon.services.gateway.ledger import EXCEEDS_BALANCE, Refused, refuse
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.signers import Signers
from koinon.services.gateway.transfers import LATEST_ARRIVAL_S
from koinon.services.gateway.x402 import BatchPayment, Terms
from koinon.works import wire
from koinon.works.channels import ChannelState
from koinon.works.payments import DepositAuthorization, deposit_nonce
from koinon.works.vouchers import MAX_CLAIMS, ChannelConfig, Claim, Voucher
from koinon.works.wire import MalformedPayment

Document = dict[str, Any]
_CLAIM_FIELDS: Final = ("voucher", "signature", "totalClaimed")


class ChannelPayments:
    """The batch-settlement payments of one facilitator; parameters as in `Facilitator`."""

    def __init__(self, chain: OnChain, run: Callable[..., Awaitable[Any]]) -> None:
        self._chain = chain
        self._channels = chain.channels
        self._digests = chain.channels.digests
        self._run = run
        self._signers = Signers()

    async def verify(self, terms: Terms, payment: BatchPayment) -> Document:
        """The channel as the chain has it, if the voucher (with its deposit) could be claimed; Refused."""
        config = self._config(terms, payment)
        voucher, deposit = payment.voucher, payment.deposit
        digest = self._digests.voucher(voucher.channel_id, voucher.amount)
        if not self._signers.verify(digest, voucher.signature, config.signer):
            raise refuse("voucher_signature", "The voucher is not signed by the channel's payer.")
        state: ChannelState = await self._run(self._channels.state, voucher.channel_id)
        if deposit is not None:
            await self._check_deposit(config, deposit)
        balance = state.balance + (0 if deposit is None else deposit.amount)
        if balance == 0:
            raise refuse("channel_not_found", "The channel holds nothing.")
        if voucher.amount > balance:
            raise Refused(EXCEEDS_BALANCE, f"The voucher exceeds the channel's balance of {balance}.")
        if voucher.amount < state.claimed or (voucher.amount == state.claimed and payment.kind != "refund"):
            raise refuse("cumulative_below_claimed", "As much was claimed before.")
        return _state(voucher.channel_id, state)

    async def deposit(self, terms: Terms, payment: BatchPayment) -> Document:
        """Bring a deposit on chain."""
        if payment.deposit is None:
            raise MalformedPayment("The payload carries no deposit.")
        await self.verify(terms, payment)
        config = ChannelConfig.from_json(payment.config)
        try:
            receipt = await self._run(self._channels.deposit, self._chain.key, config, payment.deposit)
        except TransactionFailed as error:
            raise refuse("deposit_transaction_failed", f"The deposit failed: {error.reason}.") from error
        state = await self._run(self._channels.state, payment.voucher.channel_id)
        return {
            "transaction": receipt.transaction_hash,
            "amount": payment.deposit.amount,
            "extra": {"channelState": _state(payment.voucher.channel_id, state)},
        }

    async def act(self, terms: Terms, payload: Document) -> Document | None:
        """What a server asks for itself: claim, settle, or refund with its claims; None for a payment."""
        kind = payload.get("type")
        if kind == "claim":
            signature = payload.get("claimAuthorizerSignature")
            return await self._claim(self._claims(payload.get("claims")), signature)
        if kind == "settle":
            receiver = wire.address(payload.get("receiver"), "receiver")
            token = wire.address(payload.get("token"), "token")
            if token != terms.coin:
                raise refuse("token_mismatch", f"This facilitator takes {terms.coin} only.")
            if not await self._run(self._channels.unsettled, receiver):
                raise refuse("nothing_to_settle", "Nothing was claimed for this receiver.")
            receipts = await self._run(self._chain.settle, [receiver])
            logs = self._channels.contract.logs(receipts[0], "Settled")
            amount = sum(int(log["amount"]) for log in logs)
            return {"transaction": receipts[0].transaction_hash, "amount": amount}
        if kind == "refund" and "refundNonce" in payload:
            return await self._refund(payload)
        return None

    async def _claim(self, claims: list[Claim], signature: Any) -> Document:
        if signature is None:
            for claim in claims:
                self._must_be_ours(claim.config)
            authorizer = self._chain.key
            outcome = await self._run(
                lambda: self._channels.claim(self._chain.key, claims, authorizer=authorizer)
            )
            if outcome.refused or not outcome.receipts:
                reason = outcome.refused[0][1] if outcome.refused else "nothing to claim"
                raise refuse("claim_simulation_failed", f"The chain refuses a claim: {reason}.")
            return {"transaction": outcome.receipts[0].transaction_hash, "amount": outcome.amount}
        rows = [claim.values() for claim in claims]
        given = wire.signature(signature)
        contract = self._channels.contract
        try:
            call = contract.transaction("claimWithSignature", rows, given)
            receipt = await self._run(self._chain.send, call)
        except TransactionFailed as error:
            raise refuse("claim_transaction_failed", f"The claim failed: {error.reason}.") from error
        amount = sum(int(log["claimAmount"]) for log in contract.logs(receipt, "Claimed"))
        return {"transaction": receipt.transaction_hash, "amount": amount}

    async def _refund(self, payload: Document) -> Document:
        config = ChannelConfig.from_json(payload.get("channelConfig"))
        channel_id = self._digests.channel_id(config)
        amount = wire.integer(payload.get("amount"), "amount", wire.AMOUNT_LIMIT)
        nonce = wire.integer(payload.get("refundNonce"), "refundNonce", wire.WORD_LIMIT)
        signature = payload.get("refundAuthorizerSignature")
        claims = payload.get("claims")
        if signature is None:
            self._must_be_ours(config)
            given = self._digests.sign_refund(self._chain.key, channel_id, nonce, amount)
        else:
            given = wire.signature(signature)
        if claims:
            await self._claim(self._claims(claims), payload.get("claimAuthorizerSignature"))
        contract = self._channels.contract
        call = contract.transaction("refundWithSignature", config.values(), amount, nonce, given)
        try:
            receipt = await self._run(self._chain.send, call)
        except TransactionFailed as error:
            raise refuse("refund_transaction_failed", f"The refund failed: {error.reason}.") from error
        returned = sum(int(log["amount"]) for log in contract.logs(receipt, "Refunded"))
        state = await self._run(self._channels.state, channel_id)
        return {
            "transaction": receipt.transaction_hash,
            "amount": returned,
            "extra": {"channelState": _state(channel_id, state)},
        }

    def _config(self, terms: Terms, payment: BatchPayment) -> ChannelConfig:
        config = ChannelConfig.from_json(payment.config)
        if self._digests.channel_id(config) != payment.voucher.channel_id:
            raise refuse("channel_id_mismatch", "The channel id is not that of its configuration.")
        for name, given, expected in (
            ("receiver", config.receiver, terms.pay_to),
            ("receiver_authorizer", config.receiver_authorizer, terms.authorizer),
            ("token", config.token, terms.coin),
            ("withdraw_delay", config.withdraw_delay_s, terms.withdraw_delay_s),
        ):
            if given != expected:
                raise refuse(f"{name}_mismatch", f"The channel's {name} is not {expected}.")
        return config

    async def _check_deposit(self, config: ChannelConfig, deposit: DepositAuthorization) -> None:
        now = int(time.time())
        if deposit.valid_before < now + LATEST_ARRIVAL_S:
            raise refuse("payload_authorization_valid_before", "The deposit's authorization has expired.")
        if deposit.valid_after > now:
            raise refuse("payload_authorization_valid_after", "The deposit is not valid yet.")
        nonce = deposit_nonce(self._digests.channel_id(config), deposit.salt)
        if await self._run(self._chain.authorization_used, config.payer, nonce):
            raise refuse("deposit_simulation_failed", "This deposit was made before.")
        try:
            await self._run(self._channels.try_deposit, self._chain.key.address, config, deposit)
        except TransactionFailed as error:
            raise refuse("deposit_simulation_failed", f"The deposit would fail: {error.reason}.") from error

    def _claims(self, value: Any) -> list[Claim]:
        if not isinstance(value, list) or not 0 < len(value) <= MAX_CLAIMS:
            raise MalformedPayment(f"The claims are not a list of 1 to {MAX_CLAIMS}.")
        return [self._claim_of(item) for item in value]

    def _claim_of(self, value: Any) -> Claim:
        fields = wire.fields_of(value, "A claim", *_CLAIM_FIELDS)
        inner = wire.fields_of(fields["voucher"], "A claim's voucher", "channel", "maxClaimableAmount")
        config = ChannelConfig.from_json(inner["channel"])
        amount = wire.integer(inner["maxClaimableAmount"], "maxClaimableAmount", wire.AMOUNT_LIMIT)
        claimed = wire.integer(fields["totalClaimed"], "totalClaimed", wire.AMOUNT_LIMIT)
        voucher = Voucher(self._digests.channel_id(config), amount, wire.signature(fields["signature"]))
        return Claim(config, voucher, claimed)

    def _must_be_ours(self, config: ChannelConfig) -> None:
        if config.receiver_authorizer != self._chain.key.address:
            raise refuse("authorizer_address_mismatch", "The channel's authorizer is not this facilitator.")


def _state(channel_id: bytes, state: ChannelState) -> Document:
    return {
        "channelId": "0x" + channel_id.hex(),
        "balance": str(state.balance),
        "totalClaimed": str(state.claimed),
        "withdrawRequestedAt": state.withdraw_requested_at,
        "refundNonce": str(state.refund_nonce),
    }
