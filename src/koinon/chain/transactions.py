# SPDX-License-Identifier: Apache-2.0
"""RLP and EIP-1559 (type 2) transactions: encoding, signing, reading back."""

from __future__ import annotations

from dataclasses import dataclass

from koinon.chain.address import checksum, to_bytes
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key, recover
from koinon.errors import BadInput, IntegrityError

RlpItem = bytes | list["RlpItem"]
"""What RLP carries: byte strings and lists of such."""

AccessList = tuple[tuple[str, tuple[bytes, ...]], ...]


@dataclass(frozen=True)
class Transaction:
    """An EIP-1559 transaction before signing. Fees in wei per gas, ``value`` in wei; ``to`` None creates."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: str | None
    value: int = 0
    data: bytes = b""
    access_list: AccessList = ()

    def _fields(self) -> list[RlpItem]:
        return [
            _integer(self.chain_id),
            _integer(self.nonce),
            _integer(self.max_priority_fee_per_gas),
            _integer(self.max_fee_per_gas),
            _integer(self.gas),
            b"" if self.to is None else to_bytes(self.to),
            _integer(self.value),
            self.data,
            [[to_bytes(address), list(slots)] for address, slots in self.access_list],
        ]

    @property
    def signing_hash(self) -> bytes:
        """keccak256 of the type byte and the unsigned fields."""
        return keccak256(b"\x02" + rlp_encode(self._fields()))

    def sign(self, key: Key) -> SignedTransaction:
        """Sign with a key; the result is what ``eth_sendRawTransaction`` takes."""
        signature = key.sign(self.signing_hash)
        signed = [
            *self._fields(),
            _integer(signature[64] - 27),
            _integer(int.from_bytes(signature[:32], "big")),
            _integer(int.from_bytes(signature[32:64], "big")),
        ]
        raw = b"\x02" + rlp_encode(signed)
        return SignedTransaction(self, key.address, raw, keccak256(raw))


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction, its sender, its raw bytes and its hash (32 bytes)."""

    transaction: Transaction
    sender: str
    raw: bytes
    hash: bytes

    @classmethod
    def from_raw(cls, raw: bytes) -> SignedTransaction:
        """Read a raw type-2 transaction.

        Raises
        ------
        IntegrityError
            Not canonical RLP, not type 2, or a signature nobody can have made.
        """
        if raw[:1] != b"\x02":
            raise IntegrityError("Only type-2 transactions are read.", code="chain.transaction_data")
        fields = rlp_decode(raw[1:])
        if not isinstance(fields, list) or len(fields) != 12:
            raise _malformed()
        numbers = [_read_integer(fields[index]) for index in (0, 1, 2, 3, 4, 6, 9, 10, 11)]
        to, data = fields[5], fields[7]
        if not isinstance(to, bytes) or len(to) not in (0, 20) or not isinstance(data, bytes):
            raise _malformed()
        chain_id, nonce, priority, fee, gas, value, parity, r, s = numbers
        if parity > 1 or max(r, s) >= 2**256:
            raise _malformed()
        transaction = Transaction(
            chain_id,
            nonce,
            priority,
            fee,
            gas,
            "0x" + to.hex() if to else None,
            value,
            data,
            _access(fields[8]),
        )
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((27 + parity,))
        return cls(transaction, recover(transaction.signing_hash, signature), raw, keccak256(raw))


def create_address(sender: str, nonce: int) -> str:
    """Address of a contract created by an ordinary transaction: keccak256(rlp([sender, nonce]))[12:]."""
    return checksum(keccak256(rlp_encode([to_bytes(sender), _integer(nonce)]))[12:])


def rlp_encode(item: RlpItem) -> bytes:
    """Recursive length prefix encoding (Yellow Paper, appendix B)."""
    if isinstance(item, list):
        body = b"".join(rlp_encode(member) for member in item)
        return _prefix(len(body), 0xC0) + body
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _prefix(len(item), 0x80) + item


def rlp_decode(data: bytes) -> RlpItem:
    """The inverse of `rlp_encode`; `IntegrityError` unless the encoding is canonical and complete."""
    item, end = _decode_at(data, 0, 0)
    if end != len(data):
        raise _malformed()
    return item


def _prefix(length: int, base: int) -> bytes:
    if length < 56:
        return bytes((base + length,))
    size = _integer(length)
    return bytes((base + 55 + len(size),)) + size


def _decode_at(data: bytes, position: int, depth: int) -> tuple[RlpItem, int]:
    if position >= len(data) or depth > 16:
        raise _malformed()
    first = data[position]
    if first < 0x80:
        return data[position : position + 1], position + 1
    base = 0xC0 if first >= 0xC0 else 0x80
    start, length = position + 1, first - base
    if length > 55:
        size = data[start : start + length - 55]
        if len(size) != length - 55 or size[0] == 0 or int.from_bytes(size, "big") < 56:
            raise _malformed()
        start, length = start + len(size), int.from_bytes(size, "big")
    end = start + length
    if end > len(data):
        raise _malformed()
    if base == 0x80:
        if length == 1 and data[start] < 0x80:
            raise _malformed()
        return data[start:end], end
    members: list[RlpItem] = []
    while start < end:
        member, start = _decode_at(data[:end], start, depth + 1)
        members.append(member)
    return members, end


def _integer(number: int) -> bytes:
    if number < 0:
        raise BadInput("A transaction carries no negative number.")
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _read_integer(item: RlpItem) -> int:
    if not isinstance(item, bytes) or item[:1] == b"\0":
        raise _malformed()
    return int.from_bytes(item, "big")


def _access(item: RlpItem) -> AccessList:
    entries = []
    for entry in item if isinstance(item, list) else [b""]:
        if not isinstance(entry, list) or len(entry) != 2:
            raise _malformed()
        address, slots = entry
        if not isinstance(address, bytes) or len(address) != 20 or not isinstance(slots, list):
            raise _malformed()
        if any(not isinstance(slot, bytes) or len(slot) != 32 for slot in slots):
            raise _malformed()
        entries.append(("0x" + address.hex(), tuple(slot for slot in slots if isinstance(slot, bytes))))
    return tuple(entries)


def _malformed() -> IntegrityError:
    return IntegrityError("The transaction's bytes are malformed.", code="chain.transaction_data")
