# SPDX-License-Identifier: Apache-2.0
"""What holders of a token sign instead of sending: ERC-3009 authorizations and EIP-2612 permits."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.chain.contract import Contract
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.works.payments import DepositAuthorization, deposit_nonce

TRANSFER_BY_KEY: Final = (
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
)
TRANSFER_BY_BYTES: Final = "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"
RECEIVE_BY_BYTES: Final = "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"
CANCEL_BY_BYTES: Final = "cancelAuthorization(address,bytes32,bytes)"

_AUTHORIZATION: Final = (
    "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
_TRANSFER: Final = TypedStruct("TransferWithAuthorization" + _AUTHORIZATION)
_RECEIVE: Final = TypedStruct("ReceiveWithAuthorization" + _AUTHORIZATION)
_CANCEL: Final = TypedStruct("CancelAuthorization(address authorizer,bytes32 nonce)")
_PERMIT: Final = TypedStruct(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


class CoinDigests:
    """Everything signed about one token, with the domain computed once.

    Parameters
    ----------
    chain_id : int
    token : str
        Its address.
    name, version : str
        Its EIP-712 domain, as ERC-5267 tells it.
    """

    def __init__(self, chain_id: int, token: str, name: str, version: str) -> None:
        self.domain = Domain(name, version, chain_id, token)

    @classmethod
    def of(cls, token: Contract, chain_id: int) -> CoinDigests:
        """Read name and version from a token that has ERC-5267."""
        _, name, version, *_ = token.call("eip712Domain")
        return cls(chain_id, token.address, name, version)

    def transfer(
        self, sender: str, to: str, amount: int, *, valid_after: int, valid_before: int, nonce: bytes
    ) -> bytes:
        """TransferWithAuthorization (ERC-3009): anyone may carry it out. Times in seconds, both exclusive."""
        return digest(self.domain, _TRANSFER.hash(sender, to, amount, valid_after, valid_before, nonce))

    def receive(
        self, sender: str, to: str, amount: int, *, valid_after: int, valid_before: int, nonce: bytes
    ) -> bytes:
        """ReceiveWithAuthorization (ERC-3009): only ``to`` may carry it out."""
        return digest(self.domain, _RECEIVE.hash(sender, to, amount, valid_after, valid_before, nonce))

    def cancel(self, authorizer: str, nonce: bytes) -> bytes:
        """CancelAuthorization (ERC-3009)."""
        return digest(self.domain, _CANCEL.hash(authorizer, nonce))

    def permit(self, owner: str, spender: str, amount: int, nonce: int, deadline: int) -> bytes:
        """Permit (EIP-2612); ``nonce`` is the token's next for the owner."""
        return digest(self.domain, _PERMIT.hash(owner, spender, amount, nonce, deadline))

    def sign_deposit(
        self, payer: Account, collector: str, channel_id: bytes, amount: int, *, valid_before: int, salt: int
    ) -> DepositAuthorization:
        """The authorization that lets anyone put ``amount`` of the payer's tokens into one channel.

        Parameters
        ----------
        payer : Account
        collector : str
            The ERC-3009 collector's address.
        channel_id : bytes
        amount : int
        valid_before : int
            Unix seconds, exclusive.
        salt : int
            Random, below 2**256; one authorization a salt.
        """
        nonce = deposit_nonce(channel_id, salt)
        signature = payer.sign_typed(
            self.domain, _RECEIVE, payer.address, collector, amount, 0, valid_before, nonce
        )
        return DepositAuthorization(amount, 0, valid_before, salt, signature)

    def sign_transfer(
        self, payer: Account, to: str, amount: int, *, valid_before: int, nonce: bytes
    ) -> bytes:
        """The signature under a TransferWithAuthorization that is valid at once; see `transfer`."""
        return payer.sign_typed(self.domain, _TRANSFER, payer.address, to, amount, 0, valid_before, nonce)
