# SPDX-License-Identifier: Apache-2.0
"""Payment channels off chain: who pays whom, and vouchers over cumulative amounts.

Types, digests and JSON are those of x402's ``batch-settlement`` scheme, version 2. A voucher names the whole
amount paid through its channel so far, so a newer one replaces all older ones. Amounts are in the token's
smallest unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import PublicKeyCache
from koinon.errors import BadInput
from koinon.works import wire

CANONICAL_CHANNELS: Final = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"
CANONICAL_COLLECTOR: Final = "0x4020806089470a89826cB9fB1f4059150b550004"
MIN_WITHDRAW_DELAY_S: Final = 900
MAX_WITHDRAW_DELAY_S: Final = 2_592_000
MAX_CLAIMS: Final = 100

_CHANNEL: Final = TypedStruct(
    "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,"
    "address token,uint40 withdrawDelay,bytes32 salt)"
)
_VOUCHER: Final = TypedStruct("Voucher(bytes32 channelId,uint128 maxClaimableAmount)")
_REFUND: Final = TypedStruct("Refund(bytes32 channelId,uint256 nonce,uint128 amount)")
_CLAIM_BATCH: Final = TypedStruct(
    "ClaimBatch(ClaimEntry[] claims)"
    "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
)


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A channel's parameters; their hash is the channel. Addresses are EIP-55, ``salt`` has 32 bytes.

    The zero ``payer_authorizer`` means that the payer signs the vouchers. ``withdraw_delay_s`` (900 s to 30
    days) is how long the payer waits for unclaimed money; ``receiver_authorizer`` may claim and refund for
    the receiver.
    """

    payer: str
    payer_authorizer: str
    receiver: str
    receiver_authorizer: str
    token: str
    withdraw_delay_s: int = MIN_WITHDRAW_DELAY_S
    salt: bytes = bytes(32)

    @property
    def signer(self) -> str:
        """Whose key signs the vouchers."""
        return self.payer if self.payer_authorizer == ZERO_ADDRESS else self.payer_authorizer

    def id(self, chain_id: int, channels: str = CANONICAL_CHANNELS) -> bytes:
        """The channel's id (32 bytes) on a chain."""
        return ChannelDigests(chain_id, channels).channel_id(self)

    def values(self) -> tuple[str, str, str, str, str, int, bytes]:
        """As the contract's ABI takes it."""
        return (
            self.payer,
            self.payer_authorizer,
            self.receiver,
            self.receiver_authorizer,
            self.token,
            self.withdraw_delay_s,
            self.salt,
        )

    def to_json(self) -> dict[str, Any]:
        """x402's ChannelConfig object."""
        return {
            "payer": self.payer,
            "payerAuthorizer": self.payer_authorizer,
            "receiver": self.receiver,
            "receiverAuthorizer": self.receiver_authorizer,
            "token": self.token,
            "withdrawDelay": self.withdraw_delay_s,
            "salt": "0x" + self.salt.hex(),
        }

    @classmethod
    def from_json(cls, value: object) -> ChannelConfig:
        """From x402's ChannelConfig object, whose fields must be these and no others.

        Raises
        ------
        wire.MalformedPayment
        """
        fields = wire.fields_of(
            value,
            "channelConfig",
            "payer",
            "payerAuthorizer",
            "receiver",
            "receiverAuthorizer",
            "token",
            "withdrawDelay",
            "salt",
        )
        delay = fields["withdrawDelay"]
        if not isinstance(delay, int) or not MIN_WITHDRAW_DELAY_S <= delay <= MAX_WITHDRAW_DELAY_S:
            raise wire.MalformedPayment(
                f"withdrawDelay is not within {MIN_WITHDRAW_DELAY_S} to {MAX_WITHDRAW_DELAY_S} seconds.",
                hint="Write it as a JSON integer.",
            )
        payer, payer_authorizer, receiver, receiver_authorizer, token = (
            wire.address(fields[name], name)
            for name in ("payer", "payerAuthorizer", "receiver", "receiverAuthorizer", "token")
        )
        return cls(
            payer,
            payer_authorizer,
            receiver,
            receiver_authorizer,
            token,
            delay,
            wire.hex_bytes(fields["salt"], "salt", 32),
        )


@dataclass(frozen=True, slots=True)
class Voucher:
    """The payer's word that ``amount`` in all has been paid through the channel with this 32-byte id."""

    channel_id: bytes
    amount: int
    signature: bytes = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """x402's voucher object."""
        return {
            "channelId": "0x" + self.channel_id.hex(),
            "maxClaimableAmount": str(self.amount),
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_json(cls, value: object) -> Voucher:
        """From x402's voucher object; `wire.MalformedPayment` otherwise."""
        fields = wire.fields_of(value, "voucher", "channelId", "maxClaimableAmount", "signature")
        return cls(
            wire.hex_bytes(fields["channelId"], "channelId", 32),
            wire.integer(fields["maxClaimableAmount"], "maxClaimableAmount", wire.AMOUNT_LIMIT),
            wire.signature(fields["signature"]),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of a claim: a channel, its newest voucher, and the total to claim (at most the voucher)."""

    config: ChannelConfig
    voucher: Voucher
    total: int

    def values(self) -> tuple[Any, ...]:
        """As the contract's ABI takes it."""
        return ((self.config.values(), self.voucher.amount), self.voucher.signature, self.total)


class ChannelDigests:
    """Everything signed about channels on one chain, with the domain computed once.

    Parameters
    ----------
    chain_id : int
    channels : str
        The contract's address.
    """

    def __init__(self, chain_id: int, channels: str = CANONICAL_CHANNELS) -> None:
        self.domain = Domain("x402 Batch Settlement", "1", chain_id, checksum(channels))
        self._prefix = b"\x19\x01" + self.domain.separator

    def channel_id(self, config: ChannelConfig) -> bytes:
        """The channel's id: 32 bytes."""
        return digest(self.domain, _CHANNEL.hash(*config.values()))

    def voucher(self, channel_id: bytes, amount: int) -> bytes:
        """What is signed to pay ``amount`` in all: two hashes and nothing else, as every call needs it."""
        return keccak256(
            self._prefix + keccak256(_VOUCHER.type_hash + channel_id + amount.to_bytes(32, "big"))
        )

    def refund(self, channel_id: bytes, nonce: int, amount: int) -> bytes:
        """What the receiver's authorizer signs to refund; ``nonce`` is the channel's refundNonce."""
        return digest(self.domain, _REFUND.hash(channel_id, nonce, amount))

    def claim_batch(self, claims: Sequence[Claim]) -> bytes:
        """What the receiver's authorizer signs to let anyone submit these claims."""
        return digest(self.domain, _CLAIM_BATCH.hash(self._entries(claims)))

    def sign_refund(self, authorizer: Account, channel_id: bytes, nonce: int, amount: int) -> bytes:
        """The signature under a `refund`."""
        return authorizer.sign_typed(self.domain, _REFUND, channel_id, nonce, amount)

    def sign_claims(self, authorizer: Account, claims: Sequence[Claim]) -> bytes:
        """The signature under a `claim_batch`."""
        return authorizer.sign_typed(self.domain, _CLAIM_BATCH, self._entries(claims))

    def sign(self, account: Account, channel_id: bytes, amount: int) -> Voucher:
        """A voucher; `BadInput` when the amount does not fit 128 bits."""
        if not 0 <= amount < wire.AMOUNT_LIMIT:
            raise BadInput(f"A voucher cannot be over {amount}.", hint="Amounts are 0 to 2**128 - 1.")
        return Voucher(channel_id, amount, account.sign_typed(self.domain, _VOUCHER, channel_id, amount))

    def verify(self, voucher: Voucher, signer: str, known: PublicKeyCache) -> bool:
        """Whether ``signer``'s key signed the voucher, in the only form the contract takes from a key."""
        return known.verify(self.voucher(voucher.channel_id, voucher.amount), voucher.signature, signer)

    def _entries(self, claims: Sequence[Claim]) -> list[tuple[bytes, int, int]]:
        return [(self.channel_id(claim.config), claim.voucher.amount, claim.total) for claim in claims]
