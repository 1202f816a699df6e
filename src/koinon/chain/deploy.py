# SPDX-License-Identifier: Apache-2.0
"""Putting Koinon's contracts on a chain, at addresses that depend on nothing but their code and version.

Every contract is created by the deterministic deployment proxy with one salt, so its address follows from its
init code (EIP-1014) and code found at that address is the right code: deploying again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain import artifacts, discovery, foreign, testnode
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
class Code:
    """A constructor argument: what creates a contract that the new one makes many of."""

    name: str


@dataclass(frozen=True)
class Rules:
    """A constructor argument: the committee's numbers."""


COIN: Final = ("Koinon test dollar", "tUSD", 6)
"""Name, symbol and decimals of the token that stands in for money where money is worth nothing."""

COMMITTEE: Final = (5, 100 * 10**6, 2_000, 5 * 10**6, 20 * 10**6, 3)
"""Seats, stake a seat, share of it lost (in 1e-4), fee a seat, deposit a seed, least seeds. Six decimals."""

PENALTY: Final = 20 * 10**6
"""What an auditor that misses a known answer loses, and a provider that disagrees with most. Six decimals."""

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
    "Verification": (At("Committee"), At("Validation")),
    "KnownAnswers": (At("Verification"), At("Bonds"), At("Coin"), PENALTY),
    "Redundancy": (At("Bonds"), At("Validation"), At("Coin"), PENALTY),
    "ProofVerdicts": (At("Validation"),),
    "Federation": (At("Works"),),
    "Swarm": (At("Federation"), At("Bonds")),
    "FairExchange": (At("Terms"),),
    "Delivery": (At("Terms"), At("Bonds"), At("FairExchange")),
    "PrivacyBudget": (At("Works"),),
    "ComputeJobs": (At("Terms"), At("PrivacyBudget")),
    "Mandates": (),
    "Delegate": (),
    "Jobs": (At("Works"), At("Coin")),
    "PairFactory": (Code("Pair"),),
    "Router": (),
    "VaultRules": (),
    "Vault": (At("VaultRules"),),
    "VaultFactory": (At("Vault"),),
    "Attestations": (),
    "Bundles": (),
    "CreditPoolFactory": (At("Attestations"), At("Bundles"), At("Works"), Code("CreditPool")),
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
        An earlier description, whose start block and recommended addresses stay valid.

    Raises
    ------
    TransactionFailed
        A deployment was refused.
    WrongNetwork
        The chain lacks x402's contracts, or has other code where ours should be.
    """
    _needs_coin(coin, test_money)
    chain_id, genesis, height = rpc.batch(
        [("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False]), ("eth_blockNumber", [])]
    )
    _ensure_factory(rpc, sender)
    _ensure_canonical(rpc, int(chain_id, 16), test_money)
    if test_money and testnode.is_test_node(rpc):
        foreign.place_missing(rpc)
    plan = creations(coin, test_money=test_money)
    addresses = {entry: address for entry, (address, _) in plan.items()}
    missing = [entry for entry, code in discovery.codes(rpc, addresses).items() if not code]
    for entry in missing:
        _create(rpc, sender, addresses[entry], plan[entry][1])
    everything_is_new = len(missing) == len(plan)
    first = int(height, 16)
    if known is not None:
        first = known.start_block
    elif not everything_is_new:
        first = discovery.first_block(rpc, addresses.values())
    return Network(
        name=name,
        chain_id=int(chain_id, 16),
        rpc_url=rpc.url,
        test_money=test_money,
        **_found(rpc, coin, addresses),
        start_block=first,
        genesis_hash=genesis["hash"],
        canonical=discovery.registries(rpc),
        rpc_urls=known.rpc_urls if known else (),
        peers=known.peers if known else (),
    )


def find(rpc: Rpc, *, name: str = "", test_money: bool = True, coin: str | None = None) -> Network | None:
    """Describe what already stands on a chain, without sending anything; None where something is missing."""
    plan = creations(coin, test_money=test_money)
    addresses = {entry: address for entry, (address, _) in plan.items()}
    wanted = {**addresses, **CANONICAL} if coin is None else {**addresses, **CANONICAL, "Coin": coin}
    if not all(discovery.codes(rpc, wanted).values()):
        return None
    chain_id, genesis = rpc.batch([("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False])])
    number = int(chain_id, 16)
    return Network(
        name=name or f"chain {number}",
        chain_id=number,
        rpc_url=rpc.url,
        test_money=test_money,
        **_found(rpc, coin, addresses),
        start_block=discovery.first_block(rpc, addresses.values()),
        genesis_hash=genesis["hash"],
        canonical=discovery.registries(rpc),
    )


@dataclass(frozen=True)
class Cost:
    """What deploying would take: the contracts that are missing, gas units in all, and the most it can cost
    in wei at the chain's present prices."""

    missing: tuple[str, ...]
    gas: int
    most_wei: int


def cost(rpc: Rpc, payer: str, *, test_money: bool = True, coin: str | None = None) -> Cost:
    """What `deploy` would send, without sending it; errors as there."""
    _needs_coin(coin, test_money)
    plan = creations(coin, test_money=test_money)
    addresses = {entry: address for entry, (address, _) in plan.items()}
    found = discovery.codes(rpc, {"factory": FACTORY, **addresses, **CANONICAL})
    missing = [entry for entry in addresses if not found[entry]]
    if any(not found[entry] for entry in CANONICAL) and not (test_money and testnode.is_test_node(rpc)):
        raise _no_x402(next(entry for entry in CANONICAL if not found[entry]))
    requests: list[tuple[str, list[Any]]] = [
        (
            "eth_estimateGas",
            [{"from": payer, "to": FACTORY, "data": "0x" + (SALT + plan[entry][1]).hex()}],
        )
        for entry in missing
    ]
    # Some constructors ask contracts that are not there yet, and so is the factory where it is missing: then
    # the creation's price by its size, with a quarter to spare.
    sizes = [_gas_by_size(plan[entry][1]) for entry in missing]
    answers = rpc.batch(requests, raise_errors=False) if found["factory"] else [None] * len(missing)
    estimates = [
        int(answer, 16) * 6 // 5 if isinstance(answer, str) else size
        for answer, size in zip(answers, sizes, strict=True)
    ]
    block, tip = rpc.batch(
        [("eth_getBlockByNumber", ["latest", False]), ("eth_maxPriorityFeePerGas", [])], raise_errors=False
    )
    if isinstance(block, RpcError):
        raise block
    fee = 2 * int(block.get("baseFeePerGas") or "0x0", 16) + (int(tip, 16) if isinstance(tip, str) else 10**9)
    factory_wei = 0 if found["factory"] else FACTORY_COST
    return Cost(tuple(missing), sum(estimates), sum(estimates) * fee + factory_wei)


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
            elif isinstance(each, Code):
                resolved.append(artifacts.load(each.name).init_code)
            else:
                resolved.append((*COMMITTEE, phase_s) if isinstance(each, Rules) else each)
        init_code = artifacts.load(name).creation(*resolved)
        addresses[name] = create2_address(FACTORY, SALT, keccak256(init_code))
        found[name] = addresses[name], init_code
    return found


def _found(rpc: Rpc, coin: str | None, addresses: Mapping[str, str]) -> dict[str, Any]:
    contracts = {**CANONICAL, **addresses}
    if coin is not None:
        contracts["Coin"] = checksum(coin)
    codes = discovery.codes(rpc, contracts)
    for entry, code in codes.items():
        if not code:
            raise WrongNetwork(f"There is no {entry} at {contracts[entry]}.", code="chain.no_contract")
    return {
        "contracts": dict(sorted(contracts.items())),
        "code_hashes": {entry: "0x" + keccak256(codes[entry]).hex() for entry in sorted(codes)},
    }


def _create(rpc: Rpc, sender: Sender, address: str, init_code: bytes) -> None:
    """Create a contract; what somebody else, or ourselves before we were cut off, created meanwhile is fine:
    at this address there can only be this code."""
    try:
        sender.send(Call(FACTORY, SALT + init_code))
    except TransactionFailed:
        if not discovery.codes(rpc, {"it": address})["it"]:
            raise


def _gas_by_size(init_code: bytes) -> int:
    """Gas of creating a contract (yellow paper, appendix G; EIP-2028, EIP-3860): its bytes as call data and
    as code, the creation, and what its constructor stores."""
    return (
        (53_000 + 16 * len(init_code) + 200 * len(init_code) + 2 * (len(init_code) // 32 + 1) + 200_000)
        * 5
        // 4
    )


def _needs_coin(coin: str | None, test_money: bool) -> None:
    if coin is None and not test_money:
        raise WrongNetwork(
            "A network with real money needs a real coin.",
            hint="Give the address of the ERC-20 to be paid in; it must support ERC-3009.",
            code="chain.coin",
        )


def _ensure_factory(rpc: Rpc, sender: Sender) -> None:
    code = discovery.codes(rpc, {"factory": FACTORY})["factory"]
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
        code = discovery.codes(rpc, {"factory": FACTORY})["factory"]
    if code != FACTORY_CODE:
        raise WrongNetwork(
            f"The code at {FACTORY} is not the deterministic deployment proxy.",
            hint="This chain cannot hold Koinon's contracts at their addresses.",
            code="chain.factory",
        )


def _ensure_canonical(rpc: Rpc, chain_id: int, test_money: bool) -> None:
    """On test chains whose node can, ours are put where x402's are missing; elsewhere they must be there."""
    for name, code in discovery.codes(rpc, CANONICAL).items():
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
            testnode.set_code(rpc, CANONICAL[name], artifacts.load(name).runtime)
        except RpcError:
            raise _no_x402(name) from None


def _no_x402(name: str) -> WrongNetwork:
    return WrongNetwork(
        f"This chain lacks x402's {name} at {CANONICAL[name]}.",
        hint="Use a chain that has x402's batch-settlement contracts, or a development chain.",
        code="chain.no_x402",
    )
