# SPDX-License-Identifier: Apache-2.0
"""Pools as they stand on the chain, all of them as of one block, in one message through Multicall3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from koinon.chain.abi import Function
from koinon.chain.address import checksum
from koinon.chain.canonical import FOREIGN
from koinon.chain.contract import Block, Contract
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, WrongNetwork
from koinon.markets.routing.pools import PAIR_FEE_PPM, PairPool, Pool, StablePool, WeightedPool

AT_ONCE: Final = 2_000
"""Calls in one message; more pools take several, as of the same block."""
MOST_SPARE: Final = 1_000
"""Pools that are remembered although they are not asked for."""

_MULTICALL3: Final = (
    {
        "type": "function",
        "name": "aggregate3",
        "stateMutability": "payable",
        "inputs": [
            {
                "name": "calls",
                "type": "tuple[]",
                "components": [
                    {"name": "target", "type": "address"},
                    {"name": "allowFailure", "type": "bool"},
                    {"name": "callData", "type": "bytes"},
                ],
            }
        ],
        "outputs": [
            {
                "name": "returnData",
                "type": "tuple[]",
                "components": [
                    {"name": "success", "type": "bool"},
                    {"name": "returnData", "type": "bytes"},
                ],
            }
        ],
    },
)

Question = tuple[Contract, str]


class PoolReader:
    """The pools of a network: all pairs of its factory, and others by their addresses.

    What never changes (tokens, fees, weights) is asked once.

    Parameters
    ----------
    chain : Chain
    others : sequence of str
        Addresses of pools that price themselves (weighted, stable), or of pairs of other factories.
    """

    def __init__(self, chain: Chain, others: Sequence[str] = ()) -> None:
        self.chain = chain
        self.others = tuple(checksum(address) for address in others)
        self._known: dict[str, Pool] = {}
        self._listed: list[str] = []

    def read(self, block: Block | None = None) -> list[Pool]:
        """Every pool as of a block, the latest by default.

        Raises
        ------
        BadInput
            What stands at an address named is not a pool.
        """
        at = self.chain.block_number() if block is None else block
        addresses = [*self._pairs(at), *self.others]
        self._learn([address for address in dict.fromkeys(addresses) if address not in self._known], at)
        pools = [self._known[address] for address in dict.fromkeys(addresses)]
        self._forget(addresses)
        states = self.ask([(self._contract(pool), _reserves_name(pool)) for pool in pools], at)
        return [
            pool.holding((int(state[0]), int(state[1])))
            for pool, state in zip(pools, states, strict=True)
            if state is not None
        ]

    def ask(self, questions: Sequence[Question], block: Block) -> list[Any]:
        """Answers of functions without arguments; None where a contract refuses or none is there."""
        functions = [contract.function(name) for contract, name in questions]
        answers: list[Any] = []
        for first in range(0, len(questions), AT_ONCE):
            calls = [
                (contract.address, True, function.encode())
                for (contract, _), function in zip(
                    questions[first : first + AT_ONCE], functions[first : first + AT_ONCE], strict=True
                )
            ]
            answers += self._together(calls, block)
        return [
            _decoded(function, bool(success), bytes(data))
            for function, (success, data) in zip(functions, answers, strict=True)
        ]

    def _together(self, calls: Sequence[tuple[str, bool, bytes]], block: Block) -> list[Any]:
        multicall = Contract(self.chain.rpc, FOREIGN["Multicall3"], _MULTICALL3)
        try:
            return list(multicall.call("aggregate3", calls, block=block))
        except WrongNetwork:
            raise WrongNetwork(
                "This network has no Multicall3, through which pools are read as of one block.",
                hint="Use a network that has it at its usual address, as the devnet and most others do.",
                code="markets.no_multicall",
            ) from None

    def _pairs(self, block: Block) -> list[str]:
        if "PairFactory" not in self.chain.network.contracts:
            return []
        factory = self.chain.contract("PairFactory")
        count = int(factory.call("allPairsLength", block=block))
        news = [("allPairs", at) for at in range(len(self._listed), count)]
        self._listed += map(checksum, factory.call_many(news, block=block) if news else [])
        return self._listed[:count]

    def _learn(self, addresses: Sequence[str], block: Block) -> None:
        kinds = self.ask(
            [(self.chain.contract("WeightedPool", address), "kind") for address in addresses], block
        )
        for address, kind in zip(addresses, kinds, strict=True):
            self._known[address] = self._first_look(address, kind, block)

    def _forget(self, addresses: Sequence[str]) -> None:
        """Pools that were named once, the oldest first: visitors name as many as they like."""
        spare = len(self._known) - MOST_SPARE
        if spare > len(addresses):
            asked = set(addresses)
            gone = [address for address in self._known if address not in asked][: spare - len(asked)]
            for address in gone:
                del self._known[address]

    def _first_look(self, address: str, kind: str | None, block: Block) -> Pool:
        names = {
            "weighted": ("WeightedPool", ("token0", "token1", "weight0", "fee_ppm")),
            "stable": ("StablePool", ("token0", "token1", "A", "scale0", "scale1", "fee_ppm")),
        }
        name, fields = names.get(kind or "", ("Pair", ("token0", "token1")))
        contract = self.chain.contract(name, address)
        found = self.ask([(contract, field) for field in fields], block)
        if None in found:
            raise BadInput(
                f"What stands at {address} is not a pool.",
                hint="Name a pair, a weighted or a stable pool.",
                code="markets.not_a_pool",
            )
        tokens = (checksum(found[0]), checksum(found[1]))
        if name == "WeightedPool":
            return WeightedPool(address, tokens, (0, 0), int(found[2]), int(found[3]))
        if name == "StablePool":
            scales = (int(found[3]), int(found[4]))
            return StablePool(address, tokens, (0, 0), int(found[2]), scales, int(found[5]))
        return PairPool(address, tokens, (0, 0), PAIR_FEE_PPM)

    def _contract(self, pool: Pool) -> Contract:
        return self.chain.contract("Pair" if isinstance(pool, PairPool) else "WeightedPool", pool.address)


def _reserves_name(pool: Pool) -> str:
    return "getReserves" if isinstance(pool, PairPool) else "reserves"


def _decoded(function: Function, success: bool, data: bytes) -> Any:
    try:
        return function.decode(data) if success and data else None
    except IntegrityError:
        return None  # anybody may answer with anything
