# SPDX-License-Identifier: Apache-2.0
"""What the chain says about a mined transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from koinon.chain.address import checksum


@dataclass(frozen=True)
class Receipt:
    """A mined transaction. ``status`` 1 = done, 0 = reverted; hashes are 0x-hex; ``logs`` as the node gives
    them; ``effective_gas_price`` in wei."""

    transaction_hash: str
    block_number: int
    status: int
    gas_used: int
    logs: tuple[Mapping[str, Any], ...] = field(repr=False)
    contract_address: str | None = None
    effective_gas_price: int = 0

    @classmethod
    def from_rpc(cls, found: Mapping[str, Any]) -> Receipt:
        """From the node's answer to ``eth_getTransactionReceipt``."""
        created = found.get("contractAddress")
        return cls(
            transaction_hash=str(found["transactionHash"]),
            block_number=int(found["blockNumber"], 16),
            status=int(found["status"], 16),
            gas_used=int(found["gasUsed"], 16),
            logs=tuple(found["logs"]),
            contract_address=checksum(created) if created else None,
            effective_gas_price=int(found.get("effectiveGasPrice", "0x0"), 16),
        )
