# SPDX-License-Identifier: Apache-2.0
"""What tests of the hall's promises and judgements share."""

from __future__ import annotations

from typing import Any

import boa
from eth_abi.abi import encode

from koinon.chain.hashing import keccak256


def pretend_length(contract: Any, counter: str, key: int | str, length: int) -> None:
    """Set ``counter[key]`` of a contract in storage, as if that many entries had been written."""
    slot = contract.compiler_data.storage_layout["storage_layout"][counter]["slot"]
    number = key if isinstance(key, int) else int(key, 16)
    place = keccak256(encode(["uint256", "uint256"], [slot, number]))
    boa.env.set_storage(contract.address, int.from_bytes(place, "big"), length)
