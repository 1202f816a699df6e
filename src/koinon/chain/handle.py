# SPDX-License-Identifier: Apache-2.0
"""What a domain gets to work with: one network through one node."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from koinon.chain import artifacts
from koinon.chain.contract import Contract
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender


class Chain:
    """A network and the node it is reached through. Keeps one sending queue an account."""

    def __init__(self, network: Network, rpc: Rpc) -> None:
        self.network = network
        self.rpc = rpc
        self._senders: dict[str, Sender] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, network: Network | Path | str, *, rpc_url: str | None = None, verify: bool = True) -> Chain:
        """From a network description or its file; ``rpc_url`` reaches it through another node.

        Raises
        ------
        NodeUnavailable, WrongNetwork
            The node does not answer, or serves something else.
        """
        found = network if isinstance(network, Network) else Network.load(network)
        rpc = Rpc(rpc_url or found.rpc_url)
        if verify:
            try:
                found.verify(rpc)
            except BaseException:
                rpc.close()
                raise
        return cls(found, rpc)

    @property
    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return self.network.chain_id

    @property
    def coin(self) -> Contract:
        """The network's payment token."""
        return self.contract("Coin")

    def contract(self, name: str, address: str | None = None) -> Contract:
        """The network's contract of that name, or one of that kind at an address (a Work's till, say)."""
        if address is None:
            return self.network.contract(self.rpc, name)
        return Contract(self.rpc, address, artifacts.load(name))

    def sender(self, key: Key) -> Sender:
        """The one queue through which this process sends for an account."""
        with self._lock:
            if key.address not in self._senders:
                self._senders[key.address] = Sender(self.rpc, key, chain_id=self.chain_id)
            return self._senders[key.address]

    def timestamp(self) -> int:
        """The latest block's time, in Unix seconds."""
        return int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def block_number(self) -> int:
        """The latest block's number."""
        return int(self.rpc.call("eth_blockNumber"), 16)

    def balance(self, address: str) -> int:
        """ETH of an account, in wei."""
        return int(self.rpc.call("eth_getBalance", address, "latest"), 16)

    def close(self) -> None:
        """Close the connection to the node."""
        self.rpc.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Chain({self.network.name}, {self.rpc!r})"
