# SPDX-License-Identifier: Apache-2.0
"""Logs to canonical rows. Only contracts that were named are believed: anybody may emit a `Borrow` that names
a victim, or a token's `Transfer` from anyone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.errors import BadInput
from koinon.markets.history.facts import Facts
from koinon.markets.history.protocols import RULES, Rule, bound, learn
from koinon.markets.history.rows import EventRow
from koinon.markets.history.saying import Fields

Log = Mapping[str, Any]


@dataclass
class Decoded:
    """``rows`` in the chain's order; ``refused`` place → why a log of a known event could not be read;
    ``strangers`` how many logs nobody asked for."""

    rows: list[EventRow] = field(default_factory=list)
    refused: dict[tuple[int, int], str] = field(default_factory=dict)
    strangers: int = 0


class Decoder:
    """Reads the logs of named contracts.

    Parameters
    ----------
    contracts : mapping of address to protocol
        See `koinon.markets.history.rows.PROTOCOLS`.
    facts : Facts
        Which tokens the markets are about; what events say of it is added.
    any_token : bool
        Whether every other address is read as an ERC-20 token.

    Raises
    ------
    BadInput
        An address or protocol is unknown.
    """

    def __init__(
        self, contracts: Mapping[str, str], facts: Facts | None = None, *, any_token: bool = False
    ) -> None:
        self.contracts = {checksum(address): check_protocol(name) for address, name in contracts.items()}
        self.facts = facts if facts is not None else Facts()
        self.any_token = any_token

    def decode(self, logs: Sequence[Log], timestamps: Mapping[int, int] | None = None) -> Decoded:
        """Rows of logs as a node gives them.

        ``timestamps`` block → Unix seconds; where it lacks a block, the log's own ``blockTimestamp``, else 0.
        Nothing is raised for a log: what cannot be read is in ``refused``.
        """
        found = Decoded()
        groups: dict[tuple[str, str, int], list[Log]] = {}
        for log in logs:
            protocol = self._protocol(log)
            topics = log["topics"]
            key = (topics[0].lower(), len(topics)) if topics else ("", 0)
            if protocol is None or key not in bound(protocol):
                found.strangers += 1
            else:
                groups.setdefault((protocol, *key), []).append(log)
        events: list[tuple[Rule, str, Fields]] = []
        for (protocol, topic, count), group in groups.items():
            rule, layout = bound(protocol)[topic, count]
            decoded = layout.decode(group)
            for place, reason in decoded.refused.items():
                log = group[place]
                found.refused[int(log["blockNumber"], 16), int(log["logIndex"], 16)] = reason
            names = [column.name for column in layout.columns]
            for place, values in zip(decoded.places, decoded.rows, strict=True):
                fields = _placed(group[place], dict(zip(names, values, strict=True)), timestamps or {})
                events.append((rule, protocol, fields))
        found.rows = self.rows(events)
        return found

    def rows(self, events: Iterable[tuple[Rule, str, Fields]]) -> list[EventRow]:
        """Rows of decoded events: (rule, protocol, fields), where fields has the index's columns, the block's
        ``timestamp`` and its ``block_hash``."""
        ordered = sorted(events, key=lambda each: (each[2]["block_number"], each[2]["log_index"]))
        rows: list[EventRow] = []
        for event in ordered:
            rule, _, fields = event
            learn(self.facts, rule.name, fields)
            contract = fields["address"]
            market = fields[rule.market] if rule.market else contract
            for position, part in enumerate(rule.read(fields, self.facts.market(market, contract))):
                rows.append(_row(position, event, market, part))
        return _split_base(rows)

    def _protocol(self, log: Log) -> str | None:
        known = self.contracts.get(checksum(log["address"]))
        return known if known is not None or not self.any_token else "erc20"


def _placed(log: Log, fields: dict[str, Any], timestamps: Mapping[int, int]) -> Fields:
    """An event's fields with the columns that the index keeps of every event, and its block's."""
    number = int(log["blockNumber"], 16)
    return {
        **fields,
        "block_number": number,
        "log_index": int(log["logIndex"], 16),
        "transaction_hash": str(log.get("transactionHash") or "").lower(),
        "address": checksum(log["address"]),
        "block_hash": str(log.get("blockHash") or "").lower(),
        "timestamp": timestamps.get(number, int(log.get("blockTimestamp") or "0x0", 16)),
    }


def check_protocol(name: str) -> str:
    """The name, where it is one of a protocol that is read; else `BadInput`."""
    if name not in RULES:
        raise BadInput(
            f"{name!r} is not a protocol that is read.",
            hint=f"They are: {', '.join(RULES)}.",
            code="history.protocol",
        )
    return name


def _row(position: int, event: tuple[Rule, str, Fields], market: str, part: Mapping[str, Any]) -> EventRow:
    rule, protocol, fields = event
    return EventRow(
        block_number=fields["block_number"],
        log_index=fields["log_index"],
        position=position,
        timestamp=fields["timestamp"],
        block_hash=fields["block_hash"],
        transaction_hash=fields["transaction_hash"],
        kind=part["kind"],
        protocol=protocol,
        contract=fields["address"],
        market=market,
        account=part.get("account", ""),
        counterparty=part.get("counterparty", ""),
        asset=part.get("asset", ""),
        amount=part.get("amount", 0),
        asset_2=part.get("asset_2", ""),
        amount_2=part.get("amount_2", 0),
        note=part.get("note") or rule.name,
    )


def _split_base(rows: Sequence[EventRow]) -> list[EventRow]:
    """Compound v3 says Supply for what repays and Withdraw for what borrows. The mint or burn of its base
    token that follows at once (CometMainInterface: ``Transfer`` after ``Supply``/``Withdraw``) tells how much
    of it was the account's own."""
    following = {
        (row.block_number, row.log_index, row.contract): row
        for row in rows
        if row.protocol == "compound-v3" and row.kind == "transfer"
    }
    found: list[EventRow] = []
    for row in rows:
        if row.protocol != "compound-v3" or row.kind not in ("supply", "withdraw"):
            found.append(row)
            continue
        after = following.get((row.block_number, row.log_index + 1, row.contract))
        own = 0
        if after is not None:
            ends = (after.account, after.counterparty)
            wanted = (ZERO_ADDRESS, row.account) if row.kind == "supply" else (row.account, ZERO_ADDRESS)
            own = min(after.amount, row.amount) if ends == wanted else 0
        if own:
            found.append(replace(row, amount=own))
        if row.amount > own:
            kind = "repay" if row.kind == "supply" else "borrow"
            found.append(replace(row, kind=kind, amount=row.amount - own, position=1))
    return found
