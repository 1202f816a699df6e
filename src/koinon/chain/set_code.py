# SPDX-License-Identifier: Apache-2.0
"""Letting an account run code: EIP-7702 authorizations and the transactions (type 4) that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.chain.address import ZERO_ADDRESS, checksum, to_bytes
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key, recover
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.chain.transactions import RlpItem, Transaction, rlp_encode
from koinon.errors import BadInput, TransactionFailed

DESIGNATOR: Final = bytes.fromhex("ef0100")
"""What an account's code begins with while it delegates; the delegate's address follows."""

_GAS: Final = 150_000
"""Of a transaction that only sets code: 21,000, 25,000 an authorization, and a good margin."""


@dataclass(frozen=True)
class Authorization:
    """An account's word that it runs the code at ``delegate`` (zero for none any more), on one chain, with
    its next nonce. It is never made for all chains at once (chain id 0), as the standard would allow."""

    chain_id: int
    delegate: str
    nonce: int

    def __post_init__(self) -> None:
        if self.chain_id <= 0:
            raise BadInput("An authorization names its chain.", code="chain.authorization")

    def _fields(self) -> list[RlpItem]:
        return [_integer(self.chain_id), to_bytes(self.delegate), _integer(self.nonce)]

    @property
    def signing_hash(self) -> bytes:
        """keccak256(0x05 ‖ rlp([chain id, address, nonce]))."""
        return keccak256(b"\x05" + rlp_encode(self._fields()))

    def sign(self, key: Key) -> SignedAuthorization:
        """The account's signature."""
        return SignedAuthorization(self, key.sign(self.signing_hash))


@dataclass(frozen=True)
class SignedAuthorization:
    """An authorization with its 65-byte signature."""

    authorization: Authorization
    signature: bytes

    @property
    def account(self) -> str:
        """Whose account it is for."""
        return recover(self.authorization.signing_hash, self.signature)

    def fields(self) -> list[RlpItem]:
        """As a transaction lists it."""
        return [*self.authorization._fields(), *_signature(self.signature)]


def sign_set_code(transaction: Transaction, authorizations: list[SignedAuthorization], key: Key) -> bytes:
    """The raw type-4 transaction with these fields; BadInput without a receiver or an authorization."""
    if transaction.to is None or not authorizations:
        raise BadInput(
            "A type-4 transaction has a receiver and an authorization.", code="chain.authorization"
        )
    fields: list[RlpItem] = [*transaction._fields(), [each.fields() for each in authorizations]]
    signature = key.sign(keccak256(b"\x04" + rlp_encode(fields)))
    return b"\x04" + rlp_encode([*fields, *_signature(signature)])


def delegate_of(rpc: Rpc, account: str) -> str | None:
    """Whose code an account runs; None where none, or its own."""
    code = bytes.fromhex(str(rpc.call("eth_getCode", account, "latest"))[2:])
    return checksum("0x" + code[3:].hex()) if len(code) == 23 and code[:3] == DESIGNATOR else None


def set_code(chain: Chain, key: Key, delegate: str = ZERO_ADDRESS) -> Receipt:
    """Let an account run the code at an address from now on (none any more for zero), and wait for it.

    Raises
    ------
    TransactionFailed
        It was not carried out: another transaction of the account's came before it. Try again.
    """
    count, block, tip = chain.rpc.batch(
        [
            ("eth_getTransactionCount", [key.address, "pending"]),
            ("eth_getBlockByNumber", ["latest", False]),
            ("eth_maxPriorityFeePerGas", []),
        ]
    )
    nonce, priority = int(count, 16), int(tip, 16)
    fee = 2 * int(block["baseFeePerGas"], 16) + priority
    transaction = Transaction(chain.chain_id, nonce, priority, fee, _GAS, key.address)
    # The sender's nonce has risen by the time its own authorization is looked at.
    signed = Authorization(chain.chain_id, delegate, nonce + 1).sign(key)
    raw = sign_set_code(transaction, [signed], key)
    chain.rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    receipt = Sender(chain.rpc, key, chain_id=chain.chain_id).wait(keccak256(raw))
    wanted = None if delegate == ZERO_ADDRESS else checksum(delegate)
    if delegate_of(chain.rpc, key.address) != wanted:
        raise TransactionFailed(
            f"{key.address} does not run the code that it was to run.",
            hint="Another of its transactions came in between: try again.",
            code="chain.authorization",
        )
    return receipt


def _integer(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _signature(signature: bytes) -> list[RlpItem]:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return [_integer(signature[64] - 27), _integer(r), _integer(s)]
