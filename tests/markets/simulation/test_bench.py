# SPDX-License-Identifier: Apache-2.0
"""The chain in memory: it runs the bytecode that ships as any other EVM does."""

from __future__ import annotations

import boa
import pytest

from koinon.chain import artifacts
from koinon.chain.events import Layout
from koinon.errors import TransactionFailed
from koinon.markets.simulation.bench import Bench
from tests.contracts_support import deploy, fresh_chain

HOLDER, RECEIVER = "0x" + "11" * 20, "0x" + "22" * 20
COIN = ("Simulated ether", "sETH", 18)


def test_a_contract_stands_at_the_address_its_code_and_salt_name() -> None:
    bench = Bench()
    coin = bench.deploy("Coin", *COIN)
    assert bench.deploy("Coin", *COIN).address == coin.address  # once is enough
    assert bench.deploy("Coin", *COIN, salt=b"\1" * 32).address != coin.address
    assert bench.ask(coin, "symbol") == "sETH"
    assert bench.at(coin.address, "Coin") == coin


def test_a_refusal_changes_nothing_and_says_why() -> None:
    bench = Bench()
    coin = bench.deploy("Coin", *COIN)
    bench.act(HOLDER, coin, "mint", HOLDER, 5)
    logs = len(bench.logs)
    outcome = bench.transact(HOLDER, coin.address, coin.encode("transfer", RECEIVER, 6))
    assert not outcome.worked
    assert outcome.reason == "erc20: transfer amount exceeds balance"
    assert bench.ask(coin, "balanceOf", HOLDER) == 5
    assert len(bench.logs) == logs
    with pytest.raises(TransactionFailed, match="exceeds balance"):
        bench.act(HOLDER, coin, "transfer", RECEIVER, 6)
    with pytest.raises(TransactionFailed, match="exceeds balance"):
        bench.ask(coin, "transfer", RECEIVER, 6, sender=HOLDER)
    assert bench.peek(coin.address, b"\xff\xff\xff\xff") is None


def test_looking_changes_nothing_and_what_is_undone_never_was() -> None:
    bench = Bench()
    coin = bench.deploy("Coin", *COIN)
    bench.act(HOLDER, coin, "mint", HOLDER, 5)
    assert bench.ask(coin, "transfer", RECEIVER, 5, sender=HOLDER) is True
    before = (bench.block_number, bench.timestamp, bench.transactions, len(bench.logs))
    with bench.undone():
        bench.next_block(bench.timestamp + 60)
        bench.act(HOLDER, coin, "transfer", RECEIVER, 5)
        assert bench.ask(coin, "balanceOf", RECEIVER) == 5
    assert bench.ask(coin, "balanceOf", RECEIVER) == 0
    assert before == (bench.block_number, bench.timestamp, bench.transactions, len(bench.logs))
    for _ in range(1_100):  # deeper than the EVM's stack of calls would be, if looking left anything there
        bench.view(coin.address, coin.encode("totalSupply"))


def test_logs_are_what_the_index_of_events_reads() -> None:
    bench = Bench()
    coin = bench.deploy("Coin", *COIN)
    bench.next_block(bench.timestamp + 12)
    bench.act(HOLDER, coin, "mint", HOLDER, 5)
    bench.act(HOLDER, coin, "transfer", RECEIVER, 3)
    layout = Layout(next(entry for entry in artifacts.load("Coin").abi if entry.get("name") == "Transfer"))
    logs = [log.rpc() for log in bench.logs]
    assert [log["logIndex"] for log in logs] == ["0x0", "0x1"]
    assert {log["blockNumber"] for log in logs} == {hex(bench.block_number)}
    assert layout.decode(logs).rows == [("0x" + "00" * 20, HOLDER, 5), (HOLDER, RECEIVER, 3)]


def test_a_clock_never_goes_back() -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="never goes back"):
        bench.next_block(bench.timestamp - 1)


def test_many_prepared_calls_run_and_those_that_work_are_counted() -> None:
    bench = Bench()
    coin = bench.deploy("Coin", *COIN)
    bench.act(HOLDER, coin, "mint", HOLDER, 2)
    one = (HOLDER, coin.address, coin.encode("transfer", RECEIVER, 1))
    assert bench.run([one] * 3) == 2
    assert bench.ask(coin, "balanceOf", RECEIVER) == 2


def test_py_evm_gives_the_same_answers_and_logs() -> None:
    """The same calls through titanoboa: same results, same refusals, same events."""
    bench = Bench()
    ours = bench.deploy("Coin", *COIN)
    calls: list[tuple[str, tuple[object, ...]]] = [
        ("mint", (HOLDER, 10**18)),
        ("transfer", (RECEIVER, 10**17)),
        ("approve", (RECEIVER, 2**256 - 1)),
        ("transfer", (RECEIVER, 10**18)),
        ("mint", (HOLDER, 10**30)),
        ("transfer", ("0x" + "00" * 20, 1)),
    ]
    with fresh_chain():
        theirs = deploy("works", "Coin", *COIN)
        for name, arguments in calls:
            outcome = bench.transact(HOLDER, ours.address, ours.encode(name, *arguments))
            computation = boa.env.execute_code(
                theirs.address, sender=HOLDER, data=ours.encode(name, *arguments)
            )
            assert outcome.worked is not computation.is_error
            assert outcome.output == computation.output
            logs = [
                (tuple(topic.to_bytes(32, "big") for topic in topics), data)
                for _, _, topics, data in computation.get_raw_log_entries()
            ]
            assert [(log.topics, log.data) for log in outcome.logs] == logs
