# SPDX-License-Identifier: Apache-2.0
"""Verified mode: blocks whose logs are proven by the block's own hash, whatever the node would like to show.

For each block the header's hash is computed from its fields, the receipts' root from the receipts, their
bloom filter from their logs, and each header must build on the one before. A node that drops, changes or
invents an event, or gives one block for another, is caught before anything is written.

**What this cannot know:** that the chain of headers is the one the network agreed on. A node could make up a
whole chain of its own, with honest roots, since neither proof of work nor the validators' signatures are
checked, nor that the first block read follows the genesis block. Compare a recent block's hash with another
node or a block explorer to rule that out. That a node hides the newest blocks cannot be seen from inside
either. The hashes of transactions beside the events are the node's word: receipts do not contain them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from koinon.chain.hashing import keccak256
from koinon.chain.index.trie import trie_root
from koinon.chain.index.window import Filter, Header, Log, Moved, check_links, header_of, tidy
from koinon.chain.rpc import Rpc, RpcError, redact
from koinon.chain.transactions import RlpItem, rlp_encode
from koinon.errors import IntegrityError

_NUMBERS: Final = frozenset(
    {
        *("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"),
        *("blobGasUsed", "excessBlobGas", "slotNumber"),
    }
)
_FIELDS: Final = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"),
    *("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce"),
)
_LATER_FIELDS: Final = (
    "baseFeePerGas",  # London, EIP-1559
    "withdrawalsRoot",  # Shanghai, EIP-4895
    *("blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot"),  # Cancun, EIP-4844 and EIP-4788
    "requestsHash",  # Prague, EIP-7685; Osaka adds none
)
_DEPOSIT: Final = 0x7E  # OP Stack's deposit transaction
_METHOD_MISSING: Final = frozenset({-32601, -32004})


class VerifiedWindow:
    """Blocks ``start`` to ``end``, each proven by its header.

    Raises
    ------
    IntegrityError
        Something does not fit; the message names the block and the node.
    """

    def __init__(self, rpc: Rpc, start: int, end: int, *, parent_hash: str | None) -> None:
        self.start, self.end = start, end
        self._rpc = rpc
        numbers = range(start, end + 1)
        answers = rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
        if None in answers:
            raise Moved
        self._blocks: dict[int, Mapping[str, Any]] = dict(zip(numbers, answers, strict=True))
        self._headers = {number: self._check_header(number) for number in numbers}
        check_links(self._headers, parent_hash)
        self._receipts: dict[int, Sequence[Log]] = {}

    def logs(self, wanted: Filter) -> list[Log]:
        if not wanted.addresses or not wanted.topics:
            return []
        # The bloom filter is part of the hashed header: a block it excludes has no such log.
        needed = [
            number
            for number, block in self._blocks.items()
            if number not in self._receipts and _may_have(_bytes(block["logsBloom"]), wanted)
        ]
        self._fetch_receipts(needed)
        return tidy(self._rpc, list(self._receipts.values()), self.start, self.end, wanted)

    def seal(self) -> dict[int, Header]:
        return self._headers

    def _check_header(self, number: int) -> Header:
        block = self._blocks[number]
        header = header_of(self._rpc, block, number)
        try:
            computed = header_hash(block)
        except (KeyError, TypeError, ValueError) as fault:
            raise self._lie(number, f"its header is incomplete ({fault})") from None
        if computed != header.hash:
            raise self._lie(number, "its header does not have the hash the node gives it")
        return header

    def _fetch_receipts(self, numbers: Sequence[int]) -> None:
        answers = self._rpc.batch(
            [("eth_getBlockReceipts", [hex(number)]) for number in numbers], raise_errors=False
        )
        for number, answer in zip(numbers, answers, strict=True):
            receipts = answer
            if isinstance(answer, RpcError):
                if answer.rpc_code not in _METHOD_MISSING:
                    raise answer
                receipts = self._rpc.batch(
                    [("eth_getTransactionReceipt", [given]) for given in self._blocks[number]["transactions"]]
                )
            self._receipts[number] = self._proven(number, receipts)

    def _proven(self, number: int, receipts: Any) -> list[Log]:
        block = self._blocks[number]
        try:
            root, bloom = receipts_root(receipts)
            fits = root == _bytes(block["receiptsRoot"]) and bloom == _bytes(block["logsBloom"])
            logs = [log for receipt in receipts for log in receipt["logs"]] if fits else []
        except (KeyError, TypeError, ValueError, AttributeError):
            fits = False
        if not fits:
            now = self._rpc.call("eth_getBlockByNumber", hex(number), False)
            if now is None or str(now.get("hash")).lower() != self._headers[number].hash:
                raise Moved
            raise self._lie(number, "its receipts do not have the root that its header commits to")
        # Place and block are not part of a receipt: they follow from the order, not from what the node says.
        return [
            {
                "address": log["address"],
                "topics": [topic.lower() for topic in log["topics"]],
                "data": log["data"],
                "blockNumber": hex(number),
                "blockHash": self._headers[number].hash,
                "transactionHash": self._blocks[number]["transactions"][int(log["transactionIndex"], 16)],
                "logIndex": hex(position),
            }
            for position, log in enumerate(logs)
        ]

    def _lie(self, number: int, what: str) -> IntegrityError:
        return IntegrityError(
            f"Block {number} from the node at {redact(self._rpc.url)} is not genuine: {what}.",
            hint="Nothing of it was written. Use another node.",
            code="index.lying_node",
        )


def header_hash(block: Mapping[str, Any]) -> str:
    """keccak256 of the header's RLP, from the fields of a block as JSON-RPC gives it (0x-hex)."""
    names = [*_FIELDS, *(name for name in _LATER_FIELDS if block.get(name) is not None)]
    fields: list[RlpItem] = [
        _integer(block[name]) if name in _NUMBERS else _bytes(block[name]) for name in names
    ]
    return "0x" + keccak256(rlp_encode(fields)).hex()


def receipts_root(receipts: Sequence[Mapping[str, Any]]) -> tuple[bytes, bytes]:
    """(root of the receipts' trie, their bloom filter), from receipts in the order of their transactions."""
    entries, union = {}, 0
    for position, receipt in enumerate(receipts):
        logs: list[RlpItem] = []
        bloom = 0
        for log in receipt["logs"]:
            address, topics = _bytes(log["address"]), [_bytes(topic) for topic in log["topics"]]
            if int(log["transactionIndex"], 16) != position:
                raise ValueError("a log names another transaction than its receipt's")
            for item in (address, *topics):
                bloom |= bloom_of(item)
            logs.append([address, list(topics), _bytes(log["data"])])
        union |= bloom
        status = _bytes(receipt["root"]) if receipt.get("root") else _integer(receipt["status"])
        fields: list[RlpItem] = [
            status, _integer(receipt["cumulativeGasUsed"]), bloom.to_bytes(256, "big"), logs
        ]  # fmt: skip
        kind = int(receipt.get("type") or "0x0", 16)
        if kind == _DEPOSIT:
            names = ("depositNonce", "depositReceiptVersion")
            fields += [_integer(receipt[name]) for name in names if receipt.get(name) is not None]
        prefix = bytes((kind,)) if kind else b""
        entries[rlp_encode(_integer(hex(position)))] = prefix + rlp_encode(fields)
    return trie_root(entries), union.to_bytes(256, "big")


@lru_cache(maxsize=16_384)
def bloom_of(item: bytes) -> int:
    """Three of 2048 bits (Yellow Paper, 4.3.1)."""
    digest = keccak256(item)
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits


def _may_have(bloom: bytes, wanted: Filter) -> bool:
    bits = int.from_bytes(bloom, "big")
    if not bits:
        return False
    return any(_within(bits, topic) for topic in wanted.topics) and any(
        _within(bits, address) for address in wanted.addresses
    )


def _within(bits: int, item: str) -> bool:
    wanted = bloom_of(_bytes(item))
    return bits & wanted == wanted


def _bytes(text: str) -> bytes:
    if text[:2] != "0x":
        raise ValueError("not hex")
    return bytes.fromhex(text[2:])


def _integer(text: str) -> bytes:
    number = int(text, 16)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
