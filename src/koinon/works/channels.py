# SPDX-License-Identifier: Apache-2.0
"""Payment channels on chain: filling, claiming, settling, giving back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.chain.receipts import Receipt
from koinon.errors import TransactionFailed
from koinon.works.coin import CoinDigests
from koinon.works.payments import DepositAuthorization
from koinon.works.vouchers import (
    MAX_CLAIMS,
    MIN_WITHDRAW_DELAY_S,
    ChannelConfig,
    ChannelDigests,
    Claim,
)

_COLLECTOR_DATA: Final = ("uint256", "uint256", "uint256", "bytes")


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel as the chain has it; amounts in the token's smallest unit.

    ``balance`` deposited less what went back to the payer; ``claimed`` of it; ``withdrawing`` the amount of a
    withdrawal announced at ``withdraw_requested_at`` (Unix seconds, 0 when there is none).
    """

    balance: int
    claimed: int
    withdrawing: int
    withdraw_requested_at: int
    refund_nonce: int

    @property
    def open(self) -> int:
        """What can still be claimed, or given back."""
        return self.balance - self.claimed


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """What became of claims: transactions, the amount newly claimed, and claims refused with the reason."""

    receipts: tuple[Receipt, ...]
    amount: int
    refused: tuple[tuple[Claim, str], ...]


class Channels:
    """The Channels contract of a network.

    Methods that send take the key of the account that pays for it; whose consent is needed is said there.
    All of them raise TransactionFailed, with the contract's own error name as ``reason``, when it refuses.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Channels")
        self.collector = chain.network.address("ERC3009Collector")
        self.digests = ChannelDigests(chain.chain_id, self.contract.address)

    def config(
        self,
        payer: str,
        receiver: str,
        receiver_authorizer: str,
        *,
        token: str | None = None,
        payer_authorizer: str = ZERO_ADDRESS,
        withdraw_delay_s: int = MIN_WITHDRAW_DELAY_S,
        salt: bytes = bytes(32),
    ) -> ChannelConfig:
        """A channel in the network's coin, unless another token is named."""
        return ChannelConfig(
            payer,
            payer_authorizer,
            receiver,
            receiver_authorizer,
            token or self.chain.coin.address,
            withdraw_delay_s,
            salt,
        )

    def coin_digests(self, token: str) -> CoinDigests:
        """What holders of a token with ERC-3009 and ERC-5267 sign."""
        return CoinDigests.of(self.chain.contract("Coin", token), self.chain.chain_id)

    def authorize_deposit(
        self, payer: Account, config: ChannelConfig, amount: int, *, valid_before: int, salt: int
    ) -> DepositAuthorization:
        """Sign a deposit; sends nothing. ``salt`` random below 2**256, ``valid_before`` in Unix seconds."""
        return self.coin_digests(config.token).sign_deposit(
            payer,
            self.collector,
            self.digests.channel_id(config),
            amount,
            valid_before=valid_before,
            salt=salt,
        )

    def deposit(
        self, submitter: Account, config: ChannelConfig, authorization: DepositAuthorization
    ) -> Receipt:
        """Put what the payer authorized into the channel. Anyone may submit it."""
        return self._send(submitter, self._deposit(config, authorization))

    def try_deposit(self, submitter: str, config: ChannelConfig, authorization: DepositAuthorization) -> None:
        """Run a deposit without a transaction: returns if it would succeed."""
        self.contract.call("deposit", *self._deposit_arguments(config, authorization), sender=submitter)

    def state(self, channel_id: bytes) -> ChannelState:
        """One channel's state."""
        return self.states([channel_id])[0]

    def states(self, channel_ids: Sequence[bytes]) -> list[ChannelState]:
        """Several channels' states, read in one message."""
        views = ("channels", "pendingWithdrawals", "refundNonce")
        answers = iter(
            self.contract.call_many([(view, channel_id) for channel_id in channel_ids for view in views])
        )
        return [
            ChannelState(balance, claimed, withdrawing, since, nonce)
            for (balance, claimed), (withdrawing, since), nonce in zip(answers, answers, answers, strict=True)
        ]

    def unsettled(self, receiver: str, token: str | None = None) -> int:
        """What the receiver's channels in a token have claimed and `settle` would send."""
        claimed, settled = self.contract.call("receivers", receiver, token or self.chain.coin.address)
        return int(claimed - settled)

    def claim(
        self, submitter: Account, claims: Sequence[Claim], *, authorizer: Account | None = None
    ) -> ClaimOutcome:
        """Claim vouchers, up to 100 a transaction. One bad row never holds up the others: each transaction is
        tried first, and rows it fails on are left out and reported.

        Parameters
        ----------
        submitter : Account
            Receiver or receiver's authorizer of every channel, unless ``authorizer`` is given.
        claims : sequence of Claim
        authorizer : Account, optional
            The receiver's authorizer of every channel; its signature lets anyone submit.
        """
        receipts: list[Receipt] = []
        refused: list[tuple[Claim, str]] = []
        for start in range(0, len(claims), MAX_CLAIMS):
            good = self._claimable(submitter, list(claims[start : start + MAX_CLAIMS]), authorizer, refused)
            if good:
                receipts.append(self._send(submitter, self._claim(good, authorizer)))
        logs = [log for receipt in receipts for log in self.contract.logs(receipt, "Claimed")]
        return ClaimOutcome(tuple(receipts), sum(log["claimAmount"] for log in logs), tuple(refused))

    def settle(self, submitter: Account, receiver: str, token: str | None = None) -> int:
        """Send the receiver what was claimed; returns the amount, 0 when there was nothing. Anyone may."""
        call = self.contract.transaction("settle", receiver, token or self.chain.coin.address)
        return sum(log["amount"] for log in self.contract.logs(self._send(submitter, call), "Settled"))

    def refund(
        self, submitter: Account, config: ChannelConfig, amount: int, *, authorizer: Account | None = None
    ) -> int:
        """Give up to ``amount`` of unclaimed money back to the payer; returns what went back.

        The submitter must be the receiver or its authorizer, unless the ``authorizer``'s key is given.
        """
        if authorizer is None:
            call = self.contract.transaction("refund", config.values(), amount)
        else:
            channel_id = self.digests.channel_id(config)
            nonce = self.contract.call("refundNonce", channel_id)
            signature = self.digests.sign_refund(authorizer, channel_id, nonce, amount)
            call = self.contract.transaction("refundWithSignature", config.values(), amount, nonce, signature)
        return sum(log["amount"] for log in self.contract.logs(self._send(submitter, call), "Refunded"))

    def initiate_withdraw(self, payer: Account, config: ChannelConfig, amount: int) -> int:
        """Announce that the payer takes ``amount`` back; returns when it may (Unix seconds).

        ``payer`` is the payer's key or its authorizer's.
        """
        receipt = self._send(payer, self.contract.transaction("initiateWithdraw", config.values(), amount))
        return int(self.contract.logs(receipt, "WithdrawInitiated")[0]["finalizeAfter"])

    def finalize_withdraw(self, payer: Account, config: ChannelConfig) -> int:
        """Take the announced amount back, or what is left of it; returns the amount."""
        receipt = self._send(payer, self.contract.transaction("finalizeWithdraw", config.values()))
        return int(self.contract.logs(receipt, "WithdrawFinalized")[0]["amount"])

    def _deposit_arguments(
        self, config: ChannelConfig, authorization: DepositAuthorization
    ) -> tuple[Any, ...]:
        data = codec.encode(
            _COLLECTOR_DATA,
            (
                authorization.valid_after,
                authorization.valid_before,
                authorization.salt,
                authorization.signature,
            ),
        )
        return config.values(), authorization.amount, self.collector, data

    def _deposit(self, config: ChannelConfig, authorization: DepositAuthorization) -> Call:
        return self.contract.transaction("deposit", *self._deposit_arguments(config, authorization))

    def _claim_arguments(self, claims: Sequence[Claim], authorizer: Account | None) -> tuple[Any, ...]:
        rows = [claim.values() for claim in claims]
        if authorizer is None:
            return "claim", rows
        return "claimWithSignature", rows, self.digests.sign_claims(authorizer, claims)

    def _claim(self, claims: Sequence[Claim], authorizer: Account | None) -> Call:
        return self.contract.transaction(*self._claim_arguments(claims, authorizer))

    def _claimable(
        self,
        submitter: Account,
        claims: list[Claim],
        authorizer: Account | None,
        refused: list[tuple[Claim, str]],
    ) -> list[Claim]:
        """The claims that succeed together, found by halving; others go to ``refused`` with the reason."""
        try:
            self.contract.call(*self._claim_arguments(claims, authorizer), sender=submitter.address)
        except TransactionFailed as fault:
            if len(claims) == 1:
                refused.append((claims[0], fault.reason))
                return []
            middle = len(claims) // 2
            return self._claimable(submitter, claims[:middle], authorizer, refused) + self._claimable(
                submitter, claims[middle:], authorizer, refused
            )
        return claims

    def _send(self, submitter: Account, call: Call) -> Receipt:
        return self.chain.sender(submitter).send(call)
