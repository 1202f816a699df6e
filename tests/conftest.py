# SPDX-License-Identifier: Apache-2.0
"""What tests of every room share: one running development chain with everything deployed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from koinon.chain.contract import Call
from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet, find_anvil
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import SetupError
from tests.services.support import Hall, open_hall

# Machines differ and share their cores: how long an example takes says nothing about whether it is right.
hypothesis_settings.register_profile("koinon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("koinon")

CLOCK_TOLERANCE_S = 60
"""How far ahead of this machine's clock the session chain's may be, in seconds."""


@pytest.fixture(scope="session")
def anvil_path() -> Path:
    """The anvil executable; what needs it is left out where there is none."""
    try:
        return find_anvil()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")


@pytest.fixture(scope="session")
def devnet(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Devnet]:
    """A development chain for the whole session, with every contract deployed (see ``network``)."""
    with Devnet(tmp_path_factory.mktemp("devnet"), anvil_path) as running:
        yield running


@pytest.fixture(scope="session")
def network(devnet: Devnet) -> Network:
    """The session chain's contracts."""
    with Rpc(devnet.rpc_url) as rpc:
        return deploy(rpc, Sender(rpc, devnet.key(0), chain_id=devnet.chain_id))


@pytest.fixture(scope="session")
def network_file(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("network") / "network.json"
    network.save(path)
    return path


@pytest.fixture
def chain(network: Network) -> Iterator[Chain]:
    """A connection to the session chain. Its clock is everybody's: what moves one takes `own_chain`."""
    with Chain.open(network) as opened:
        yield opened
        ahead = int(opened.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16) - time.time()
        assert ahead < CLOCK_TOLERANCE_S, "this test moved the session chain's clock: use own_chain"


@pytest.fixture
def new_account(chain: Chain, devnet: Devnet) -> Callable[..., Key]:
    """Makes accounts that hold test ETH (``ether`` whole ones, 10 by default)."""
    return account_maker(chain, devnet)


@pytest.fixture(scope="session")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """A plain anvil for everyone who sells and buys calls. Its clock is everybody's, too."""
    with open_hall(tmp_path_factory.mktemp("hall")) as opened:
        yield opened


@pytest.fixture(scope="module")
def own_devnet(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Devnet]:
    """A development chain of a module's own."""
    with Devnet(tmp_path_factory.mktemp("own-devnet"), anvil_path) as running:
        yield running


@pytest.fixture(scope="module")
def own_chain(own_devnet: Devnet) -> Iterator[Chain]:
    """A connection to the module's own chain, with every contract deployed; tests may move its clock."""
    with Rpc(own_devnet.rpc_url) as rpc:
        network = deploy(rpc, Sender(rpc, own_devnet.key(0), chain_id=own_devnet.chain_id))
    with Chain.open(network) as opened:
        yield opened


@pytest.fixture
def own_account(own_chain: Chain, own_devnet: Devnet) -> Callable[..., Key]:
    """Like `new_account`, on the module's own chain."""
    return account_maker(own_chain, own_devnet)


def account_maker(chain: Chain, devnet: Devnet) -> Callable[..., Key]:
    """What makes accounts with test ETH on a chain."""

    def make(ether: int = 10) -> Key:
        key = Key.generate()
        if ether:
            chain.sender(devnet.key(0)).send(Call(key.address, value=ether * 10**18))
        return key

    return make
