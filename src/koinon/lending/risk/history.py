# SPDX-License-Identifier: Apache-2.0
"""Whom a contract's events ever named, from any node: ranges of blocks shrink where it refuses long ones."""

from __future__ import annotations

from typing import Final

from koinon.chain.contract import Contract
from koinon.chain.rpc import Rpc, RpcError

_SPAN: Final = 100_000


def ever_named(rpc: Rpc, contract: Contract, event: str, field: str) -> list[str]:
    """The addresses in an event's field, each once, in the order they came."""
    last, start, span = int(rpc.call("eth_blockNumber"), 16), 0, _SPAN
    found: dict[str, None] = {}
    while start <= last:
        end = min(last, start + span - 1)
        try:
            events = contract.history(event, start, end)
        except RpcError:
            if span == 1:
                raise
            span = max(1, span // 4)
            continue
        found.update((str(each[field]), None) for each in events)
        start = end + 1
    return list(found)
