# SPDX-License-Identifier: Apache-2.0
"""Taking part in somebody's network: its signed file is checked against the chain, then kept.

A data directory takes part in one network, described by ``network.json``; every other network that was
deployed or looked at from there is remembered under ``networks/``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from koinon.chain import discovery, network_file, testnode
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.canonical import CANONICAL, TEST_CHAINS
from koinon.chain.deploy import creations
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, KoinonError, NodeUnavailable, SetupError, WrongNetwork
from koinon.settings import Settings

FOLDER: Final = "networks"


def join(settings: Settings, file: Path | str, *, signer: str | None = None) -> Network:
    """Check a signed network file, through a node it recommends or ``settings.rpc_url``, and make it the
    network of this data directory (``network.json``). Nothing is sent. Joining again changes nothing.

    `koinon up --join FILE` calls this before it opens the node.

    Parameters
    ----------
    settings : Settings
    file : Path
        What `koinon network export` wrote.
    signer : str, optional
        Only a file that this account signed; and then also one with other contracts than this version's own.

    Raises
    ------
    NotFound, BadInput, IntegrityError
        There is no such file, it is no network file, or it is forged.
    WrongNetwork
        Another signer; the chain id, genesis block or code differ; its contracts are not Koinon's; it calls
        real money test money; or its node is a development node that others can reach.
    SetupError
        This data directory takes part in another network already.
    NodeUnavailable
        No recommended node answers.
    """
    found = network_file.load(file)
    if signer is not None and found.signer != signer:
        raise WrongNetwork(
            f"{file} was signed by {found.signer}, not by {signer}.",
            hint="Ask whoever runs the network for their file.",
            code="network.signer",
        )
    if signer is None:
        must_be_ours(found)
    settings.ensure_home()
    target = settings.network
    before = Network.load(target) if target.exists() else None
    if before is not None and before.identity != found.identity:
        raise SetupError(
            f"This data directory takes part in {before.name} already.",
            hint="Give the other network its own: koinon --home FOLDER network join FILE",
            code="network.other",
        )
    joined = reach(found, settings.rpc_url)
    joined.save(target)
    remember(settings, joined)
    return joined


def reach(network: Network, rpc_url: str | None = None) -> Network:
    """The network with the first node that answers and passes `examine`; errors as in `join`."""
    urls = (rpc_url,) if rpc_url else network.rpc_urls
    if not urls:
        raise SetupError(
            f"The file of {network.name} recommends no node.",
            hint="Name one of that chain's: set KOINON_RPC_URL.",
            code="network.no_node",
        )
    failure: KoinonError | None = None
    for url in urls:
        with Rpc(url) as rpc:
            try:
                examine(network, rpc)
            except NodeUnavailable as unavailable:
                failure = unavailable
                continue
        return replace(network, rpc_url=url)
    raise failure or AssertionError("there is an address")


def examine(network: Network, rpc: Rpc) -> None:
    """Check a described network against a node; WrongNetwork says what does not fit."""
    testnode.refuse_remote(rpc)
    network.verify(rpc)
    if network.test_money and network.chain_id not in TEST_CHAINS and not testnode.is_test_node(rpc):
        raise WrongNetwork(
            f"{network.name} calls its money test money, but chain {network.chain_id} is no test network.",
            hint="Do not send money there. Ask whoever gave you this network description.",
            code="network.not_test_money",
        )
    missing = [name for name, code in discovery.codes(rpc, network.canonical).items() if not code]
    if missing:
        raise WrongNetwork(
            f"There is no {missing[0]} at {network.canonical[missing[0]]} on chain {network.chain_id}.",
            hint="Ask whoever gave you this network description.",
            code="chain.no_contract",
        )


def must_be_ours(network: Network) -> None:
    """`WrongNetwork` unless every contract stands where this version's own code puts it: the address follows
    from the code."""
    own = {**CANONICAL, "Coin": network.contracts.get("Coin"), **_own(network)}
    names = own.keys() | network.contracts.keys()
    strange = sorted(name for name in names if own.get(name) != network.contracts.get(name))
    if strange:
        raise WrongNetwork(
            f"{', '.join(strange)} of {network.name}: not this version of Koinon's own code.",
            hint="Update Koinon; or, if you trust who signed the file, name that account with --signer.",
            code="network.strange_code",
        )


def own_contracts(network: Network) -> set[str]:
    """The names of contracts that certainly have this version's own code, which follows from the address."""
    return {name for name, address in _own(network).items() if network.contracts.get(name) == address}


def _own(network: Network) -> dict[str, str]:
    coin = network.contracts.get("Coin")
    own_coin = network.test_money and coin == creations()["Coin"][0]
    plan = creations(None if own_coin else coin or ZERO_ADDRESS, test_money=network.test_money)
    return {name: address for name, (address, _) in plan.items()}


def remember(settings: Settings, network: Network) -> Path:
    """Keep a network's description under ``networks/``; the file."""
    slug = re.sub(r"[^a-z0-9]+", "-", network.name.lower()).strip("-")[:40] or "network"
    path = settings.home / FOLDER / f"{slug}-{network.chain_id}-{network.genesis_hash[2:10]}.json"
    network.save(path)
    return path


def remembered(settings: Settings) -> Sequence[Network]:
    """The network of this data directory first, then every other that it knows; unreadable files are passed
    over."""
    found: dict[str, Network] = {}
    for path in (settings.network, *sorted((settings.home / FOLDER).glob("*.json"))):
        try:
            network = Network.load(path)
        except KoinonError:
            continue
        found.setdefault(network.identity, network)
    return list(found.values())


def signed(
    network: Network, account: network_file.Signs, rpc_urls: Sequence[str], peers: Sequence[str]
) -> Network:
    """The network as a file for others: what is recommended is filled in, without passwords, and signed.

    A description that another account signed stays as it is, unless something is added to it.
    """
    urls = tuple(rpc_urls) or network.rpc_urls or network_file.public_urls(network.rpc_url)
    gateways = tuple(dict.fromkeys((*network.peers, *peers)))
    shared = replace(
        network,
        rpc_urls=tuple(dict.fromkeys(_shared(url) for url in urls)),
        peers=tuple(_shared(url) for url in gateways),
    )
    return network_file.sign(shared, account) if shared != network or not network.signature else network


def _shared(url: str) -> str:
    found = network_file.shared_url(url)
    if not found:
        raise BadInput(
            f"{network_file.shared_url(url) or 'That'} is no http:// or https:// address.",
            hint="Give the address others are to use.",
            code="network.url",
        )
    return found
