# SPDX-License-Identifier: Apache-2.0
"""How long a search of the market takes over 100,000 services, and whether it finds what is meant.

``search.p95_ms`` is processor time of `Market.find` for 400 questions of one to four words, half of them with
a condition on the price, each with the index, prices, feedback and verdicts read anew as a page does;
``search.p95_wall_ms`` is the time on the clock, which depends on what else the machine does. The descriptions
are generated (`_services.many`), and no gateway is asked. ``search.build_s`` is the processor time of the
first search, which takes all texts in.

``search.first_right`` and ``search.reciprocal_rank`` are over 28 questions and 24 services written by hand,
beside a search for the question's words as parts of the text (the peer); ``search.by_meaning_…`` the same
with the optional embeddings, where they are installed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from benchmarks._services import FEW, QUESTIONS, many, questions
from benchmarks.queries import made_up
from koinon.chain.address import checksum
from koinon.chain.events import Column
from koinon.chain.index import EventIndex, ledger
from koinon.chain.index.setup import engine_at
from koinon.chain.index.sources import network_sources
from koinon.chain.index.window import Header
from koinon.chain.network import Network
from koinon.services.finding import meaning
from koinon.services.finding.found import Filters
from koinon.services.finding.market import Market
from koinon.services.finding.measured import Measurements
from koinon.services.finding.price_list import PriceList
from koinon.store.blocks import BlockStore
from koinon.works.directory import Directory
from koinon.works.family import Family
from koinon.works.income import IncomeBook

SERVICES: Final = 100_000
ASKED: Final = 400
SPOKEN_OF: Final = 2_000
"""Services with feedback."""

TARGET_MS: Final = 50.0
NOW: Final = 1_790_000_000
_HEAD: Final = (
    Column("block_number", "integer"),
    Column("log_index", "integer"),
    Column("transaction_hash", "text"),
    Column("address", "text"),
)
_BLOCK: Final = (
    Column("number", "integer"),
    Column("hash", "text"),
    Column("parent_hash", "text"),
    Column("timestamp", "integer"),
    Column("finalized", "boolean"),
    Column("events", "integer"),
)
_EMPTY: Final = {"integer": 0, "boolean": False, "text": ""}

Figure = Mapping[str, Any]
Text = tuple[str, str]


def run(services: int = SERVICES, asked: int = ASKED) -> Iterator[Figure]:
    """The figures of this module."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), list(many(services))) as market:
        yield from times(market, asked)
    yield from relevance(by_meaning=False)
    if meaning.available():
        yield from relevance(by_meaning=True)


def times(market: OpenMarket, asked: int) -> Iterator[Figure]:
    """Of the first search and of those after it."""
    begin = time.process_time()
    market.find("credit")
    yield figure("build_s", time.process_time() - begin, unit="s")
    took, on_the_clock = [], []
    for number, question in enumerate(questions(asked)):
        filters = Filters(max_price=5_000) if number % 2 else Filters()
        begin, clock = time.process_time(), time.perf_counter()
        market.find(question, filters)
        took.append((time.process_time() - begin) * 1_000)
        on_the_clock.append((time.perf_counter() - clock) * 1_000)
    yield figure("p50_ms", statistics.median(took), unit="ms")
    yield figure("p95_ms", statistics.quantiles(took, n=20)[-1], unit="ms", target=TARGET_MS)
    yield figure("p95_wall_ms", statistics.quantiles(on_the_clock, n=20)[-1], unit="ms")


def relevance(*, by_meaning: bool) -> Iterator[Figure]:
    """How often the right service is first, and the mean of 1/place, over the questions written by hand."""
    name = "by_meaning_" if by_meaning else ""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with opened(place, FEW, meaning_folder=place if by_meaning else None) as market:
            ours = [rank(market.find(question), right) for question, right in QUESTIONS]
    peer = [rank(by_parts(question), right) for question, right in QUESTIONS]
    yield figure(f"{name}first_right", share(ours), peer=share(peer), unit="of 1")
    yield figure(f"{name}reciprocal_rank", reciprocal(ours), peer=reciprocal(peer), unit="of 1")


def by_parts(question: str) -> list[int]:
    """The baseline: services by how many of the question's words are parts of their text."""
    words = question.casefold().split()
    counted = [
        (sum(word in f"{name} {text}".casefold() for word in words), number)
        for number, (name, text) in enumerate(FEW, start=1)
    ]
    return [number for count, number in sorted(counted, key=lambda each: (-each[0], each[1])) if count]


def rank(found: Sequence[int], right: int) -> int | None:
    return found.index(right) + 1 if right in found else None


def share(ranks: Sequence[int | None]) -> float:
    return sum(each == 1 for each in ranks) / len(ranks)


def reciprocal(ranks: Sequence[int | None]) -> float:
    return sum(1 / each for each in ranks if each) / len(ranks)


class OpenMarket:
    """A market over an index that was made up; close it, or use it as a context manager."""

    def __init__(self, market: Market, index: EventIndex) -> None:
        self.market, self.index = market, index

    def find(self, question: str, filters: Filters | None = None) -> list[int]:
        trust = self.market.trust([_account(1)], [_account(2)])
        found = self.market.find(question, filters, trust=trust, ask=False)
        return [each.work_id for each in found.results]

    def __enter__(self) -> OpenMarket:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()


def opened(folder: Path, texts: Sequence[Text], *, meaning_folder: Path | None = None) -> OpenMarket:
    """A market of these services; every one has a price, some have feedback."""
    network, path = made_up(), folder / "index.sqlite"
    index = EventIndex.open(path, network=network)
    fill(path, network, len(texts))
    family = Family(
        index,
        BlockStore(folder / "blocks"),
        chain_id=network.chain_id,
        works=network.address("Works"),
        till_implementation=network.address("Till"),
    )
    coin = network.address("Coin")
    hall: Any = SimpleNamespace(
        index=index,
        family=family,
        directory=Directory(family, index),
        book=IncomeBook(index, family, token=coin, channels=network.address("Channels")),
        chain=SimpleNamespace(network=network, coin=SimpleNamespace(address=coin, call=lambda *_: 6)),
    )
    prices = PriceList(None, index, index)
    files = [
        (number, _uri(number), "read", "service", name, text, text, "", NOW)
        for number, (name, text) in enumerate(texts, start=1)
    ]
    index.keep(
        [
            ("INSERT INTO work_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", files),
            ("INSERT INTO work_progress VALUES ('files', ?)", [(1,)]),
            (
                "INSERT INTO service_offer VALUES (?, 'open', ?, NULL, NULL, ?)",
                [(number, str(number % 10_000 + 1), NOW) for number in range(1, len(texts) + 1)],
            ),
        ]
    )
    market = Market(hall, prices, Measurements(folder), meaning_folder=meaning_folder)
    return OpenMarket(market, index)


def fill(path: Path, network: Network, works: int) -> None:
    """One block with all registrations and the feedback."""
    columns = {table.name: table.columns for source in network_sources(network) for table in source.tables}
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in columns}

    def emit(table: str, log: int, **fields: Any) -> None:
        values = tuple(fields.get(column.name, _EMPTY[column.kind]) for column in columns[table])
        rows[table].append((1, log, "0x01", network.address("Works"), *values))

    for work in range(1, works + 1):
        emit("works_transfer", 2 * work, **{"from": _account(0), "to": _account(9), "token_id": work})
        emit("works_registered", 2 * work + 1, agent_id=work, agent_uri=_uri(work), owner=_account(9))
    for number in range(min(SPOKEN_OF, works)):
        emit(
            "reputation_new_feedback", 2 * works + 2 + number, agent_id=1 + number * works // SPOKEN_OF,
            client_address=_account(10 + number), feedback_index=1, value=80, tag1="starred",
        )  # fmt: skip
    engine = engine_at(path, network)
    try:
        with engine.write() as writer:
            for table, events in rows.items():
                if events:
                    writer.insert(table, (*_HEAD, *columns[table]), events)
            writer.insert("block", _BLOCK, [(1, "0x01", "0x00", NOW, True, 2 * works)])
            ledger.move_head(writer, Header(1, "0x01", "0x00", NOW))
    finally:
        engine.close()


def figure(
    name: str, ours: float, *, peer: float | None = None, unit: str, target: float | None = None
) -> Figure:
    return {
        "name": f"search.{name}",
        "ours": round(ours, 3),
        "peer": None if peer is None else round(peer, 3),
        "ratio": round(ours / peer, 2) if peer else None,
        "unit": unit,
        "target": target,
        "ok": None if target is None else ours < target,
    }


def _uri(number: int) -> str:
    return f"ipfs://nobody-has-{number}"


def _account(number: int) -> str:
    return checksum(f"0x{number:040x}")
