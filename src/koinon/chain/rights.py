# SPDX-License-Identifier: Apache-2.0
"""Who can change a contract: what its storage and its own words say.

Read: the slots of proxies (EIP-1967's, and the older ones of ZeppelinOS that some coins use) and ``owner()``
(ERC-173). Koinon's own contracts have neither; ERC-8004's registries are proxies that their owner can give
other code. A contract of others may hide its masters elsewhere, so where nothing is found that is all that is
said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.hashing import keccak256
from koinon.chain.rpc import Rpc, RpcError

_SLOTS: Final = {
    "implementation": "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
    "admin": "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103",
    "beacon": "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50",
    "old_implementation": "0x" + keccak256(b"org.zeppelinos.proxy.implementation").hex(),
    "old_admin": "0x" + keccak256(b"org.zeppelinos.proxy.admin").hex(),
}
"""EIP-1967: keccak256("eip1967.proxy.<name>") - 1; before it: the hash of a name."""

_OWNER: Final = "0x8da5cb5b"
"""Selector of ``owner()``."""


@dataclass(frozen=True)
class Rights:
    """Who can do what with one contract; '' for nobody.

    ``implementation`` the code it runs where it is a proxy, ``admin`` and ``owner`` who may replace that code
    or whatever else its owner may do, ``beacon`` the contract that names its implementation; ``own`` whether
    it is Koinon's own code, which has no such rights.
    """

    implementation: str = ""
    admin: str = ""
    beacon: str = ""
    owner: str = ""
    own: bool = False

    @property
    def upgradable(self) -> bool:
        """Whether somebody can give it other code."""
        return bool(self.implementation or self.admin or self.beacon)

    @property
    def sentence(self) -> str:
        """For people."""
        if self.upgradable:
            return f"can be given other code by {self.admin or self.owner or 'whoever its code lets'}"
        if self.owner:
            return f"has an owner, {self.owner}"
        return "nobody can change it" if self.own else "no owner and no proxy of a usual kind was found"


def read(rpc: Rpc, contracts: Mapping[str, str], own: Collection[str] = ()) -> dict[str, Rights]:
    """Name → rights, of contracts given as name → address; ``own`` the names of Koinon's own."""
    requests: list[tuple[str, list[Any]]] = []
    for address in contracts.values():
        requests += [("eth_getStorageAt", [address, slot, "latest"]) for slot in _SLOTS.values()]
        requests.append(("eth_call", [{"to": address, "data": _OWNER}, "latest"]))
    answers = iter(rpc.batch(requests, raise_errors=False))
    found = {}
    for name in contracts:
        slots = {slot: _address(next(answers)) for slot in _SLOTS}
        found[name] = Rights(
            implementation=slots["implementation"] or slots["old_implementation"],
            admin=slots["admin"] or slots["old_admin"],
            beacon=slots["beacon"],
            owner=_address(next(answers)),
            own=name in own,
        )
    return found


def _address(word: Any) -> str:
    if isinstance(word, RpcError) or not isinstance(word, str) or len(word) != 66:
        return ""
    if int(word, 16) >> 160:
        return ""  # no address: a contract that answers anything with something else
    found = checksum("0x" + word[-40:])
    return "" if found == ZERO_ADDRESS else found
