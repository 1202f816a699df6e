# SPDX-License-Identifier: Apache-2.0
"""An index with a million events in it, made without a chain, to measure pages and queries with.

    from benchmarks._million import fill
    filled = fill(path, network)                       # path: a file that does not exist, or postgresql://…
    filled = fill(path, network, store=BlockStore(…))  # with a signed registration file for each Work
    with EventIndex.open(path, network=network) as index:
        index.rows(…)

``network`` is any deployment, as `deploy` or a Node gives it: contracts, tills and signatures are of that
network, so a console on a fresh development chain shows this index (``<home>/index.sqlite``) as its own. Open
it for reading and let nobody follow: its blocks are made up, and a follower would undo them.

What is in it is what the contracts could have emitted: money arrives by every rail (channels, ``exact``,
grants, shares of children, plain transfers) before it leaves, tills pay what their roots say, and events of
one transaction stand together. Some Works and accounts are far busier than most; `Filled` names them. The
same seed makes the same rows.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.events import Column
from koinon.chain.index import ledger
from koinon.chain.index.engine import Engine
from koinon.chain.index.schema import source_statements
from koinon.chain.index.setup import engine_at, prepare
from koinon.chain.index.sources import network_sources
from koinon.chain.index.window import Header
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.works.catalogue import URI_SCHEME, Blocks
from koinon.works.registration import Card, Registration, registration_domain
from koinon.works.shares import OWNER, WHOLE, ShareTable
from koinon.works.till import Footer, due, till_address

EVENTS: Final = 1_000_000
EVENTS_A_WORK: Final = 100
EVENTS_A_BLOCK: Final = 50
EVENTS_A_WRITE: Final = 100_000
DAYS: Final = 90
NOW: Final = 1_790_000_000
OWNERS: Final = 400
PAYERS: Final = 5_000
PARENTS_SHARE: Final = WHOLE // 5
KINDS: Final = ("dataset", "model", "service", "artwork", "agent")
SUBJECTS: Final = ("credit", "weather", "地震", "speech", "tea", "harbour", "bird song", "稻米", "traffic")

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


@dataclass(frozen=True)
class Filled:
    """What is in the index: how many events, Works and blocks, the Work with the most transfers, the one with
    the most kin above it, and the accounts that own and pay the most."""

    events: int
    works: int
    blocks: int
    busiest_work: int
    deepest_work: int
    busiest_owner: str
    busiest_payer: str


def fill(
    path: Path | str,
    network: Network,
    events: int = EVENTS,
    *,
    store: Blocks | None = None,
    seed: int = 1,
    now: int = NOW,
) -> Filled:
    """Make an index at ``path`` with about ``events`` events, the newest of them at ``now`` (Unix seconds).

    Without ``store`` the Works point to files that nobody has. Takes about a minute for a million.
    """
    engine = engine_at(path, network)
    try:
        prepare(engine, network)
        sources = network_sources(network)
        statements = [
            text for source in sources for text in source_statements(source, engine.types, engine.suffix)
        ]
        indexes = [text for text in statements if text.startswith("CREATE INDEX")]
        with engine.write() as writer:  # made at the end, which is several times faster
            for text in indexes:
                writer.execute(f'DROP INDEX IF EXISTS "{text.split(chr(34))[1]}"')
        world = _World(network, events, store, seed, now)
        for _ in world.history():
            if world.unwritten >= EVENTS_A_WRITE:
                world.write(engine)
        world.write(engine)
        with engine.write() as writer:
            ledger.move_head(writer, world.head)
            writer.execute("UPDATE source SET through = ?", (world.head.number,))
            for text in indexes:
                writer.execute(text)
        return world.summary()
    finally:
        engine.close()


class _World:
    """Works, accounts and their money; each step emits the events of one transaction."""

    def __init__(self, network: Network, events: int, store: Blocks | None, seed: int, now: int) -> None:
        self.network, self.store, self.events = network, store, events
        self.random = random.Random(seed)
        self.columns = {
            table.name: table.columns for source in network_sources(network) for table in source.tables
        }
        self.contracts = {name.lower(): address for name, address in network.contracts.items()}
        self.coin, self.channels = network.address("Coin"), network.address("Channels")
        self.works = max(4, events // EVENTS_A_WORK)
        self.owners = [Key.from_bytes(_hash("owner", seed, i)) for i in range(OWNERS if store else 40)]
        self.owner_addresses = [key.address for key in self.owners]
        self.payers = [checksum("0x" + _hash("payer", seed, number)[:20].hex()) for number in range(PAYERS)]
        self.domain = registration_domain(network.chain_id, network.address("Works"))
        blocks = events // EVENTS_A_BLOCK + 1
        self.step_s = max(1, DAYS * 86_400 // blocks)
        self.begin = now - self.step_s * blocks
        self.emitted = self.unwritten = 0
        self.block, self.log_index, self.transaction = max(network.start_block, 0), 0, ""
        self.head = Header(self.block, _text("block", seed, self.block), _text("block", seed, 0), self.begin)
        self.rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.block_rows: list[tuple[Any, ...]] = []
        self.seed = seed
        self.tills: list[str] = [""]  # by work id, from 1
        self.owned: list[str] = [""]
        self.parents: list[tuple[int, ...]] = [()]
        self.depth: list[int] = [0]
        self.tables: dict[tuple[int, ...], ShareTable] = {}
        self.balance: dict[int, int] = defaultdict(int)
        self.released: dict[int, int] = defaultdict(int)
        self.claimed_by: dict[tuple[int, str], int] = defaultdict(int)
        self.pending: dict[int, int] = defaultdict(int)
        self.opened: list[tuple[str, int]] = []  # (channel id, Work)
        self.totals: dict[str, int] = defaultdict(int)
        self.arrivals: dict[int, int] = defaultdict(int)
        self.feedback: dict[tuple[int, str], int] = defaultdict(int)

    def history(self) -> Iterator[None]:
        steps = (
            self.pay,
            self.pay_exact,
            self.claim,
            self.settle,
            self.grant,
            self.release,
            self.open,
            self.rate,
        )
        weights = tuple(itertools.accumulate((30, 14, 26, 6, 4, 14, 2, 4)))
        while self.emitted < self.events:
            wanted = 4 + self.emitted * self.works // self.events
            while len(self.tills) <= min(wanted, self.works):
                self.begin_transaction()
                self.publish()
                yield
            self.begin_transaction()
            self.random.choices(steps, cum_weights=weights)[0]()
            yield
        self.end_block()

    # what happens

    def publish(self) -> None:
        work_id = len(self.tills)
        till = till_address(
            self.network.address("Till"),
            Footer(self.network.chain_id, self.network.address("Works"), work_id),
        )
        number = self.popular(len(self.owners)) - 1
        owner = self.owner_addresses[number]
        parents = self.parents_for(work_id)
        table = self.shares(parents)
        uri = self.file(work_id, self.owners[number], table)
        self.tills.append(till)
        self.owned.append(owner)
        self.parents.append(parents)
        self.depth.append(1 + max((self.depth[parent] for parent in parents), default=-1))
        registered = {"agent_id": work_id, "agent_uri": uri, "owner": owner}
        self.emit("works_transfer", **{"from": ZERO_ADDRESS, "to": owner, "token_id": work_id})
        self.emit("works_registered", **registered)
        for parent in parents:
            self.emit("works_parent_declared", child=work_id, parent=parent, minimum_share=PARENTS_SHARE)
        self.emit("works_till_deployed", work_id=work_id, till=till)
        self.emit("till_root_written", till, root="0x" + table.root.hex())
        if work_id % 3 == 0:
            self.emit(
                "terms_offer_made",
                work_id=work_id,
                use=1,
                owner=owner,
                token=self.coin,
                price=10**6,
                consent=1,
            )
        if work_id % 10 == 0:
            self.emit("works_uri_updated", agent_id=work_id, new_uri=uri, updated_by=owner)

    def pay(self) -> None:
        self.arrive(self.payer(), self.work())

    def pay_exact(self) -> None:
        payer, nonce = self.payer(), self.transaction
        self.emit("coin_authorization_used", authorizer=payer, nonce=nonce)
        self.arrive(payer, self.work())

    def grant(self) -> None:
        payer, work_id = self.payer(), self.work()
        amount = self.arrive(payer, work_id)
        self.emit(
            "terms_granted", grant_id=self.emitted, work_id=work_id, grantee=payer, use=1, payer=payer,
            token=self.coin, paid=amount, starts_at=self.time(), valid_until=self.time() + 30 * 86_400,
            terms_digest=self.transaction,
        )  # fmt: skip

    def open(self) -> None:
        payer, work_id, channel = self.payer(), self.work(), _text("channel", self.seed, self.emitted)
        self.opened.append((channel, work_id))
        self.emit(
            "channels_channel_created", channel_id=channel, config_payer=payer, config_payer_authorizer=payer,
            config_receiver=self.tills[work_id], config_receiver_authorizer=self.owned[work_id],
            config_token=self.coin, config_withdraw_delay=3_600, config_salt=self.transaction,
        )  # fmt: skip
        deposit = 10**9
        self.emit("channels_deposited", channel_id=channel, sender=payer, amount=deposit, new_balance=deposit)
        self.emit("coin_transfer", **{"from": payer, "to": self.channels, "value": deposit})

    def claim(self) -> None:
        if not self.opened:
            return self.open()
        channel, work_id = self.opened[self.popular(len(self.opened)) - 1]
        amount = self.amount()
        self.totals[channel] += amount
        self.pending[work_id] += amount
        self.emit(
            "channels_claimed", channel_id=channel, sender=self.owned[work_id], claim_amount=amount,
            new_total_claimed=self.totals[channel],
        )  # fmt: skip
        return None

    def settle(self) -> None:
        work_id = next(iter(self.pending), None)
        if work_id is None:
            return self.claim()
        amount = self.pending.pop(work_id)
        self.arrive(self.channels, work_id, amount)
        self.emit(
            "channels_settled", receiver=self.tills[work_id], token=self.coin, sender=self.owned[work_id],
            amount=amount,
        )  # fmt: skip
        return None

    def release(self) -> None:
        work_id = self.work()
        table = self.shares(self.parents[work_id])
        payee = self.random.choice(list(table))
        amount = due(
            self.balance[work_id], self.released[work_id], self.claimed_by[work_id, payee], table[payee]
        )
        if not amount:
            return self.pay()
        receiver, till = self.owned[work_id] if payee == OWNER else payee, self.tills[work_id]
        self.balance[work_id] -= amount
        self.released[work_id] += amount
        self.claimed_by[work_id, payee] += amount
        if payee != OWNER:
            parent = next(each for each in self.parents[work_id] if self.tills[each] == payee)
            self.balance[parent] += amount
            self.arrivals[parent] += 1
        self.emit("coin_transfer", **{"from": till, "to": receiver, "value": amount})
        self.emit("till_released", till, token=self.coin, payee=payee, receiver=receiver, amount=amount)
        return None

    def rate(self) -> None:
        work_id, client = self.work(), self.payer()
        self.feedback[work_id, client] += 1
        self.emit(
            "reputation_new_feedback", agent_id=work_id, client_address=client,
            feedback_index=self.feedback[work_id, client], value=self.random.randint(1, 100), tag1="quality",
            indexed_tag1=_text("quality"), feedback_hash=self.transaction,
        )  # fmt: skip

    def arrive(self, payer: str, work_id: int, amount: int | None = None) -> int:
        amount = self.amount() if amount is None else amount
        self.balance[work_id] += amount
        self.arrivals[work_id] += 1
        self.emit("coin_transfer", **{"from": payer, "to": self.tills[work_id], "value": amount})
        return amount

    # who and how much

    def popular(self, among: int) -> int:
        """From 1 to ``among``, small numbers far more often: one in ten is 1."""
        return 1 if self.random.random() < 0.1 else 1 + int(among * self.random.random() ** 3)

    def work(self) -> int:
        return self.popular(len(self.tills) - 1)

    def payer(self) -> str:
        return self.payers[self.popular(len(self.payers)) - 1]

    def amount(self) -> int:
        return int(10 ** self.random.uniform(3, 7))  # the smallest unit

    def time(self) -> int:
        return self.begin + self.step_s * (self.block - max(self.network.start_block, 0))

    def parents_for(self, work_id: int) -> tuple[int, ...]:
        if work_id < 4 or work_id % 3:
            return ()
        older = {self.random.randint(max(1, work_id - 60), work_id - 1), self.popular(work_id - 1)}
        return tuple(sorted(older))

    def shares(self, parents: tuple[int, ...]) -> ShareTable:
        if parents not in self.tables:
            of_parents = {self.tills[parent]: PARENTS_SHARE for parent in parents}
            self.tables[parents] = ShareTable({**of_parents, OWNER: WHOLE - PARENTS_SHARE * len(parents)})
        return self.tables[parents]

    def file(self, work_id: int, owner: Key, table: ShareTable) -> str:
        if self.store is None:
            return f"{URI_SCHEME}nobody-has-{work_id}"
        subject, kind = SUBJECTS[work_id % len(SUBJECTS)], KINDS[work_id % len(KINDS)]
        card = Card(
            kind, f"A {kind} about {subject}, number {work_id}.", "Made up to measure with.",
            ("It is not real.",), "Nobody can.", unmeasured="There is nothing to measure.",
        )  # fmt: skip
        registration = Registration(f"{subject} {work_id}", f"{subject}: {kind}.", card, shares=table)
        return URI_SCHEME + self.store.put(registration.sign(owner, self.domain).to_bytes())

    # where it is written down

    def begin_transaction(self) -> None:
        if self.log_index >= EVENTS_A_BLOCK:
            self.end_block()
            parent = self.head.hash
            self.block += 1
            self.log_index = 0
            self.head = Header(self.block, _text("block", self.seed, self.block), parent, self.time())
        self.transaction = _text("transaction", self.seed, self.emitted)

    def end_block(self) -> None:
        head = self.head
        self.block_rows.append(
            (head.number, head.hash, head.parent_hash, head.timestamp, True, self.log_index)
        )

    def emit(self, table: str, address: str | None = None, /, **fields: Any) -> None:
        emitter = address or self.contracts[table.partition("_")[0]]
        columns = self.columns[table]
        values = tuple(fields.pop(column.name, _EMPTY[column.kind]) for column in columns)
        if fields:
            raise ValueError(f"{table} has no {', '.join(fields)}")
        self.rows[table].append((self.block, self.log_index, self.transaction, emitter, *values))
        self.log_index += 1
        self.emitted += 1
        self.unwritten += 1

    def write(self, engine: Engine) -> None:
        with engine.write() as writer:
            for table, rows in self.rows.items():
                writer.insert(table, (*_HEAD, *self.columns[table]), rows)
            writer.insert("block", _BLOCK, self.block_rows)
        self.rows.clear()
        self.block_rows = []
        self.unwritten = 0

    def summary(self) -> Filled:
        return Filled(
            events=self.emitted,
            works=len(self.tills) - 1,
            blocks=self.block - max(self.network.start_block, 0) + 1,
            busiest_work=max(self.arrivals, key=lambda work_id: self.arrivals[work_id]),
            deepest_work=max(range(len(self.depth)), key=lambda work_id: self.depth[work_id]),
            busiest_owner=self.owner_addresses[0],
            busiest_payer=self.payers[0],
        )


def _hash(*parts: Any) -> bytes:
    return hashlib.sha256(":".join(map(str, parts)).encode()).digest()


def _text(*parts: Any) -> str:
    return "0x" + _hash(*parts).hex()


def main(path: str, network_file: str) -> None:
    """python -m benchmarks._million PATH NETWORK_FILE [EVENTS]"""
    events = int(sys.argv[3]) if len(sys.argv) > 3 else EVENTS
    begin = time.perf_counter()
    filled = fill(path if "://" in path else Path(path), Network.load(Path(network_file)), events)
    print(filled, f"in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:3])
