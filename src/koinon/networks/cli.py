# SPDX-License-Identifier: Apache-2.0
"""``koinon network …``: put a network on a chain, hand it to others, join theirs, check any; cap spending."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from rich.markup import escape

from koinon.chain import joining, network_file, spending, testnode, verification
from koinon.chain.address import checksum
from koinon.chain.canonical import TEST_CHAINS
from koinon.chain.deploy import Cost, cost, deploy
from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.chain.sqlite_outbox import FILE_NAME, SqliteOutbox, chain_name
from koinon.errors import BadInput, SetupError, WrongNetwork
from koinon.networks.show import (
    ETHER,
    decimal,
    document,
    show_cap,
    show_deployed,
    show_exported,
    show_list,
    show_report,
)
from koinon.node import ALLOWANCE_WEI, OPERATOR
from koinon.settings import Settings
from koinon.terminal import Session, Terminal, json_option


@click.group()
def group() -> None:
    """Put Koinon on a chain, join somebody's network, check one, cap what may be spent."""


@group.command("deploy")
@click.argument("rpc_url", metavar="RPC")
@click.option("--name", default="", help="What people will call it.")
@click.option("--coin", metavar="ADDRESS", help="The ERC-20 with ERC-3009 to be paid in; ours by default.")
@click.option("--real-money", is_flag=True, help="The chain's money is worth something; needs --coin.")
@click.option("--yes", is_flag=True, help="Spend what it costs without asking.")
@json_option
@click.pass_obj
def deploy_command(
    session: Session, *, rpc_url: str, name: str, coin: str | None, real_money: bool, yes: bool
) -> None:
    """Put Koinon's contracts on the chain behind RPC, or find them there. A second run sends nothing."""
    settings = session.settings
    settings.ensure_home()
    wanted = None if coin is None else checksum(coin)
    with Rpc(rpc_url) as rpc:
        chain_id, genesis = _look(rpc, real_money)
        operator = _operator(settings, test_money=not real_money)
        known = _known_there(settings, chain_id, genesis, name)
        before = _balance(rpc, operator.address)
        if before == 0 and testnode.is_test_node(rpc):
            testnode.give(rpc, operator.address, ALLOWANCE_WEI)
            before = ALLOWANCE_WEI
        price = cost(rpc, operator.address, test_money=not real_money, coin=wanted)
        if price.missing:
            _may_spend(session, price, operator.address, before, chain_id, ask=real_money and not yes)
        outbox = SqliteOutbox(settings.home / FILE_NAME, chain_name(chain_id, genesis))
        try:
            network = deploy(
                rpc,
                Sender(rpc, operator, chain_id=chain_id, outbox=outbox),
                name=name or (known.name if known else f"chain {chain_id}"),
                test_money=not real_money,
                coin=wanted,
                known=known,
            )
        finally:
            outbox.close()
        spent = before - _balance(rpc, operator.address) if price.missing else 0
    if known is not None and network == replace(known, rpc_url=rpc.url, signer="", signature=""):
        network = replace(known, rpc_url=rpc.url)  # nothing new: whoever signed it, did
    else:
        network = joining.signed(network, operator, (), ())
    in_use = _keep(settings, network)
    if real_money and spent:
        purse = spending.Purse(settings.home, network)
        purse.record(spent)
        purse.close()
    answer = {
        **document(network),
        "deployed": list(price.missing),
        "spent_wei": spent,
        "in_use": in_use,
    }
    session.terminal.result(answer, lambda terminal: show_deployed(terminal, network, price, spent, in_use))


@group.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--rpc", "rpc_urls", multiple=True, metavar="URL", help="A node anyone may use. Repeat it.")
@click.option("--peer", "peers", multiple=True, metavar="URL", help="A gateway with its Works' files.")
@json_option
@click.pass_obj
def export(session: Session, *, file: Path, rpc_urls: tuple[str, ...], peers: tuple[str, ...]) -> None:
    """Write this network's description, signed, to FILE for others to join by. It holds no password."""
    settings = session.settings
    network = Network.load(settings.network)
    if network.signature:
        network_file.check(network)
    shared = joining.signed(network, _operator(settings, test_money=network.test_money), rpc_urls, peers)
    network_file.save(shared, file)
    file.chmod(0o644)
    session.terminal.result(
        {**document(shared), "file": str(file)},
        lambda terminal: show_exported(terminal, shared, file),
    )


@group.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--signer", metavar="ADDRESS", help="Only if this account signed it.")
@json_option
@click.pass_obj
def join(session: Session, *, file: Path, signer: str | None) -> None:
    """Check the signed FILE against the chain and make it this data directory's network."""
    network = joining.join(session.settings, file, signer=None if signer is None else checksum(signer))
    session.terminal.result(
        document(network),
        lambda terminal: terminal.say(
            f"This data directory takes part in [bold]{escape(network.name)}[/bold], chain "
            f"{network.chain_id}. {network.signer} signed its description; everything in it fits the chain."
        ),
    )


@group.command("list")
@json_option
@click.pass_obj
def list_networks(session: Session) -> None:
    """Networks known in this data directory; the first is the one in use."""
    found = list(joining.remembered(session.settings))
    used = session.settings.network.exists()
    session.terminal.result(
        [{**document(network), "in_use": used and number == 0} for number, network in enumerate(found)],
        lambda terminal: show_list(terminal, found, used),
    )


@group.command()
@json_option
@click.pass_obj
def show(session: Session) -> None:
    """The network of this data directory: its chain, contracts, nodes and signer."""
    network = Network.load(session.settings.network)

    def people(terminal: Terminal) -> None:
        terminal.table(
            network.name,
            ["contract", "address"],
            [*network.contracts.items(), *network.canonical.items()],
        )
        terminal.say(f"chain {network.chain_id}, from block {network.start_block} on")
        terminal.say(f"signed by {network.signer or 'nobody'}")

    session.terminal.result(document(network), people)


@group.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def verify(session: Session, *, file: Path | None) -> None:
    """Compare a description with the chain: signature, codes, registries, who can change what. Exits with 4
    where something differs."""
    settings = session.settings
    network = network_file.load(file) if file else Network.load(settings.network)
    url = settings.rpc_url or network.rpc_url
    if not url:
        raise SetupError(
            f"The description of {network.name} names no node.",
            hint="Name one of that chain's: set KOINON_RPC_URL.",
            code="network.no_node",
        )
    with Rpc(url) as rpc:
        report = verification.verify(network, rpc)
    session.terminal.result(report.to_json(), lambda terminal: show_report(terminal, network, report))
    if not report.fine:
        raise click.exceptions.Exit(WrongNetwork.exit_status)


@group.command()
@click.argument("coins", required=False)
@click.option("--gas", metavar="ETH", help="The most ETH to spend, for gas and all else.")
@json_option
@click.pass_obj
def cap(session: Session, *, coins: str | None, gas: str | None) -> None:
    """Say how much this data directory's keys may spend where money is real; without COINS, show it."""
    settings = session.settings
    home = settings.home
    with Chain.open(settings.network, rpc_url=settings.rpc_url) as chain:
        if chain.network.test_money:
            raise BadInput(
                f"The money of {chain.network.name} is worth nothing: it has no cap.",
                code="spending.test_money",
            )
        decimals, symbol = int(chain.coin.call("decimals")), str(chain.coin.call("symbol"))
        purse = spending.Purse(home, chain.network)
        before = purse.cap
        if coins is not None or gas is not None:
            if before is None and (coins is None or gas is None):
                raise BadInput(
                    "The first cap needs both parts.",
                    hint="Like this: koinon network cap 25 --gas 0.05",
                    code="spending.parts",
                )
            old = before or spending.Cap(0, 0)
            purse.set_cap(
                spending.Cap(
                    old.coins if coins is None else spending.units(coins, decimals),
                    old.wei if gas is None else spending.units(gas, ETHER),
                )
            )
        now, spent = purse.cap, purse.spent
        purse.close()
    session.terminal.result(
        {
            "network": chain.network.name,
            "cap": None if now is None else {"coins": now.coins, "wei": now.wei},
            "spent": {"coins": spent.coins, "wei": spent.wei},
        },
        lambda terminal: show_cap(terminal, now, spent, symbol, decimals),
    )


def _look(rpc: Rpc, real_money: bool) -> tuple[int, str]:
    """Chain id and genesis hash; WrongNetwork where it is no chain to deploy on like this."""
    testnode.refuse_remote(rpc)
    chain_id, genesis = rpc.batch([("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False])])
    number = int(chain_id, 16)
    if not real_money and number not in TEST_CHAINS and not testnode.is_test_node(rpc):
        raise WrongNetwork(
            f"Chain {number} is no test network: its money is real.",
            hint="If you mean it, say --real-money and name the coin to be paid in with --coin.",
            code="chain.real_money",
        )
    return number, str(genesis["hash"])


def _known_there(settings: Settings, chain_id: int, genesis: str, name: str) -> Network | None:
    for network in joining.remembered(settings):
        if (network.chain_id, network.genesis_hash) == (chain_id, genesis) and name in ("", network.name):
            return network
    return None


def _may_spend(session: Session, price: Cost, payer: str, balance: int, chain_id: int, *, ask: bool) -> None:
    if balance < price.most_wei:
        raise SetupError(
            f"{payer} has {decimal(balance, ETHER)} ETH on chain {chain_id}; {len(price.missing)} contracts "
            f"cost up to {decimal(price.most_wei, ETHER)}.",
            hint=f"Send ETH to {payer}, then run the same command again.",
            code="network.cannot_pay",
        )
    if not ask:
        return
    if session.terminal.json_output:
        raise SetupError(
            f"Deploying costs up to {decimal(price.most_wei, ETHER)} ETH of real money.",
            hint="Add --yes to spend it.",
            code="network.unconfirmed",
        )
    session.terminal.note(f"{len(price.missing)} contracts are missing: {', '.join(price.missing)}.")
    click.confirm(
        f"Spend up to {decimal(price.most_wei, ETHER)} ETH of {payer} for them?", abort=True, err=True
    )


def _keep(settings: Settings, network: Network) -> bool:
    """Remember the network; whether it is the one that this data directory uses."""
    joining.remember(settings, network)
    if settings.network.exists() and Network.load(settings.network).identity != network.identity:
        return False
    network.save(settings.network)
    return True


def _operator(settings: Settings, *, test_money: bool) -> Key:
    return Keyring(settings.keys, derivation="pbkdf2" if test_money else "scrypt").open(OPERATOR)


def _balance(rpc: Rpc, address: str) -> int:
    return int(rpc.call("eth_getBalance", address, "latest"), 16)
