# SPDX-License-Identifier: Apache-2.0
"""How long the questions take that pages ask of an index with a million events.

Processor time of the slowest of several calls, in milliseconds, each with another argument, after one call
that opened the file. ``queries.income_first_ms`` is the busiest till of all (some 75,000 payments) read for
the first time ever, ``queries.income_start_ms`` after a start of the process, ``queries.income_ms`` when a
block has come.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks._million import Filled, fill
from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.index import EventIndex
from koinon.chain.network import Network
from koinon.console.explorer.activity import activity
from koinon.store.blocks import BlockStore
from koinon.works.directory import Directory
from koinon.works.family import Family
from koinon.works.income import IncomeBook

TARGET_MS: Final = 10.0
CALLS: Final = 9
SEARCHES: Final = ("tea", "number 7", "bird model 123", "地震", "tea weather", "a b", "1", "zzz", "震 12")
KINDS: Final = ("dataset", "model", "service", "artwork", "agent", "nothing")

Figure = Mapping[str, Any]


def run() -> Iterator[Figure]:
    """The figures of this module."""
    network = made_up()
    with tempfile.TemporaryDirectory() as folder:
        path, store = Path(folder) / "index.sqlite", BlockStore(Path(folder) / "blocks")
        filled = fill(path, network, store=store)
        with EventIndex.open(path, network=network) as index:
            yield from figures(index, network, store, filled)


def made_up() -> Network:
    """A network that nobody runs, with all of Koinon's contracts."""
    contracts = {name: checksum(f"0x{number + 1:040x}") for number, name in enumerate(artifacts.names())}
    return Network("made up", 31337, "http://127.0.0.1:1", True, contracts, {}, 0)


def figures(index: EventIndex, network: Network, store: BlockStore, filled: Filled) -> Iterator[Figure]:
    family = Family(
        index,
        store,
        chain_id=network.chain_id,
        works=network.address("Works"),
        till_implementation=network.address("Till"),
    )
    directory = Directory(family, index)
    while directory.refresh():
        pass
    works = [1 + number * (filled.works - 1) // CALLS for number in range(CALLS + 1)]
    accounts = [
        filled.busiest_owner,
        filled.busiest_payer,
        network.address("Channels"),
        checksum("0x" + "77" * 20),
    ]

    yield figure("newest_ms", lambda n: directory.newest(before=works[-n - 1]))
    yield figure("kind_ms", lambda n: directory.newest(kind=KINDS[n % len(KINDS)]))
    yield figure("search_ms", lambda n: directory.newest(search=SEARCHES[n % len(SEARCHES)]))
    yield figure("owner_ms", lambda n: directory.newest(owner=accounts[n % len(accounts)]))
    yield figure("mine_ms", lambda n: directory.of_owner(accounts[n % len(accounts)]))
    yield figure("names_ms", lambda n: directory.names(range(works[n], works[n] + 50)))
    yield figure("refresh_ms", lambda _: directory.refresh())
    yield figure("activity_ms", lambda n: activity(index, network, accounts[n % len(accounts)]))

    def book() -> IncomeBook:
        return IncomeBook(
            index, family, token=network.address("Coin"), channels=network.address("Channels"), notebook=index
        )

    typical = [filled.works // 2 + number for number in range(CALLS + 1)]
    yield figure("income_typical_ms", lambda n: book().of(typical[n]).earned)
    busiest = filled.busiest_work
    yield figure("income_first_ms", lambda _: book().of(busiest).earned, calls=1, target=None)
    yield figure("income_start_ms", lambda _: book().of(busiest).earned, target=None)
    kept = book()

    def after_a_block(_: int) -> None:
        index.keep([("UPDATE head SET hash = hash || '0'", [()])])
        begin = time.process_time()
        kept.of(busiest)
        spent.append(time.process_time() - begin)

    spent: list[float] = []
    for number in range(CALLS):
        after_a_block(number)
    yield as_figure("income_ms", max(spent[1:]) * 1_000, None)


def figure(
    name: str, ask: Callable[[int], object], *, calls: int = CALLS, target: float | None = TARGET_MS
) -> Figure:
    spent = []
    if calls > 1:
        ask(0)
    for number in range(calls):
        begin = time.process_time()
        ask(number)
        spent.append(time.process_time() - begin)
    return as_figure(name, max(spent) * 1_000, target)


def as_figure(name: str, took_ms: float, target: float | None) -> Figure:
    return {
        "name": f"queries.{name}",
        "ours": round(took_ms, 1),
        "peer": None,
        "ratio": None,
        "unit": "ms",
        "target": target,
        "ok": target is None or took_ms <= target,
    }
