# SPDX-License-Identifier: Apache-2.0
"""Where a Work's till stands, computed without asking anyone, and what a till's code says about itself.

A till is a CREATE2 clone made by `Works`: six bytes that accept plain ETH, the ERC-1167 proxy, and three
words (chain id, registry, work id). Twin of ``_till_code`` and ``_till_address`` in ``Works.vy``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from koinon.chain.address import ZERO_ADDRESS, checksum, create2_address, to_bytes
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput
from koinon.works.shares import WHOLE

ETH: Final = ZERO_ADDRESS
"""The token address that means the chain's own coin."""

_CREATION: Final = bytes.fromhex("3d609380600a3d3981f3")
_ACCEPT_ETH: Final = bytes.fromhex("36600557005b")
_PROXY_HEAD: Final = bytes.fromhex("363d3d373d3d3d363d73")
_PROXY_TAIL: Final = bytes.fromhex("5af43d82803e903d91603157fd5bf3")
_CODE_SIZE: Final = 147


class Footer(NamedTuple):
    """Whose till it is."""

    chain_id: int
    registry: str
    work_id: int


def till_code(implementation: str, footer: Footer) -> bytes:
    """The code of a deployed till: 147 bytes."""
    if not 0 <= footer.work_id < 2**256 or not 0 <= footer.chain_id < 2**256:
        raise BadInput("Work ids and chain ids are whole numbers from zero.", code="works.id")
    return (
        _ACCEPT_ETH
        + _PROXY_HEAD
        + to_bytes(implementation)
        + _PROXY_TAIL
        + footer.chain_id.to_bytes(32, "big")
        + to_bytes(footer.registry).rjust(32, b"\0")
        + footer.work_id.to_bytes(32, "big")
    )


def till_address(implementation: str, footer: Footer) -> str:
    """The till's address, whether it is deployed or not."""
    code = _CREATION + till_code(implementation, footer)
    return create2_address(footer.registry, bytes(32), keccak256(code))


def read_footer(code: bytes) -> Footer | None:
    """Whose till runs this code; None when it is not a till's."""
    if len(code) != _CODE_SIZE or not code.startswith(_ACCEPT_ETH + _PROXY_HEAD):
        return None
    if code[36:51] != _PROXY_TAIL or any(code[83:95]):
        return None
    return Footer(
        int.from_bytes(code[51:83], "big"), checksum(code[95:115]), int.from_bytes(code[115:147], "big")
    )


def due(balance: int, released: int, claimed: int, share: int) -> int:
    """What a payee may be paid now, in the token's smallest unit; twin of ``_due`` in ``Till.vy``."""
    return max(0, min((balance + released) * share // WHOLE - claimed, balance))
