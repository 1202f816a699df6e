# SPDX-License-Identifier: Apache-2.0
"""Development nodes, anvil's and Hardhat's: money out of nothing, code put anywhere, time set at will.

Both understand the same wishes under names of their own. Such a node does what anyone who reaches it asks, so
one that others can reach is no place even for test money: `refuse_remote`.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from koinon.chain.rpc import Rpc, RpcError, redact
from koinon.errors import WrongNetwork

_DIALECTS: Final = {"anvil": "anvil", "hardhatnetwork": "hardhat"}
"""What ``web3_clientVersion`` begins with, in lower case, and what the node's own methods begin with."""


def dialect(rpc: Rpc) -> str | None:
    """``anvil`` or ``hardhat`` where the node says it is one: its money is made up, whatever chain id it
    shows. None for every other node."""
    try:
        version = str(rpc.call("web3_clientVersion")).lower()
    except RpcError:
        return None
    return next((name for start, name in _DIALECTS.items() if version.startswith(start)), None)


def is_test_node(rpc: Rpc) -> bool:
    """Whether the node says that it is a development node."""
    return dialect(rpc) is not None


def give(rpc: Rpc, address: str, amount_wei: int) -> None:
    """Add test ETH to an account, out of nothing."""
    balance = int(rpc.call("eth_getBalance", address, "latest"), 16)
    rpc.call(_method(rpc, "setBalance"), address, hex(balance + amount_wei))


def set_code(rpc: Rpc, address: str, code: bytes) -> None:
    """Put code at an address. `RpcError` where the node is no development node."""
    rpc.call(_method(rpc, "setCode"), address, "0x" + code.hex())


def set_next_time(rpc: Rpc, timestamp: int) -> None:
    """The next block's time, in Unix seconds; both kinds of node know it by one name."""
    rpc.call("evm_setNextBlockTimestamp", timestamp)


def mine(rpc: Rpc, blocks: int = 1) -> None:
    """Make empty blocks."""
    rpc.call(_method(rpc, "mine"), hex(blocks))


def refuse_remote(rpc: Rpc) -> None:
    """`WrongNetwork` where a node that others can reach says it is a development node."""
    kind = dialect(rpc)
    if kind is not None and not is_loopback(rpc.url):
        raise WrongNetwork(
            f"The node at {redact(rpc.url)} is a development node ({kind}) that is not on this machine: "
            "whoever reaches it can make money and change every balance.",
            hint="Run it on this machine at 127.0.0.1 (through an SSH tunnel, say), or use a real node.",
            code="chain.test_node_remote",
        )


def is_loopback(url: str) -> bool:
    """Whether every address that the URL's host has is this machine's loopback."""
    host = urlsplit(url).hostname or ""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(each).split("%")[0]).is_loopback for each in found)


def _method(rpc: Rpc, name: str) -> str:
    return f"{dialect(rpc) or 'anvil'}_{name}"
