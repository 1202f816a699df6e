# SPDX-License-Identifier: Apache-2.0
"""Playing a tape onto a development chain: the same transactions, signed, in blocks of the same times.

Nothing is changed by hand: every account gets its test ETH by a transfer, every block holds the tape's
transactions in their order, and the chain makes of them what the bench did (`differences` compares). So a
supervised chain that is killed meanwhile mines all of it again, and a filling that was cut off goes on where
it stopped.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain import testnode
from koinon.chain.artifacts import load
from koinon.chain.handle import Chain
from koinon.chain.local_devnet import folder_of
from koinon.chain.rpc import Rpc, RpcError
from koinon.chain.saved_state import held
from koinon.chain.transactions import SignedTransaction, Transaction
from koinon.errors import ChainError, TransactionFailed, WrongNetwork
from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.simulation import Simulation
from koinon.markets.simulation.tape import Block, Sent
from koinon.markets.simulation.world import World

TRANSFER_GAS: Final = 21_000
PAID_A_BLOCK: Final = 500
MOST_A_BLOCK: Final = 1_000
LEAD_S: Final = 120
"""How long before a tape's first block the chain must be: accounts get their test ETH then."""

LATEST: Final[tuple[str, list[Any]]] = ("eth_getBlockByNumber", ["latest", False])

SPARE_WEI: Final = 10**15


@dataclass(frozen=True)
class Played:
    """``hashes`` tape number → (transaction hash, block number) of transfers that the ground truth labels."""

    hashes: dict[int, tuple[str, int]]
    transactions: int
    blocks: int
    seconds: float


def refuse_elsewhere(chain: Chain) -> None:
    """`WrongNetwork` unless this is a development chain of this machine, where money is worth nothing."""
    testnode.refuse_remote(chain.rpc)
    if not chain.network.test_money or testnode.dialect(chain.rpc) != "anvil":
        raise WrongNetwork(
            f"{chain.network.name} is no development chain: history is only ever made up on one.",
            hint="Unset KOINON_RPC_URL, or use a data directory of its own: koinon --home DIR markets fill.",
            code="markets.not_a_devnet",
        )


def fee_cap(chain: Chain) -> int:
    """What a unit of gas may cost while a tape is played, in wei: twice what it costs now, for no block is
    more than half full."""
    return 2 * int(chain.rpc.call("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16) + 1


def play(
    chain: Chain,
    simulation: Simulation,
    fund: Callable[[str], None],
    *,
    max_fee_wei: int,
    progress: Callable[[int], None] = lambda _count: None,
) -> Played:
    """Everything on the tape that is not on the chain yet.

    Parameters
    ----------
    fund : callable
        Gives an account test ETH, as `Node.fund` does.
    max_fee_wei : int
        See `fee_cap`; the same again when a filling is taken up.
    progress : callable
        Told of each block's transactions.

    Raises
    ------
    WrongNetwork
        The chain is no development chain, or has another test dollar.
    TransactionFailed
        The chain refuses a transaction, or its clock is past the block that comes next.
    """
    refuse_elsewhere(chain)
    if chain.coin.address != simulation.world.money.address:
        raise WrongNetwork(
            "This network's coin is not Koinon's test dollar, which the simulated people are paid in.",
            code="markets.other_coin",
        )
    began = time.monotonic()
    player = _Player(chain, simulation.world, max_fee_wei)
    with _quiet(chain):
        blocks = player.pay_everybody(fund)
        for block in simulation.world.tape.blocks:
            blocks += player.play(block)
            progress(len(block.sent))
        player.finish()
    wanted = {number for case in simulation.world.truth.cases for number in case.sent}
    return Played(player.places(wanted), player.count, blocks, time.monotonic() - began)


def differences(chain: Chain, simulation: Simulation) -> list[str]:
    """Where the chain differs from the bench: balances of every account in every token, and pairs' reserves.
    Empty where it is what was simulated."""
    world, found = simulation.world, []
    for token in world.all_tokens:
        expected = world.holdings(token)
        contract = chain.contract("Coin", token.address)
        answers = contract.call_many([("balanceOf", address) for address in expected])
        for (address, units), there in zip(expected.items(), answers, strict=True):
            if units != there:
                person = world.accounts.at(address)
                found.append(f"{person.name if person else address}: {units} {token.symbol}, there {there}")
    for market in world.markets:
        base, quote, _ = chain.contract("Pair", market.address).call("getReserves")
        there = (base, quote) if market.base_first else (quote, base)
        if there != market.reserves(world.bench):
            found.append(f"{market.name}: {market.reserves(world.bench)}, there {there}")
    return found


class _Player:
    """Signs and sends a tape's transactions, block by block."""

    def __init__(self, chain: Chain, world: World, max_fee_wei: int) -> None:
        self.chain, self.rpc, self.world = chain, chain.rpc, world
        self.max_fee = max_fee_wei
        self.count = 0
        self.hashes: dict[int, str] = {}
        self._next: Counter[str] = Counter()
        self._expected: list[str] = []
        people = list(world.accounts)
        counts = self.rpc.batch([("eth_getTransactionCount", [each.address, "latest"]) for each in people])
        self._there = {each.address: int(count, 16) for each, count in zip(people, counts, strict=True)}
        self._labelled = {number for case in world.truth.cases for number in case.sent}

    def pay_everybody(self, fund: Callable[[str], None]) -> int:
        """Test ETH for every account's gas, from one that ``fund`` paid; how many blocks that took."""
        need = Counter[str]()
        for sent in self.world.tape:
            need[sent.sender.address] += sent.gas_limit * (self.max_fee + MOST_A_BLOCK)
        purse = self.world.accounts.only("purse")
        done = int(self.rpc.call("eth_getTransactionCount", purse.address, "latest"), 16)
        payments = [(address, wei + SPARE_WEI) for address, wei in need.items()][done:]
        if not payments:
            self.rpc.call("evm_setAutomine", False)
            return 0
        total = sum(wei for _, wei in payments) + len(payments) * TRANSFER_GAS * (self.max_fee + MOST_A_BLOCK)
        for _ in range(8):
            if self.chain.balance(purse.address) >= total:
                break
            fund(purse.address)
        self.rpc.call("evm_setAutomine", False)
        at = max(self.chain.timestamp() + 1, self.world.tape.blocks[0].timestamp - LEAD_S // 2)
        blocks = 0
        for start in range(0, len(payments), PAID_A_BLOCK):
            part = payments[start : start + PAID_A_BLOCK]
            signed = [
                self._sign(purse, done + start + place, address, b"", wei, TRANSFER_GAS, place)
                for place, (address, wei) in enumerate(part)
            ]
            self._mine(signed, at + blocks)
            blocks += 1
        return blocks

    def play(self, block: Block) -> int:
        """One block, unless it is there already; how many that were."""
        fresh: list[SignedTransaction] = []
        for place, sent in enumerate(block.sent):
            address = sent.sender.address
            nonce = self._next[address]
            self._next[address] += 1
            new = nonce >= self._there[address]
            if new or sent.number in self._labelled:
                signed = self._sign_sent(sent, nonce, place)
                if sent.number in self._labelled:
                    self.hashes[sent.number] = "0x" + signed.hash.hex()
                if new:
                    fresh.append(signed)
        if fresh:
            self._mine(fresh, block.timestamp)
            self.count += len(fresh)
        return 1 if fresh else 0

    def places(self, numbers: set[int]) -> dict[int, tuple[str, int]]:
        """Where labelled transfers are on the chain."""
        ordered = sorted(numbers)
        receipts = self.rpc.batch(
            [("eth_getTransactionReceipt", [self.hashes[number]]) for number in ordered]
        )
        return {
            number: (self.hashes[number], int(receipt["blockNumber"], 16))
            for number, receipt in zip(ordered, receipts, strict=True)
            if receipt is not None
        }

    def _sign_sent(self, sent: Sent, nonce: int, place: int) -> SignedTransaction:
        return self._sign(sent.sender, nonce, sent.to, sent.data, 0, sent.gas_limit, place)

    def _sign(  # noqa: PLR0917  (what a transaction has)
        self, sender: Person, nonce: int, to: str, data: bytes, value: int, gas: int, place: int
    ) -> SignedTransaction:
        # Anvil takes a batch's transactions all at once and mines those that pay more first: each pays a wei
        # less than the one before it.
        tip = MOST_A_BLOCK - place
        transaction = Transaction(self.chain.chain_id, nonce, tip, self.max_fee + tip, gas, to, value, data)
        return transaction.sign(sender.key)

    def _mine(self, signed: Sequence[SignedTransaction], timestamp: int) -> None:
        sends: list[tuple[str, list[Any]]] = [
            ("eth_sendRawTransaction", ["0x" + each.raw.hex()]) for each in signed
        ]
        *answers, before = self.rpc.batch([*sends, LATEST], raise_errors=False)
        for answer in answers:
            if isinstance(answer, RpcError) and "already" not in answer.message.lower():
                raise TransactionFailed(
                    f"The chain refuses a simulated transaction: {answer.message}",
                    reason=answer.message,
                    hint="Run the same command again: it goes on where it stopped.",
                    code="markets.fill_refused",
                )
        self._check(before)
        self._expected = ["0x" + each.hash.hex() for each in signed]
        _mine_at(self.rpc, timestamp)

    def finish(self) -> None:
        """Check the last block, too."""
        self._check(self.rpc.call(LATEST[0], *LATEST[1]))

    def _check(self, block: Any) -> None:
        """Whether the last block holds what was to be in it, in its order."""
        if isinstance(block, RpcError):
            raise block
        ours = set(self._expected)
        if [each for each in block["transactions"] if each in ours] != self._expected:
            raise TransactionFailed(
                "The chain mined simulated transactions otherwise than in their order.",
                hint="Let nothing else send on this chain meanwhile; begin with a new data directory.",
                code="markets.fill_disorder",
            )
        self._expected = []


def _mine_at(rpc: Rpc, timestamp: int) -> None:
    try:
        rpc.call("evm_setNextBlockTimestamp", timestamp)
    except RpcError:
        # The chain was started again meanwhile and takes this machine's time for its own.
        latest = int(rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        if latest >= timestamp:
            raise TransactionFailed(
                "This chain's clock is past the time of the block that comes next.",
                hint="Begin with a new data directory: koinon --home DIR markets fill.",
                code="markets.fill_late",
            ) from None
        rpc.call("evm_setTime", latest)
        rpc.call("evm_setNextBlockTimestamp", timestamp)
    rpc.call("evm_mine")


@contextmanager
def _quiet(chain: Chain) -> Iterator[None]:
    """Blocks come when they are asked for, and nobody copies the chain meanwhile."""
    folder = folder_of(chain.rpc.url, chain.network.genesis_hash)
    try:
        with held(folder) if folder is not None else contextlib.nullcontext():
            yield
    finally:
        with contextlib.suppress(ChainError):
            chain.rpc.call("evm_setAutomine", True)
            chain.rpc.call("evm_setTime", max(int(time.time()), chain.timestamp()))


def sources(simulation: Simulation) -> list[tuple[str, str, Sequence[Any]]]:
    """What an index of events should read beside the network's own contracts: name, address, ABI."""
    world = simulation.world
    stem = f"sim{world.seed}"
    found: list[tuple[str, str, Sequence[Any]]] = [
        (f"{stem}_{symbol.lower()}", token.address, load("Coin").abi)
        for symbol, token in world.tokens.items()
    ]
    found += [
        (f"{stem}_{each.name.lower().replace('/', '_')}", each.address, load("Pair").abi)
        for each in world.markets
    ]
    found += [
        (f"{stem}_{symbol.lower()}_feed", feed.address, load("PriceFeed").abi)
        for symbol, feed in world.feeds.items()
    ]
    found += [
        (f"{stem}_{each.name.lower()}_pool", each.address, each.placed.artifact.abi) for each in world.lenders
    ]
    return found
