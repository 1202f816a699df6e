# SPDX-License-Identifier: Apache-2.0
"""How fast the market simulator runs the real contracts, and how that compares.

``replay.calls_per_s``: every call that a simulated market's agents made within ten days, looks and
transactions in their order, run again on the same bytecode with call data that is encoded beforehand.
``replay.transactions_per_s``: its transactions alone (swaps through the router, signed price rounds,
transfers). ``replay.vs_titanoboa``: a thousand of the same transfers through titanoboa's py-evm.
``replay.days_per_minute``: simulated days a minute, agents' thinking included. Each is the best of three, in
seconds of processor time: one thread works without waiting, so on an idle machine a clock tells the same.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from koinon.markets.simulation.bench import READER, Bench
from koinon.markets.simulation.scenario import Scenario, find
from koinon.markets.simulation.simulation import Simulation, prepare

SEED: Final = 7
DAYS: Final = 10
TRIES: Final = 3
TRANSFERS: Final = 1_000
HOLDER, RECEIVER = "0x" + "11" * 20, "0x" + "22" * 20
COIN: Final = ("Simulated ether", "sETH", 18)
SOURCES: Final = Path(__file__).resolve().parents[1] / "src"

Figure = Mapping[str, Any]
Call = tuple[str, str, bytes]


def run() -> Iterator[Figure]:
    """The figures of this module."""
    scenario = find("ordinary").lasting(DAYS / 30)
    recorded, seconds = simulated(scenario)
    yield figure("days_per_minute", DAYS / seconds * 60, "simulated days/min")
    calls = sum(len(part) for _, part in recorded)
    yield figure("calls_per_s", calls / best(lambda: replayed(scenario, recorded)), "calls/s", target=20_000)
    sent = [(at, [call for call in part if call[0] != READER]) for at, part in recorded]
    count = sum(len(part) for _, part in sent)
    yield figure("transactions_per_s", count / best(lambda: replayed(scenario, sent)), "transactions/s")
    ours, theirs = TRANSFERS / best(in_bench), TRANSFERS / in_titanoboa()
    yield figure("vs_titanoboa", ours, "calls/s", peer=theirs)


def figure(
    name: str, ours: float, unit: str, *, peer: float | None = None, target: float | None = None
) -> Figure:
    """``target`` is of the ratio where there is a peer, else of our own number."""
    ratio = None if peer is None else ours / peer
    reached = ours if ratio is None else ratio
    return {
        "name": f"replay.{name}",
        "ours": round(ours, 1),
        "peer": None if peer is None else round(peer, 1),
        "ratio": None if ratio is None else round(ratio, 1),
        "unit": unit,
        "target": target,
        "ok": target is None or reached >= target,
    }


def best(work: Callable[[], float]) -> float:
    """The shortest of several tries, in seconds."""
    return min(work() for _ in range(TRIES))


def simulated(scenario: Scenario) -> tuple[list[tuple[int, list[Call]]], float]:
    """Every block's time and calls, and the seconds that the simulation took."""
    simulation = fresh(scenario)
    recorded = Recorder(simulation.world.bench)
    begin = time.process_time()
    simulation.run()
    return recorded.blocks, time.process_time() - begin


class Recorder:
    """Keeps what a bench is asked from now on."""

    def __init__(self, bench: Bench) -> None:
        self.blocks: list[tuple[int, list[Call]]] = [(bench.timestamp, [])]
        transact, peek, next_block = bench.transact, bench.peek, bench.next_block

        def keep_block(timestamp: int) -> None:
            self.blocks.append((timestamp, []))
            next_block(timestamp)

        def keep_sent(sender: str, to: str, data: bytes, value: int = 0) -> Any:
            self.blocks[-1][1].append((sender, to, data))
            return transact(sender, to, data, value)

        def keep_look(to: str, data: bytes, sender: str = READER) -> bytes | None:
            self.blocks[-1][1].append((READER, to, data))
            return peek(to, data, sender)

        bench.transact, bench.peek, bench.next_block = keep_sent, keep_look, keep_block  # type: ignore[method-assign]


def replayed(scenario: Scenario, blocks: list[tuple[int, list[Call]]]) -> float:
    """The same calls on a world as it was before them: seconds."""
    bench = fresh(scenario).world.bench
    begin = time.process_time()
    for timestamp, calls in blocks:
        bench.next_block(timestamp)
        bench.run(calls)
    return time.process_time() - begin


def fresh(scenario: Scenario) -> Simulation:
    """A world before its first step."""
    return prepare(scenario, SEED)


def in_bench() -> float:
    """Seconds of many transfers here."""
    bench = Bench()
    coin = bench.deploy("Coin", *COIN)
    bench.act(HOLDER, coin, "mint", HOLDER, 10**18)
    calls = [(HOLDER, coin.address, coin.encode("transfer", RECEIVER, 1))] * TRANSFERS
    begin = time.process_time()
    if bench.run(calls) != TRANSFERS:
        raise RuntimeError("a transfer was refused")
    return time.process_time() - begin


def in_titanoboa() -> float:
    """Seconds of the same transfers through titanoboa's py-evm."""
    import boa  # noqa: PLC0415  (takes seconds)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coin = boa.load(str(SOURCES / "koinon" / "works" / "contracts" / "Coin.vy"), *COIN)
    coin.mint(HOLDER, 10**18, sender=HOLDER)
    data = coin.transfer.prepare_calldata(RECEIVER, 1)
    begin = time.process_time()
    for _ in range(TRANSFERS):
        boa.env.execute_code(coin.address, sender=HOLDER, data=data)
    return time.process_time() - begin
