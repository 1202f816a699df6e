# SPDX-License-Identifier: Apache-2.0
"""Other people's contracts that programs expect on every network: their code, for development chains.

Where it comes from and under what licence stands in each file of ``artifacts/foreign`` and in
``LICENSES/multicall3-permit2-MIT.txt``.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import orjson

from koinon.chain import testnode
from koinon.chain.canonical import FOREIGN
from koinon.chain.rpc import Rpc


@lru_cache(maxsize=16)
def runtime(name: str) -> bytes:
    """The code that stands at ``FOREIGN[name]`` on Ethereum's main network."""
    file = resources.files("koinon.chain").joinpath("artifacts", "foreign", f"{name}.json")
    return bytes.fromhex(orjson.loads(file.read_bytes())["runtime"][2:])


def place_missing(rpc: Rpc) -> list[str]:
    """Put the code where a development node has none; the names of what was missing.

    Whatever stands there already stays. `RpcError` where the node is no development node.
    """
    codes = rpc.batch([("eth_getCode", [address, "latest"]) for address in FOREIGN.values()])
    missing = [name for name, code in zip(FOREIGN, codes, strict=True) if code == "0x"]
    for name in missing:
        testnode.set_code(rpc, FOREIGN[name], runtime(name))
    return missing
