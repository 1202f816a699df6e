# SPDX-License-Identifier: Apache-2.0
"""An event index with a history that nobody lived: Works, tills, payments and feedback, written as the
contracts would have emitted them, so that a thousand accounts cost no transaction."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.events import Column
from koinon.chain.index import EventIndex, ledger
from koinon.chain.index.setup import engine_at
from koinon.chain.index.sources import network_sources
from koinon.chain.index.window import Header
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.store.blocks import BlockStore
from koinon.works.catalogue import URI_SCHEME
from koinon.works.earnings import Income
from koinon.works.family import Family
from koinon.works.income import IncomeBook
from koinon.works.registration import Card, Registration, Service, registration_domain
from koinon.works.shares import OWNER, WHOLE, ShareTable
from koinon.works.till import Footer, till_address

BEGIN: Final = 1_790_000_000
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


def account(name: str) -> str:
    """An address that stands for a name."""
    return checksum("0x" + hashlib.sha256(name.encode()).digest()[:20].hex())


class MadeUp:
    """The history; each step is a block, a second after the one before. Call `write`, then read ``index``."""

    def __init__(self, folder: Path, network: Network, till_implementation: str | None = None) -> None:
        self.network, self.store = network, BlockStore(folder / "blocks")
        self.path = folder / "index.sqlite"
        self.implementation = till_implementation or network.address("Till")
        self.index = EventIndex.open(self.path, network=network)
        self.family = Family(
            self.index,
            self.store,
            chain_id=network.chain_id,
            works=network.address("Works"),
            till_implementation=self.implementation,
        )
        self.columns = {
            table.name: table.columns for source in network_sources(network) for table in source.tables
        }
        self.contracts = {name.lower(): address for name, address in network.contracts.items()}
        self.key = Key.generate()
        self.coin = network.address("Coin")
        self.domain = registration_domain(network.chain_id, network.address("Works"))
        self.works = 0
        self.block = max(network.start_block, 0)
        self._rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._blocks: list[tuple[Any, ...]] = []
        self._given: dict[tuple[int, str], int] = defaultdict(int)
        self._log = 0

    @property
    def now(self) -> int:
        return BEGIN + self.block

    def till(self, work_id: int) -> str:
        return till_address(
            self.implementation, Footer(self.network.chain_id, self.network.address("Works"), work_id)
        )

    def work(
        self,
        owner: str,
        shares: Mapping[str, int] | None = None,
        *,
        name: str = "A service",
        description: str = "It answers.",
        kind: str = "service",
        fixed: bool = True,
    ) -> int:
        """A Work with its till; ``shares`` in 1e-9, what is left is the owner's."""
        self.works += 1
        own = dict(shares or {})
        rest = WHOLE - sum(own.values())
        table = ShareTable({**own, **({OWNER: rest} if rest else {})})
        card = Card(kind, description, "Made up.", ("It is not real.",), "Ask.", unmeasured="A test.")
        file = Registration(
            name, description, card, services=(Service("x402", "http://127.0.0.1:9/services"),), shares=table
        )
        uri = URI_SCHEME + self.store.put(file.sign(self.key, self.domain).to_bytes())
        till = self.till(self.works)
        self._emit("works_transfer", **{"from": ZERO_ADDRESS, "to": owner, "token_id": self.works})
        self._emit("works_registered", agent_id=self.works, agent_uri=uri, owner=owner)
        if fixed:
            self._emit("works_till_deployed", work_id=self.works, till=till)
            self._emit("till_root_written", till, root="0x" + table.root.hex())
        self._close()
        return self.works

    def give_away(self, work_id: int, owner: str, to: str) -> None:
        self._emit("works_transfer", **{"from": owner, "to": to, "token_id": work_id})
        self._close()

    def send(self, payer: str, to: str, amount: int) -> None:
        """A plain transfer, to an account or a till."""
        self._emit("coin_transfer", **{"from": payer, "to": to, "value": amount})
        self._close()

    def pay(self, payer: str, work_id: int, amount: int) -> None:
        """Through a channel of its own: filled, claimed, settled."""
        channel = "0x" + hashlib.sha256(f"{payer}{work_id}{self.block}".encode()).hexdigest()
        channels, till = self.network.address("Channels"), self.till(work_id)
        self._emit(
            "channels_channel_created", channel_id=channel, config_payer=payer, config_receiver=till,
            config_token=self.coin, config_salt="0x" + "00" * 32,
        )  # fmt: skip
        self._emit("coin_transfer", **{"from": payer, "to": channels, "value": amount})
        self._emit("channels_claimed", channel_id=channel, claim_amount=amount, new_total_claimed=amount)
        self._emit("coin_transfer", **{"from": channels, "to": till, "value": amount})
        self._emit("channels_settled", receiver=till, token=self.coin, amount=amount)
        self._close()

    def say(self, client: str, work_id: int, mark: int, tag: str = "starred") -> int:
        """Feedback; its index."""
        self._given[work_id, client] += 1
        index = self._given[work_id, client]
        self._emit(
            "reputation_new_feedback", agent_id=work_id, client_address=client, feedback_index=index,
            value=mark, tag1=tag, indexed_tag1=tag,
        )  # fmt: skip
        self._close()
        return index

    def take_back(self, client: str, work_id: int, index: int) -> None:
        self._emit(
            "reputation_feedback_revoked", agent_id=work_id, client_address=client, feedback_index=index
        )
        self._close()

    def check(self, validator: str, work_id: int, response: int) -> None:
        """A validation, asked for and answered."""
        request = "0x" + hashlib.sha256(f"{validator}{work_id}{self.block}".encode()).hexdigest()
        self._emit(
            "validation_validation_request", validator_address=validator, agent_id=work_id,
            request_hash=request,
        )  # fmt: skip
        self._emit(
            "validation_validation_response", validator_address=validator, agent_id=work_id,
            request_hash=request, response=response, tag="reexec:hard",
        )  # fmt: skip
        self._close()

    def write(self) -> None:
        """Everything so far into the index."""
        engine = engine_at(self.path, self.network)
        try:
            with engine.write() as writer:
                for table, rows in self._rows.items():
                    writer.insert(table, (*_HEAD, *self.columns[table]), rows)
                writer.insert("block", _BLOCK, self._blocks)
                ledger.move_head(writer, Header(self.block, self._hash(self.block), "0x", self.now))
        finally:
            engine.close()
        self._rows.clear()
        self._blocks = []

    def income(self, work_id: int) -> Income:
        book = IncomeBook(self.index, self.family, token=self.coin, channels=self.network.address("Channels"))
        return book.of(work_id)

    def _emit(self, table: str, address: str | None = None, /, **fields: Any) -> None:
        emitter = address or self.contracts[table.partition("_")[0]]
        values = tuple(fields.pop(column.name, _EMPTY[column.kind]) for column in self.columns[table])
        assert not fields, fields
        self._rows[table].append((self.block + 1, self._log, self._hash(self.block + 1), emitter, *values))
        self._log += 1

    def _close(self) -> None:
        self.block += 1
        self._blocks.append(
            (self.block, self._hash(self.block), self._hash(self.block - 1), self.now, False, self._log)
        )
        self._log = 0

    @staticmethod
    def _hash(number: int) -> str:
        return "0x" + hashlib.sha256(f"block {number}".encode()).hexdigest()
