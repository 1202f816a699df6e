# SPDX-License-Identifier: Apache-2.0
"""What a domain gets to work with: one network through one node."""

from __future__ import annotations

import contextlib
import threading
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, overload

from koinon.chain import artifacts
from koinon.chain.account import Account, Sending, SendsElsewhere
from koinon.chain.canonical import DEVNET_CHAIN_ID
from koinon.chain.contract import Contract
from koinon.chain.devnet_outbox import DevnetOutbox
from koinon.chain.guard import Guard, GuardedSender
from koinon.chain.keys import Key
from koinon.chain.local_devnet import folder_of
from koinon.chain.network import Network
from koinon.chain.outbox import MemoryOutbox, Outbox
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.chain.spending import Purse
from koinon.chain.sqlite_outbox import FILE_NAME, SqliteOutbox, chain_name
from koinon.chain.testnode import is_test_node
from koinon.errors import KeyFault, NodeUnavailable


class Chain:
    """A network and the node it is reached through. Keeps one sending queue an account.

    Parameters
    ----------
    network : Network
    rpc : Rpc
    outbox : Outbox, optional
        Where the queues keep transactions; see `find_outbox`. In memory by default, except on a development
        chain of this machine.
    home : Path, optional
        The data directory where it is counted what is spent, where money is real.
    """

    def __init__(
        self, network: Network, rpc: Rpc, *, outbox: Outbox | None = None, home: Path | None = None
    ) -> None:
        self.network = network
        self.rpc = rpc
        self.purse = None if network.test_money or home is None else Purse(home, network)
        self.outbox: Outbox = outbox or find_outbox(network, rpc.url)
        self._senders: dict[str, Sender] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, network: Network | Path | str, *, rpc_url: str | None = None, verify: bool = True) -> Chain:
        """From a network description or its file; ``rpc_url`` reaches it through another node. The outbox is
        beside the file.

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
        home = None if isinstance(network, Network) else Path(network).absolute().parent
        return cls(found, rpc, outbox=find_outbox(found, rpc.url, home), home=home)

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

    @overload
    def sender(self, key: Key) -> Sender: ...

    @overload
    def sender(self, key: Account) -> Sending: ...

    def sender(self, key: Account) -> Sending:
        """The one queue through which this process sends for a key; an account whose key is elsewhere brings
        its own. `KeyFault` where it has none."""
        if isinstance(key, SendsElsewhere):
            return key.sending(self)
        if not isinstance(key, Key):
            raise KeyFault(
                f"{key.address} can sign here, but not send.",
                hint="Use an account with a way of sending.",
                code="key.cannot_send",
            )
        with self._lock:
            if key.address not in self._senders:
                sender = (
                    GuardedSender(self, key, outbox=self.outbox, guard=self.guard)
                    if self._eth_is_scarce
                    else Sender(self.rpc, key, chain_id=self.chain_id, outbox=self.outbox)
                )
                with contextlib.suppress(NodeUnavailable):  # whoever sends next is told
                    sender.resend()
                self._senders[key.address] = sender
            return self._senders[key.address]

    @property
    def guard(self) -> Guard | None:
        """Who must be asked before an own key signs coins away; None where money is worth nothing."""
        return self.purse

    @cached_property
    def _eth_is_scarce(self) -> bool:
        """Whether nobody can make ETH out of nothing here."""
        if not self.network.test_money:
            return True
        return self.chain_id != DEVNET_CHAIN_ID and not is_test_node(self.rpc)

    def timestamp(self) -> int:
        """The latest block's time, in Unix seconds."""
        return int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def next_timestamp(self) -> int:
        """The time that a transaction sent now would see: where nothing happens, the latest block grows old.
        A node that knows of no pending block tells the latest's."""
        pending = self.rpc.call("eth_getBlockByNumber", "pending", False)
        return self.timestamp() if pending is None else int(pending["timestamp"], 16)

    def block_number(self) -> int:
        """The latest block's number."""
        return int(self.rpc.call("eth_blockNumber"), 16)

    def balance(self, address: str) -> int:
        """ETH of an account, in wei."""
        return int(self.rpc.call("eth_getBalance", address, "latest"), 16)

    def close(self) -> None:
        """Close the connection to the node, and the outbox."""
        self.rpc.close()
        if self.purse is not None:
            self.purse.close()
        if isinstance(self.outbox, SqliteOutbox):
            self.outbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Chain({self.network.name}, {self.rpc!r})"


def find_outbox(network: Network, rpc_url: str, home: Path | None = None) -> Outbox:
    """Where transactions on this network are kept from before they are sent until they cannot be lost.

    On a development chain that runs on this machine, in its folder, whoever sends; elsewhere in the data
    directory ``home``, or in memory without one.
    """
    name = chain_name(network.chain_id, network.genesis_hash)
    if network.chain_id == DEVNET_CHAIN_ID:
        folder = folder_of(rpc_url, network.genesis_hash)
        if folder is not None:
            return DevnetOutbox(folder / FILE_NAME, name)
    return MemoryOutbox() if home is None else SqliteOutbox(home / FILE_NAME, name)
