# SPDX-License-Identifier: Apache-2.0
"""What tests of every room share: one running development chain with everything deployed."""

from __future__ import annotations

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

# Machines differ and share their cores: how long an example takes says nothing about whether it is right.
hypothesis_settings.register_profile("koinon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("koinon")


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
    """A connection to the session chain."""
    with Chain.open(network) as opened:
        yield opened


@pytest.fixture
def new_account(chain: Chain, devnet: Devnet) -> Callable[..., Key]:
    """Makes accounts that hold test ETH (``ether`` whole ones, 10 by default)."""

    def make(ether: int = 10) -> Key:
        key = Key.generate()
        if ether:
            chain.sender(devnet.key(0)).send(Call(key.address, value=ether * 10**18))
        return key

    return make
