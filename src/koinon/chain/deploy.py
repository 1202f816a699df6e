# SPDX-License-Identifier: Apache-2.0
"""Putting Koinon's contracts on a chain, at addresses that depend on nothing but their code and version.

Every contract is created by the deterministic deployment proxy with one salt, so its address follows from its
init code (EIP-1014) and code found at that address is the right code: deploying again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain import artifacts, foreign
from koinon.chain.address import checksum, create2_address
from koinon.chain.canonical import (
    CANONICAL,
    DEVNET_CHAIN_ID,
    FACTORY,
    FACTORY_CODE,
    FACTORY_COST,
    FACTORY_DEPLOYER,
    FACTORY_TRANSACTION,
)
from koinon.chain.contract import Call
from koinon.chain.hashing import keccak256
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc, RpcError
from koinon.chain.sender import Sender
from koinon.errors import TransactionFailed, WrongNetwork

SALT: Final = keccak256(b"koinon 1")
"""One salt a version: a new version stands at new addresses, the old one stays where it is."""


@dataclass(frozen=True)
class At:
    """A constructor argument: the address of another contract of the set."""

    name: str


@dataclass(frozen=True)
class Rules:
    """A constructor argument: the committee's numbers."""


COIN: Final = ("Koinon test dollar", "tUSD", 6)
"""Name, symbol and decimals of the token that stands in for money where money is worth nothing."""

COMMITTEE: Final = (5, 100 * 10**6, 2_000, 5 * 10**6, 20 * 10**6, 3)
"""Seats, stake a seat, share of it lost (in 1e-4), fee a seat, deposit a seed, least seeds. Six decimals."""

PHASE_S: Final = 86_400
TEST_PHASE_S: Final = 60
"""Seconds of a committee's phase: a day where money is real, a minute where it is not."""

RECIPE: Final[Mapping[str, tuple[Any, ...]]] = {
    "Coin": COIN,
    "Till": (),
    "Works": (At("Till"),),
    "Terms": (At("Works"),),
    "Bonds": (),
    "Payouts": (),
    "Committee": (At("Bonds"), At("Coin"), Rules()),
    "Reputation": (At("Works"),),
    "Validation": (At("Works"),),
    "Federation": (At("Works"),),
}
"""Contract → constructor arguments, each after those it needs."""


def deploy(
    rpc: Rpc,
    sender: Sender,
    *,
    name: str = "devnet",
    test_money: bool = True,
    coin: str | None = None,
    known: Network | None = None,
) -> Network:
    """Deploy what is missing and describe the network.

    Parameters
    ----------
    rpc, sender : Rpc, Sender
        The node and the account that pays for it.
    name : str
        The network's name.
    test_money : bool
        Whether its coins are worth nothing.
    coin : str, optional
        An ERC-20 with ERC-3009 that already stands there, in place of our test dollar; needed where money is
        real.
    known : Network, optional
        An earlier description, whose start block stays valid.

    Raises
    ------
    TransactionFailed
        A deployment was refused.
    WrongNetwork
        The chain lacks x402's contracts, or has other code where ours should be.
    """
    if coin is None and not test_money:
        raise WrongNetwork(
            "A network with real money needs a real coin.",
            hint="Give the address of the ERC-20 to be paid in; it must support ERC-3009.",
            code="chain.coin",
        )
    chain_id, genesis, height = rpc.batch(
        [("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False]), ("eth_blockNumber", [])]
    )
    _ensure_factory(rpc, sender)
    contracts = _ensure_canonical(rpc, int(chain_id, 16), test_money)
    if test_money and str(rpc.call("web3_clientVersion")).startswith("anvil/"):
        foreign.place_missing(rpc)
    plan = creations(coin, test_money=test_money)
    contracts |= {entry: address for entry, (address, _) in plan.items()}
    missing = [entry for entry, code in _codes(rpc, contracts).items() if not code]
    for entry in missing:
        sender.send(Call(FACTORY, SALT + plan[entry][1]))
    if coin is not None:
        contracts["Coin"] = checksum(coin)
    codes = _codes(rpc, contracts)
    for entry, code in codes.items():
        if not code:
            raise WrongNetwork(f"There is no {entry} at {contracts[entry]}.", code="chain.no_contract")
    everything_is_new = len(missing) == len(plan)
    return Network(
        name=name,
        chain_id=int(chain_id, 16),
        rpc_url=rpc.url,
        test_money=test_money,
        contracts=dict(sorted(contracts.items())),
        code_hashes={entry: "0x" + keccak256(codes[entry]).hex() for entry in sorted(codes)},
        start_block=known.start_block if known else int(height, 16) if everything_is_new else 0,
        genesis_hash=genesis["hash"],
    )


def creations(coin: str | None = None, *, test_money: bool = True) -> dict[str, tuple[str, bytes]]:
    """Contract → (its address, its init code with arguments), in the order of creation.

    Without our own Coin where ``coin`` names another. Networks with the same coin have the same addresses.
    """
    phase_s = TEST_PHASE_S if test_money else PHASE_S
    addresses: dict[str, str] = {} if coin is None else {"Coin": checksum(coin)}
    found: dict[str, tuple[str, bytes]] = {}
    for name, arguments in RECIPE.items():
        if name in addresses:
            continue
        resolved: list[Any] = []
        for each in arguments:
            if isinstance(each, At):
                resolved.append(addresses[each.name])
            else:
                resolved.append((*COMMITTEE, phase_s) if isinstance(each, Rules) else each)
        init_code = artifacts.load(name).creation(*resolved)
        addresses[name] = create2_address(FACTORY, SALT, keccak256(init_code))
        found[name] = addresses[name], init_code
    return found


def _codes(rpc: Rpc, contracts: Mapping[str, str]) -> dict[str, bytes]:
    answers = rpc.batch([("eth_getCode", [address, "latest"]) for address in contracts.values()])
    return {name: bytes.fromhex(code[2:]) for name, code in zip(contracts, answers, strict=True)}


def _ensure_factory(rpc: Rpc, sender: Sender) -> None:
    code = _codes(rpc, {"factory": FACTORY})["factory"]
    if not code:
        balance = int(rpc.call("eth_getBalance", FACTORY_DEPLOYER, "latest"), 16)
        if balance < FACTORY_COST:
            sender.send(Call(FACTORY_DEPLOYER, value=FACTORY_COST - balance))
        try:
            rpc.call("eth_sendRawTransaction", "0x" + FACTORY_TRANSACTION.hex())
        except RpcError as error:
            raise TransactionFailed(
                f"The node refuses the deployment factory's transaction: {error.message}",
                reason=error.message,
                hint="It is signed without a chain id, as it must be; use a node that accepts that once.",
                code="chain.factory",
            ) from None
        sender.wait(keccak256(FACTORY_TRANSACTION))
        code = _codes(rpc, {"factory": FACTORY})["factory"]
    if code != FACTORY_CODE:
        raise WrongNetwork(
            f"The code at {FACTORY} is not the deterministic deployment proxy.",
            hint="This chain cannot hold Koinon's contracts at their addresses.",
            code="chain.factory",
        )


def _ensure_canonical(rpc: Rpc, chain_id: int, test_money: bool) -> dict[str, str]:
    """On test chains whose node can, ours are put where x402's are missing; elsewhere they must be there."""
    for name, code in _codes(rpc, CANONICAL).items():
        if code:
            if chain_id == DEVNET_CHAIN_ID and code != artifacts.load(name).runtime:
                raise WrongNetwork(
                    f"This development chain was begun with another version of {name}.",
                    hint="Move the chain's folder away to begin a new one; its money is test money.",
                    code="chain.devnet_version",
                )
            continue
        try:
            if not test_money:
                raise _no_x402(name)
            rpc.call("anvil_setCode", CANONICAL[name], "0x" + artifacts.load(name).runtime.hex())
        except RpcError:
            raise _no_x402(name) from None
    return dict(CANONICAL)


def _no_x402(name: str) -> WrongNetwork:
    return WrongNetwork(
        f"This chain lacks x402's {name} at {CANONICAL[name]}.",
        hint="Use a chain that has x402's batch-settlement contracts, or a development chain.",
        code="chain.no_x402",
    )
