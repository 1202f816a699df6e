# SPDX-License-Identifier: Apache-2.0
"""A development chain that is given a past: it becomes what the bench simulated, to the last log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from koinon.chain.contract import Call
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, IntegrityError, TransactionFailed, WrongNetwork
from koinon.markets.simulation import filling
from koinon.markets.simulation.filled import Filled, fill
from koinon.markets.simulation.filling import differences, fee_cap, play
from koinon.markets.simulation.simulation import Simulation, simulate
from koinon.markets.simulation.truth import illicit_transactions, read
from tests.markets.simulation.support import TINY

Fund = Callable[[str], None]


@pytest.fixture
def fund(own_chain: Chain, own_devnet: Devnet) -> Fund:
    def give(address: str) -> None:
        own_chain.sender(own_devnet.key(0)).send(Call(address, value=50 * 10**18))

    return give


@contextmanager
def no_bar(_what: str, _steps: int) -> Iterator[Callable[[int], None]]:
    yield lambda _count: None


def simulated(chain: Chain, seed: int, months: float = 0.01) -> Simulation:
    return simulate(TINY.lasting(months), seed, start=chain.timestamp() + 300)


def test_a_chain_becomes_what_was_simulated(own_chain: Chain, fund: Fund) -> None:
    simulation = simulated(own_chain, 1)
    first = own_chain.block_number()
    played = play(own_chain, simulation, fund, max_fee_wei=fee_cap(own_chain))
    assert played.transactions == len(simulation.world.tape)
    assert differences(own_chain, simulation) == []
    assert logs_there(own_chain, first + 1) == [
        (log.address.lower(), tuple("0x" + topic.hex() for topic in log.topics), "0x" + log.data.hex())
        for log in simulation.world.bench.logs
    ]
    times = {block.timestamp for block in simulation.world.tape.blocks}
    assert times <= block_times(own_chain, first + 1)
    for number, (transaction, block) in played.hashes.items():
        receipt = own_chain.rpc.call("eth_getTransactionReceipt", transaction)
        assert int(receipt["blockNumber"], 16) == block
        assert receipt["to"].lower() == simulation.world.money.address.lower()
        assert number in {sent.number for sent in simulation.world.tape}
    again = play(own_chain, simulation, fund, max_fee_wei=fee_cap(own_chain))
    assert (again.transactions, again.blocks) == (0, 0)


def logs_there(chain: Chain, first: int) -> list[tuple[str, tuple[str, ...], str]]:
    found = chain.rpc.call("eth_getLogs", {"fromBlock": hex(first), "toBlock": "latest"})
    return [(log["address"], tuple(log["topics"]), log["data"]) for log in found]


def block_times(chain: Chain, first: int) -> set[int]:
    numbers = range(first, chain.block_number() + 1)
    blocks = chain.rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
    return {int(block["timestamp"], 16) for block in blocks}


def test_a_filling_that_was_cut_off_goes_on_where_it_stopped(own_chain: Chain, fund: Fund) -> None:
    simulation = simulated(own_chain, 2)
    fee = fee_cap(own_chain)
    done = 0

    class Interrupted(Exception):
        pass

    def cut(count: int) -> None:
        nonlocal done
        done += count
        if done > len(simulation.world.tape) // 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        play(own_chain, simulation, fund, max_fee_wei=fee, progress=cut)
    assert differences(own_chain, simulation)
    rest = play(own_chain, simulation, fund, max_fee_wei=fee)
    assert 0 < rest.transactions < len(simulation.world.tape)
    assert differences(own_chain, simulation) == []
    labelled = {number for case in simulation.world.truth.cases for number in case.sent}
    assert set(rest.hashes) == labelled


def test_a_clock_that_is_past_the_next_block_is_told(own_chain: Chain, fund: Fund) -> None:
    simulation = simulate(TINY.lasting(0.01), 3, start=own_chain.timestamp() - 10_000)
    with pytest.raises(TransactionFailed, match="clock is past") as refusal:
        play(own_chain, simulation, fund, max_fee_wei=fee_cap(own_chain))
    assert refusal.value.code == "markets.fill_late"


def test_only_a_development_chain_is_filled(own_chain: Chain, fund: Fund) -> None:
    simulation = simulated(own_chain, 4)
    real = Chain(replace(own_chain.network, test_money=False), own_chain.rpc)
    with pytest.raises(WrongNetwork, match="no development chain") as refusal:
        play(real, simulation, fund, max_fee_wei=1)
    assert refusal.value.code == "markets.not_a_devnet"
    contracts = {**own_chain.network.contracts, "Coin": own_chain.network.contracts["Works"]}
    other = Chain(replace(own_chain.network, contracts=contracts), own_chain.rpc)
    with pytest.raises(WrongNetwork, match="test dollar"):
        play(other, simulation, fund, max_fee_wei=1)


def test_a_filling_says_what_it_did_and_does_it_once(own_chain: Chain, fund: Fund, tmp_path: Path) -> None:
    def filled(*, ahead: bool = False) -> Filled:
        return fill(own_chain, tmp_path, TINY, 5, fund=fund, bar=no_bar, ahead=ahead)

    own_chain.rpc.call("evm_mine")  # there is no room before now
    with pytest.raises(BadInput, match="no room") as refusal:
        filled()
    assert refusal.value.code == "markets.no_room"
    first = filled(ahead=True)
    assert not first.already
    assert first.transactions > 100
    truth = read(Path(first.truth))
    assert truth["seed"] == 5
    hashes = list(illicit_transactions(truth))
    assert hashes
    assert all(own_chain.rpc.call("eth_getTransactionReceipt", each) for each in hashes[:3])
    again = filled()
    assert again.already
    assert again.contracts == first.contracts
    with pytest.raises(BadInput, match="was used on this chain"):
        fill(own_chain, tmp_path, TINY.lasting(0.05), 5, fund=fund, bar=no_bar, ahead=True)
    with pytest.raises(BadInput, match="knows nothing of"):
        fill(own_chain, tmp_path / "other", TINY, 5, fund=fund, bar=no_bar, ahead=True)
    plan = next(path for path in (tmp_path / "simulations").glob("*-seed-5.json"))
    plan.write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="damaged"):
        filled()


def test_transactions_that_are_not_mined_are_told(
    own_chain: Chain, fund: Fund, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, calls = filling._mine_at, 0

    def forgetful(rpc: Rpc, timestamp: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            rpc.call("anvil_dropAllTransactions")
        mine(rpc, timestamp)

    monkeypatch.setattr(filling, "_mine_at", forgetful)
    with pytest.raises(TransactionFailed, match="otherwise than in their order"):
        play(own_chain, simulated(own_chain, 6), fund, max_fee_wei=fee_cap(own_chain))
