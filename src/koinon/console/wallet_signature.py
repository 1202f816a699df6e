# SPDX-License-Identifier: Apache-2.0
"""Whether an account signed: by key, as a contract (ERC-1271), or as one not deployed yet (ERC-6492)."""

from __future__ import annotations

from typing import Final

from koinon.chain import codec
from koinon.chain.address import checksum
from koinon.chain.canonical import FOREIGN
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import verify
from koinon.chain.rpc import RpcError
from koinon.errors import BadInput, KoinonError

LIMIT: Final = 8_192
_IS_VALID: Final = keccak256(b"isValidSignature(bytes32,bytes)")[:4]
_AGGREGATE: Final = keccak256(b"aggregate3((address,bool,bytes)[])")[:4]
_NOT_DEPLOYED: Final = bytes.fromhex("6492" * 16)


def _tuples(*kinds: str) -> codec.Tuple:
    members = [{"name": f"field{position}", "type": kind} for position, kind in enumerate(kinds)]
    return codec.parameters([{"name": "rows", "type": "tuple[]", "components": members}])


_CALLS: Final = _tuples("address", "bool", "bytes")
_RESULTS: Final = _tuples("bool", "bytes")


def personal_digest(message: bytes) -> bytes:
    """What ``personal_sign`` signs (ERC-191, version 0x45)."""
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


def read_signature(text: object) -> bytes:
    """A signature as wallets write it: 0x-hex; v 0 or 1 becomes 27 or 28, as contracts take it."""
    digits = text[2:] if isinstance(text, str) and text.startswith("0x") else ""
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    if not 0 < len(found) <= LIMIT:
        raise BadInput("The wallet's answer is not a signature.", hint="Try again.", code="login.signature")
    if len(found) == 65 and found[64] in (0, 1):
        return found[:64] + bytes((found[64] + 27,))
    return found


def signed_by(chain: Chain, address: str, digest: bytes, signature: bytes) -> bool:
    """Whether ``address`` (EIP-55) signed the 32-byte digest, as its contract sees it where it is one."""
    if verify(digest, signature, address):
        return True
    if signature[-32:] == _NOT_DEPLOYED:
        return _signed_before_deployment(chain, address, digest, signature[:-32])
    if chain.rpc.call("eth_getCode", address, "latest") in ("0x", "0x0", None):
        return False
    return _agrees(_call(chain, address, _question(digest, signature)))


def _signed_before_deployment(chain: Chain, address: str, digest: bytes, wrapped: bytes) -> bool:
    """ERC-6492: deploy and ask in one simulated call, through Multicall3 where the network has it."""
    try:
        factory, deployment, signature = codec.decode(["address", "bytes", "bytes"], wrapped)
    except KoinonError:
        return False
    calls = [(checksum(factory), True, deployment), (address, True, _question(digest, signature))]
    answer = _call(chain, FOREIGN["Multicall3"], _AGGREGATE + _CALLS.encode([calls]))
    try:
        (results,) = _RESULTS.read(codec.Reader(answer), 0)
    except KoinonError:
        return False
    return len(results) == 2 and bool(results[1][0]) and _agrees(results[1][1])


def _question(digest: bytes, signature: bytes) -> bytes:
    return _IS_VALID + codec.encode(["bytes32", "bytes"], [digest, signature])


def _agrees(answer: bytes) -> bool:
    return len(answer) >= 32 and answer[:32] == _IS_VALID + bytes(28)


def _call(chain: Chain, to: str, data: bytes) -> bytes:
    try:
        answer = chain.rpc.call("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
    except RpcError:
        return b""
    return bytes.fromhex(str(answer)[2:])
