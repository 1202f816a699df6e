# SPDX-License-Identifier: Apache-2.0
"""Node: opens the ground floor, builds each domain, and closes what it opened."""

from __future__ import annotations

import signal
import threading
from functools import cached_property
from types import FrameType, TracebackType
from typing import Self

from koinon.chain.contract import Call
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc, RpcError, redact
from koinon.chain.sender import Sender
from koinon.errors import SetupError, WrongNetwork
from koinon.settings import Settings
from koinon.store import BlockStore

OPERATOR = "operator"
ALLOWANCE_WEI = 100 * 10**18
"""Test ETH the devnet gives each account that asks."""

TEST_CHAINS = frozenset({1337, 31337, 84532, 421614, 11155111, 11155420})
"""Chain ids whose money is worth nothing (EIP-155 registry: local chains, Sepolia and its layer 2s)."""


class Node:
    """One data directory at work: the chain it uses, its content store, its operator's key.

    Use `Node.open`; close it, or use it as a context manager.
    """

    def __init__(self, settings: Settings, chain: Chain, operator: Key, devnet: Devnet | None = None) -> None:
        self.settings = settings
        self.chain = chain
        self.operator = operator
        self._devnet = devnet

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Start or attach to the devnet, or reach the chain the settings name, with Koinon's contracts on it.

        Raises
        ------
        SetupError
            anvil is missing, a port is taken, or nobody can pay for the contracts.
        NodeUnavailable, WrongNetwork
            The chain does not answer, or is not the one that is expected.
        """
        settings.ensure_home()
        if settings.rpc_url is not None:
            operator = Keyring(settings.keys).open(OPERATOR)
            return cls(settings, _reach(settings, settings.rpc_url, operator), operator)
        devnet = Devnet(settings.devnet, settings.anvil)
        url = devnet.start()
        try:
            operator = Keyring(settings.keys, derivation="pbkdf2").open(OPERATOR)
            chain = _prepare_devnet(settings, devnet, url, operator)
        except BaseException:
            devnet.stop()
            raise
        return cls(settings, chain, operator, devnet)

    @property
    def rpc_url(self) -> str:
        """Where the chain answers, without credentials."""
        return redact(self.chain.rpc.url)

    @cached_property
    def store(self) -> BlockStore:
        """Bytes by their CID."""
        return BlockStore(self.settings.blocks)

    def fund(self, *addresses: str) -> None:
        """Give accounts test ETH for gas, on the devnet only."""
        if self._devnet is None:
            raise SetupError(
                "Only the development chain gives ETH away.",
                hint="Send ETH to the account from one that has some.",
                code="setup.no_faucet",
            )
        poor = [address for address in addresses if self.chain.balance(address) < ALLOWANCE_WEI // 2]
        self.chain.sender(self._devnet.key(0)).send_all(
            [Call(address, b"", value=ALLOWANCE_WEI) for address in poor]
        )

    def wait(self) -> None:
        """Block until SIGINT or SIGTERM."""
        stopped = threading.Event()

        def stop(_number: int, _frame: FrameType | None) -> None:
            stopped.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            stopped.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Let go of the chain; the devnet stops if this process started it."""
        self.chain.close()
        if self._devnet is not None:
            self._devnet.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _known(settings: Settings) -> Network | None:
    return Network.load(settings.network) if settings.network.exists() else None


def _prepare_devnet(settings: Settings, devnet: Devnet, url: str, operator: Key) -> Chain:
    known = _known(settings)
    if known is not None and known.genesis_hash != devnet.genesis_hash:
        known = None  # the devnet's folder was moved away: this is a new chain
    rpc = Rpc(url)
    try:
        sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id)
        network = deploy(rpc, sender, name="Koinon devnet", known=known)
        network.save(settings.network)
        chain = Chain(network, rpc)
        if chain.balance(operator.address) < ALLOWANCE_WEI // 2:
            sender.send(Call(operator.address, b"", value=ALLOWANCE_WEI))
    except BaseException:
        rpc.close()
        raise
    return chain


def _reach(settings: Settings, url: str, operator: Key) -> Chain:
    known = _known(settings)
    if known is not None:
        return Chain.open(known, rpc_url=url)
    rpc = Rpc(url)
    try:
        return Chain(_deploy_by_operator(settings, rpc, operator), rpc)
    except BaseException:
        rpc.close()
        raise


def _deploy_by_operator(settings: Settings, rpc: Rpc, operator: Key) -> Network:
    chain_id = int(rpc.call("eth_chainId"), 16)
    local = _is_local_test_node(rpc)
    if not local and chain_id not in TEST_CHAINS:
        raise WrongNetwork(
            f"Chain {chain_id} has real money, and nobody has said which Koinon network on it to use.",
            hint=f"Put that network's description at {settings.network}.",
            code="chain.real_money",
        )
    if int(rpc.call("eth_getBalance", operator.address, "latest"), 16) == 0:
        if not local:
            raise SetupError(
                f"{operator.address} has no ETH to put Koinon's contracts on chain {chain_id}.",
                hint="Send it test ETH, or use the description of a network that exists already.",
                code="setup.no_eth",
            )
        rpc.call("anvil_setBalance", operator.address, hex(ALLOWANCE_WEI))
    network = deploy(rpc, Sender(rpc, operator, chain_id=chain_id), name=f"chain {chain_id}", test_money=True)
    network.save(settings.network)
    return network


def _is_local_test_node(rpc: Rpc) -> bool:
    """Whether the node is an anvil: its money is made up, whatever chain id it shows."""
    try:
        return str(rpc.call("web3_clientVersion")).lower().startswith("anvil")
    except RpcError:
        return False
