# SPDX-License-Identifier: Apache-2.0
"""Mining a development chain's lost blocks again, from its newest saved copy and its outbox.

It is done by an anvil of its own, on a port nobody knows, so that no transaction of a living process slips
into an old block. Each block gets the transactions it had, in their order, and the time it had: permits,
authorizations and vouchers that were valid then are valid again, and every result is the same. Anvil derives
all else in a block's header from these, so the block's hash tells whether it came out the same.
"""

from __future__ import annotations

import gzip
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from koinon.chain import anvil, foreign
from koinon.chain.devnet_outbox import MinedBlock
from koinon.chain.rpc import Rpc, RpcError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Replay:
    """What was mined again. ``state`` the chain's new copy; ``changed`` block number → its new hash where it
    came out otherwise (somebody had changed anvil's state by hand); ``refused`` transactions left out."""

    state: bytes
    blocks: int
    transactions: int
    changed: dict[int, str]
    refused: int


def replay(
    executable: Path,
    arguments: Sequence[str],
    blocks: Sequence[MinedBlock],
    log: Path,
    *,
    start_s: float,
    answer_s: float,
) -> Replay:
    """Mine these blocks on top of the saved chain that anvil's ``arguments`` (without port) name.

    Raises
    ------
    NodeUnavailable
        Anvil does not start, or ends.
    """
    port = free_port()
    with log.open("wb") as output:
        child = anvil.spawn(executable, [*arguments, "--port", str(port), "--order", "fifo"], output)
    try:
        with Rpc(f"http://{HOST}:{port}", timeout_s=answer_s) as rpc:
            anvil.await_answer(rpc, child, log, start_s)
            foreign.place_missing(rpc)
            refused = sum(_mine(rpc, block) for block in blocks)
            found = rpc.batch([("eth_getBlockByNumber", [hex(block.number), False]) for block in blocks])
            packed = rpc.call("anvil_dumpState")
    finally:
        child.kill()
        child.wait()
    return Replay(
        state=gzip.decompress(bytes.fromhex(packed[2:])),
        blocks=len(blocks),
        transactions=sum(len(block.transactions) for block in blocks),
        changed={
            block.number: now["hash"]
            for block, now in zip(blocks, found, strict=True)
            if now["hash"] != block.hash
        },
        refused=refused,
    )


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _mine(rpc: Rpc, block: MinedBlock) -> int:
    """Mine one block; how many of its transactions were refused."""
    refused = 0
    for raw in block.transactions:
        try:
            rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        except RpcError:
            refused += 1
    rpc.call("evm_setNextBlockTimestamp", block.timestamp)
    rpc.call("evm_mine")
    return refused
