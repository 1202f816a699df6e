# SPDX-License-Identifier: Apache-2.0
"""Whatever the chain and its followers go through, the rows equal a fresh index of the chain as it is now."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from koinon.chain import artifacts
from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex
from koinon.chain.rpc import Rpc
from tests.index_support import Place, Town, content


def machine(town: Town, new_place: Place) -> type[RuleBasedStateMachine]:
    class Follows(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.start = town.snapshot()
            self.place = new_place()
            self.index = EventIndex.open(self.place, town.chain)
            self.forks: list[str] = []
            self.mirrored = False
            self.seen: list[str] = []
            self.cursor: str | None = None

        @rule(amount=st.integers(1, 10**6), payee=st.integers(1, 3))
        def pays(self, amount: int, payee: int) -> None:
            town.mint(amount, to=payee)

        @rule(blocks=st.integers(1, 90))
        def time_passes(self, blocks: int) -> None:
            town.mine(blocks)

        @rule()
        def a_work_gets_its_till(self) -> None:
            town.send("Works", "register(string)", "ipfs://work\0")
            town.send("Works", "deploy_till", self.newest_work())

        def newest_work(self) -> int:
            return int(town.chain.contract("Works").history("Registered")[-1]["agentId"])

        @rule()
        def may_fork_here(self) -> None:
            self.forks.append(town.snapshot())

        @rule(choice=st.integers(0, 10))
        def reorganises(self, choice: int) -> None:
            if self.forks:
                position = choice % len(self.forks)
                town.revert(self.forks[position])
                del self.forks[position:]

        @rule()
        def catches_up(self) -> None:
            self.index.sync()
            for event in self.index.feed(self.cursor, endless=False, tables=["coin_transfer"]):
                if event.kind == "event":
                    self.seen.append(event.cursor)
                else:
                    for cursor in event.undone:
                        if cursor in self.seen:
                            assert self.seen.pop() == cursor
                self.cursor = event.cursor

        @rule()
        def restarts(self) -> None:
            self.index.close()
            self.index = EventIndex.open(self.place, town.chain)

        @rule(delay_ms=st.integers(0, 40))
        def is_killed_while_catching_up(self, delay_ms: int) -> None:
            child = os.fork()
            if child == 0:
                with Rpc(town.rpc.url) as rpc:
                    EventIndex.open(self.place, Chain(town.chain.network, rpc)).sync()
                os._exit(0)
            time.sleep(delay_ms / 1000)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

        @rule()
        def a_contract_is_added(self) -> None:
            if not self.mirrored:
                self.index.add("mirror", town.chain.coin.address, artifacts.load("Coin").abi)
                self.mirrored = True

        def teardown(self) -> None:
            try:
                self.equals_a_fresh_one()
            finally:
                self.index.close()
                town.revert(self.start)

        def equals_a_fresh_one(self) -> None:
            self.catches_up()
            with (
                tempfile.TemporaryDirectory() as folder,
                EventIndex.open(Path(folder) / "fresh.sqlite", town.chain) as fresh,
            ):
                if self.mirrored:
                    fresh.add("mirror", town.chain.coin.address, artifacts.load("Coin").abi)
                fresh.sync()
                assert content(self.index) == content(fresh)
                cursors = [event.cursor for event in fresh.feed(endless=False, tables=["coin_transfer"])]
                assert self.seen == cursors

    return Follows


@pytest.mark.e2e
def test_rows_equal_a_fresh_index_whatever_happens(town: Town, new_place: Place) -> None:
    run_state_machine_as_test(
        machine(town, new_place),
        settings=settings(max_examples=4, stateful_step_count=20, deadline=None),
    )
