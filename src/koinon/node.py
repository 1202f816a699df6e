# SPDX-License-Identifier: Apache-2.0
"""Node: opens the ground floor, builds each domain, and closes what it opened."""

from __future__ import annotations

import fcntl
import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from types import FrameType, TracebackType
from typing import Final, Self

from koinon.chain import network_file, spending, testnode
from koinon.chain.canonical import DEVNET_CHAIN_ID, TEST_CHAINS
from koinon.chain.contract import Call
from koinon.chain.deploy import deploy, find
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain, find_outbox
from koinon.chain.index import EventIndex
from koinon.chain.keyring import PASSWORD_VARIABLE, Keyring
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc, redact
from koinon.chain.sender import Sender
from koinon.errors import BadInput, KeyFault, NodeUnavailable, SetupError, WrongNetwork
from koinon.settings import Settings
from koinon.store import BlockStore, open_store

OPERATOR = "operator"
ALLOWANCE_WEI = 100 * 10**18
"""Test ETH a development chain gives each account that asks."""

_LOOK_EVERY_S: Final = 1.0


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
        """Start or attach to the devnet, or reach the chain the settings or ``network.json`` name, with
        Koinon's contracts on it. Processes that open one data directory at once take turns.

        Contracts are put only where money comes out of nothing: on the devnet, and on a development node of
        this machine. On any other network the node can read everything as soon as it is open, and send once
        its operator has ETH (see `read_only`).

        Raises
        ------
        SetupError
            anvil is missing, a port is taken, the data directory cannot be used, or Koinon's contracts are
            not on that chain.
        NodeUnavailable, WrongNetwork
            The chain does not answer, or is not the one that is expected.
        KeyFault
            The password does not open the operator's key.
        BadInput, IntegrityError
            ``network.json`` is damaged, or not what its signer signed.
        """
        settings.ensure_home()
        try:
            with _alone(settings):
                return cls._open(settings)
        except OSError as error:
            raise SetupError(
                f"{error.filename or settings.home} cannot be used ({error.strerror or error}).",
                hint="Give the data directory to this user and free some space, or set KOINON_HOME.",
                code="setup.home",
            ) from error

    @classmethod
    def _open(cls, settings: Settings) -> Self:
        known = _known(settings)
        url = settings.rpc_url or _node_of(known, settings)
        if url is not None:
            return cls(settings, *_reach(settings, url, known))
        operator = _operator(settings, test_money=True)
        devnet = Devnet(settings.devnet, settings.anvil)
        devnet.start()
        try:
            return cls(settings, _prepare_devnet(settings, devnet, known, operator), operator, devnet)
        except BaseException:
            devnet.stop()
            raise

    @property
    def rpc_url(self) -> str:
        """Where the chain answers, without credentials."""
        return redact(self.chain.rpc.url)

    @cached_property
    def store(self) -> BlockStore:
        """Bytes by their CID; in Kubo where it is set; what is not here is asked of peers."""
        peers = (*self.settings.peers, *self.chain.network.peers)
        return open_store(self.settings, peers)

    @cached_property
    def index(self) -> EventIndex:
        """The chain's events as SQL tables, as far as whoever follows the chain has got."""
        return EventIndex.open(self.settings, self.chain)

    @property
    def read_only(self) -> bool:
        """Whether the operator has no ETH to send anything with; true of every network one has not funded."""
        return self.chain.balance(self.operator.address) == 0

    def fund(self, *addresses: str) -> None:
        """Give accounts that have little test ETH for gas; `SetupError` where ETH is not given away."""
        poor = [address for address in addresses if self.chain.balance(address) < ALLOWANCE_WEI // 2]
        if self._devnet is not None:
            self.chain.sender(self._devnet.key(0)).send_all(
                [Call(address, b"", value=ALLOWANCE_WEI) for address in poor]
            )
            return
        if poor and not (self.chain.network.test_money and testnode.is_test_node(self.chain.rpc)):
            raise SetupError(
                f"Only a development chain gives ETH away, and {', '.join(poor)} has little.",
                hint="Send the account ETH from one that has some.",
                code="setup.no_faucet",
            )
        for address in poor:
            testnode.give(self.chain.rpc, address, ALLOWANCE_WEI)

    def wait(self, ready: Callable[[], None] = lambda: None) -> None:
        """Block until SIGINT or SIGTERM; ``ready`` is called once either is waited for.

        Where another process runs the development chain and ends, this one takes it over.

        Raises
        ------
        ChainError
            The development chain failed for good.
        """
        stopped: queue.SimpleQueue[int] = queue.SimpleQueue()  # the one queue a signal handler may put into

        def stop(number: int, _frame: FrameType | None) -> None:
            stopped.put(number)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ready()
            while True:
                try:
                    stopped.get(timeout=_LOOK_EVERY_S)
                except queue.Empty:
                    self._look_after_devnet()
                else:
                    return
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Let go of the chain; the devnet stops if this process started it."""
        if "index" in self.__dict__:
            self.index.close()
        self.chain.close()
        if self._devnet is not None:
            self._devnet.stop()

    def _look_after_devnet(self) -> None:
        if self._devnet is None:
            return
        if self._devnet.supervisor is not None:
            if self._devnet.supervisor.failure is not None:
                raise self._devnet.supervisor.failure
            return
        try:
            self.chain.block_number()
        except NodeUnavailable:
            self._devnet.stop()
            if self._devnet.start() != self.chain.rpc.url:
                raise NodeUnavailable(
                    "The process that ran the development chain ended, and its port is taken.",
                    hint="Start again.",
                    code="chain.devnet_moved",
                ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One process at a time: two that open a new data directory at once would each make its key."""
    with (settings.home / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _known(settings: Settings) -> Network | None:
    if not settings.network.exists():
        return None
    try:
        known = Network.load(settings.network)
    except BadInput as fault:
        raise BadInput(
            f"{settings.network} is not a network description.",
            hint="Move it away: for a development chain or a test network Koinon then writes it again.",
            code=fault.code,
        ) from fault
    if known.signature:
        network_file.check(known)
    return known


def _is_ours(settings: Settings) -> bool:
    """Whether the network description is the data directory's own, and not one somebody handed us."""
    return settings.network == settings.home / "network.json"


def _node_of(known: Network | None, settings: Settings) -> str | None:
    """Where a description that is in use says its node is; None for this data directory's own devnet."""
    if known is None:
        return None
    if (
        known.chain_id == DEVNET_CHAIN_ID
        and not known.signature
        and (_is_ours(settings) or settings.devnet.exists())
    ):
        return None
    return known.rpc_url


def _operator(settings: Settings, *, test_money: bool) -> Key:
    ring = Keyring(settings.keys, derivation="pbkdf2" if test_money else "scrypt")
    try:
        return ring.open(OPERATOR)
    except KeyFault as fault:
        if fault.code != "key.password":
            raise
        raise KeyFault(
            fault.message,
            hint=f"Set {PASSWORD_VARIABLE} to the password it was made with; without one, leave it out.",
            code=fault.code,
        ) from None


def _prepare_devnet(settings: Settings, devnet: Devnet, known: Network | None, operator: Key) -> Chain:
    if known is not None and known.genesis_hash != devnet.genesis_hash:
        if not _is_ours(settings):
            raise WrongNetwork(
                f"{settings.network} describes another development chain than the one in {settings.devnet}.",
                hint="Set KOINON_RPC_URL to that chain's node, or leave out the setting `network`.",
                code="chain.genesis",
            )
        known = None  # the devnet's folder was moved away: this is a new chain
    rpc = Rpc(devnet.rpc_url)
    try:
        sender = Sender(rpc, devnet.key(0), chain_id=devnet.chain_id, outbox=devnet.outbox)
        network = deploy(rpc, sender, name="Koinon devnet", known=known)
        if network != known:
            network.save(settings.network)
        chain = Chain(network, rpc, outbox=devnet.outbox)
        if chain.balance(operator.address) < ALLOWANCE_WEI // 2:
            sender.send(Call(operator.address, b"", value=ALLOWANCE_WEI))
    except BaseException:
        rpc.close()
        raise
    return chain


def _reach(settings: Settings, url: str, known: Network | None) -> tuple[Chain, Key]:
    rpc = Rpc(url)
    try:
        testnode.refuse_remote(rpc)
        if known is None:
            operator, network = _begin(settings, rpc)
        else:
            _check_network(settings, known, rpc)
            operator = _operator(settings, test_money=known.test_money)
            network = replace(known, rpc_url=url)
        if known is None or (network != known and _is_ours(settings)):
            network.save(settings.network)
        chain = Chain(network, rpc, outbox=find_outbox(network, rpc.url, settings.home), home=settings.home)
        if network.test_money and chain.balance(operator.address) == 0 and testnode.is_test_node(rpc):
            testnode.give(rpc, operator.address, ALLOWANCE_WEI)
        _set_cap(settings, chain)
    except BaseException:
        rpc.close()
        raise
    return chain, operator


def _set_cap(settings: Settings, chain: Chain) -> None:
    """Where money is real, what the settings say may be spent becomes the recorded cap."""
    if chain.purse is None or (settings.spending_cap is None and settings.spending_cap_eth is None):
        return
    before = chain.purse.cap or spending.Cap(0, 0)
    coins, ether = settings.spending_cap, settings.spending_cap_eth
    cap = spending.Cap(
        before.coins if coins is None else spending.units(coins, int(chain.coin.call("decimals"))),
        before.wei if ether is None else spending.units(ether, 18),
    )
    if cap != before:
        chain.purse.set_cap(cap)


def _check_network(settings: Settings, known: Network, rpc: Rpc) -> None:
    try:
        known.verify(rpc)
    except WrongNetwork as fault:
        if fault.code not in ("chain.id", "chain.genesis", "chain.no_contract"):
            raise
        raise WrongNetwork(
            fault.message,
            hint=f"Set KOINON_RPC_URL to a node of {known.name}. To use this chain instead, set KOINON_HOME "
            f"to another folder or move {settings.network} away.",
            code=fault.code,
        ) from None


def _begin(settings: Settings, rpc: Rpc) -> tuple[Key, Network]:
    """The network on a chain that nothing is known of but its node: found there, or, where money comes out of
    nothing, put there. A chain with real money is not begun on by accident."""
    chain_id = _chain_id(rpc)
    if testnode.is_test_node(rpc):
        operator = _operator(settings, test_money=True)
        if int(rpc.call("eth_getBalance", operator.address, "latest"), 16) == 0:
            testnode.give(rpc, operator.address, ALLOWANCE_WEI)
        return operator, deploy(rpc, Sender(rpc, operator, chain_id=chain_id), name=f"chain {chain_id}")
    if chain_id not in TEST_CHAINS:
        raise WrongNetwork(
            f"Chain {chain_id} has real money, and nobody has said which Koinon network on it to use.",
            hint=f"Join it by its file (koinon network join FILE), or put its description at "
            f"{settings.network}.",
            code="chain.real_money",
        )
    operator = _operator(settings, test_money=True)
    network = find(rpc)
    if network is None:
        raise SetupError(
            f"Koinon's contracts are not on chain {chain_id}, and {operator.address} puts them nowhere "
            "unasked.",
            hint="Join a network that exists (koinon network join FILE), or send that account test ETH and "
            "run: koinon network deploy RPC",
            code="network.not_deployed",
        )
    return operator, network


def _chain_id(rpc: Rpc) -> int:
    answer = rpc.call("eth_chainId")
    try:
        return int(answer, 16)
    except (TypeError, ValueError):
        raise NodeUnavailable(
            f"The node at {redact(rpc.url)} does not say which chain it runs.",
            hint="Check the address of the node.",
        ) from None
