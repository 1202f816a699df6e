# SPDX-License-Identifier: Apache-2.0
"""What stands on a chain already: code by address, the block it came with, other people's registries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from koinon.chain.canonical import ERC8004
from koinon.chain.rpc import Rpc, RpcError


def codes(rpc: Rpc, contracts: Mapping[str, str]) -> dict[str, bytes]:
    """Name → code, of contracts given as name → address; b'' where there is none."""
    answers = rpc.batch([("eth_getCode", [address, "latest"]) for address in contracts.values()])
    return {name: bytes.fromhex(code[2:]) for name, code in zip(contracts, answers, strict=True)}


def registries(rpc: Rpc) -> dict[str, str]:
    """ERC-8004's registries, name → address, where this chain has both of a pair; else nothing."""
    for pair in ERC8004:
        if all(codes(rpc, pair).values()):
            return dict(pair)
    return {}


def first_block(rpc: Rpc, addresses: Iterable[str]) -> int:
    """The block before the first of these contracts was created: nothing of theirs is earlier.

    Found by halving, with ``eth_getCode`` at old blocks. 0 where the node keeps no old states: then whoever
    reads history reads all of it, which is slow and right.
    """
    wanted = list(addresses)
    low, high = 0, int(rpc.call("eth_blockNumber"), 16)  # nothing at low; something at high
    try:
        while high - low > 1:
            middle = (low + high) // 2
            found = rpc.batch([("eth_getCode", [address, hex(middle)]) for address in wanted])
            if any(code != "0x" for code in found):
                high = middle
            else:
                low = middle
    except RpcError:
        return 0
    return low
