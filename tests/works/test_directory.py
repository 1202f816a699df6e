# SPDX-License-Identifier: Apache-2.0
"""Finding Works, on both databases: what is found is what reading every file would find, only faster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks._million import Filled, fill
from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.index import EventIndex
from koinon.chain.network import Network
from koinon.store.blocks import BlockStore
from koinon.works import directory as directories
from koinon.works import income_entries
from koinon.works.directory import Directory, Entry
from koinon.works.family import Family
from koinon.works.income import IncomeBook
from koinon.works.words import index_words
from tests.index_support import Place

NETWORK = Network(
    "made up",
    31337,
    "http://127.0.0.1:1",
    True,
    {name: checksum(f"0x{number + 1:040x}") for number, name in enumerate(artifacts.names())},
    {},
    0,
)


@dataclass
class Hall:
    """An index with some sixty Works, and who reads it."""

    filled: Filled
    index: EventIndex
    family: Family
    directory: Directory

    def book(self, *, notes: bool = False) -> IncomeBook:
        return IncomeBook(
            self.index,
            self.family,
            token=NETWORK.address("Coin"),
            channels=NETWORK.address("Channels"),
            notebook=self.index if notes else None,
        )

    def final_up_to(self, number: int) -> None:
        self.index.keep([("UPDATE block SET finalized = (number <= ?)", [(number,)])])


@pytest.fixture
def hall(new_place: Place, tmp_path: Path) -> Iterator[Hall]:
    store, place = BlockStore(tmp_path / "blocks"), new_place()
    filled = fill(place, NETWORK, 6_000, store=store)
    with EventIndex.open(place, network=NETWORK) as index:
        implementation = NETWORK.address("Till")
        family = Family(
            index,
            store,
            chain_id=NETWORK.chain_id,
            works=NETWORK.address("Works"),
            till_implementation=implementation,
        )
        directory = Directory(family, index)
        while directory.refresh():
            pass
        yield Hall(filled, index, family, directory)


def everything(directory: Directory) -> list[Entry]:
    found: list[Entry] = []
    before: int | None = None
    while True:
        page = directory.newest(before=before, limit=7)
        found += page.entries
        if page.before is None:
            return found
        before = page.before


def words_of_entry(entry: Entry) -> list[str]:
    return index_words((entry.name, entry.kind, entry.summary, entry.description))


SEARCHES = (
    "tea", "TEA harbour", "bird song", "number 1", "1", "a", "地震", "震", "稻米 12", "traffic traffic", "z",
    "a b n", "number number model", "é", "song 1 bird",
)  # fmt: skip


@pytest.mark.parametrize("rare", [0, 5, 2_000])
def test_a_search_finds_what_reading_every_file_would(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr(directories, "_RARE", rare)
    all_of_them = everything(hall.directory)
    assert [entry.work_id for entry in all_of_them] == list(range(hall.filled.works, 0, -1))
    for search in SEARCHES:
        wanted = search.casefold().split()
        expected = [
            entry.work_id
            for entry in all_of_them
            if all(any(own.startswith(word) for own in words_of_entry(entry)) for word in wanted)
        ]
        found = hall.directory.newest(search=search, limit=1_000)
        assert [entry.work_id for entry in found.entries] == expected, search


def test_words_are_found_by_their_beginning_whatever_language_the_database_sorts_in(hall: Hall) -> None:
    """A database for English sorts ``s-`` among ``sa`` and ``sz``, and ``é`` beside ``e``."""
    words = ["eb", "éa", "ea", "e", "zebra", "tea", "teá", "teb", "te", "震央", "震"]
    hall.index.keep(
        [
            ("DELETE FROM work_word", [()]),
            ("INSERT INTO work_word VALUES (?, ?, ?)", [(word, 1, "x") for word in words]),
        ]
    )
    for start in ("e", "é", "te", "tea", "震", "z"):
        found = hall.index.query(
            "SELECT word FROM work_word WHERE word >= ? AND word < ?", (start, start + "\U0010ffff")
        )
        assert {row[0] for row in found.rows} == {word for word in words if word.startswith(start)}
    assert [row[0] for row in hall.index.query("SELECT word FROM work_word ORDER BY word").rows] == sorted(
        words
    )


def test_an_owners_works_are_those_whose_last_transfer_went_there(hall: Hall) -> None:
    for owner in {entry.owner for entry in everything(hall.directory)}:
        expected = [
            work_id for work_id in range(hall.filled.works, 0, -1) if hall.family.owner_of(work_id) == owner
        ]
        assert hall.directory.of_owner(owner) == expected
        assert hall.directory.of_owner(owner, limit=2) == expected[:2]
        found = hall.directory.newest(owner=owner, limit=1_000).entries
        assert [entry.work_id for entry in found] == expected
    assert hall.directory.of_owner("0x" + "00" * 20) == []


def test_what_was_made_up_to_measure_with_could_have_happened(hall: Hall) -> None:
    tables = [table.name for source, _ in hall.index.sources() for table in source.tables]
    counted = sum(hall.index.query(f'SELECT COUNT(*) FROM "{name}"').rows[0][0] for name in tables)  # noqa: S608
    assert counted == hall.filled.events >= 6_000
    assert hall.index.query("SELECT sum_uint(events) FROM block").rows == [(counted,)]
    book = hall.book()
    rails: set[str] = set()
    for work_id in range(1, hall.filled.works + 1):
        income = book.of(work_id)
        table = hall.family.sharing(work_id).table
        assert table is not None
        for payee, share in table.items():
            assert income.by_payee.get(payee, 0) <= (income.waiting + income.withdrawn) * share // 10**9
            assert income.due(payee, share) >= 0
        assert income.waiting >= 0
        rails |= set(income.by_rail)
    assert rails == {"channel", "exact", "grant", "share", "transfer"}


def test_income_that_was_noted_and_read_on_is_income_read_anew(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(income_entries, "MANY", 5)
    for final in (hall.filled.blocks // 3, 2 * hall.filled.blocks // 3, hall.filled.blocks):
        hall.final_up_to(final)
        noted, anew = hall.book(notes=True), hall.book()
        for work_id in range(1, hall.filled.works + 1):
            one, other = noted.of(work_id), anew.of(work_id)
            assert one == other
            assert (one.by_payer, one.by_rail, one.by_payee) == (
                (other.by_payer, other.by_rail, other.by_payee)
            )
            later = one.until(one.payments[len(one.payments) // 2].timestamp if one.payments else 0)
            assert later.earned == sum(payment.amount for payment in later.payments) <= one.earned
    assert hall.index.query("SELECT COUNT(*) FROM work_income").rows[0][0] > 10


def test_a_note_of_another_chain_is_not_believed(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(income_entries, "MANY", 5)
    busiest = hall.filled.busiest_work
    expected = hall.book(notes=True).of(busiest)
    hall.index.keep(
        [("UPDATE work_income SET content = ?", [('[["x", "transfer"], [[1, 0, 1, "7", 1]], [], []]',)])]
    )
    assert hall.book(notes=True).of(busiest).earned == 7
    hall.index.keep([("UPDATE work_income SET block_hash = ?", [("0x" + "00" * 32,)])])
    assert hall.book(notes=True).of(busiest) == expected
