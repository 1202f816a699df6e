# SPDX-License-Identifier: Apache-2.0
"""Datasets as the market's pages list them, and results as they show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.chain.handle import Chain
from koinon.data.document import DatasetDocument, document_of
from koinon.data.gate.schema import read_schema
from koinon.errors import BadInput, KoinonError
from koinon.store import BlockStore
from koinon.works.directory import Entry
from koinon.works.hall import Hall
from koinon.works.terms import Use

MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Listed:
    """A dataset in the list; prices in the coin's smallest unit, None where the use is not for sale."""

    entry: Entry
    grant_price: int | None
    price_per_second: int | None
    epsilon_left: float
    epsilon_total: float
    earned: int


@dataclass(frozen=True)
class ResultRow:
    """One number, word or group of a result; ``value`` None where a group is too small to be shown."""

    name: str
    group: str
    value: str | None
    more: str = ""


def listed(hall: Hall, chain: Chain, store: BlockStore, entries: Sequence[Entry]) -> list[Listed]:
    """Of these Works those that one can compute on, with what the chain says of them now."""
    found: list[tuple[Entry, DatasetDocument]] = []
    for entry in entries:
        document = document_at(hall, store, entry.work_id)
        if document is not None and "compute" in document.terms:
            found.append((entry, document))
    offers = chain.contract("Terms").call_many(
        [("offer_of", entry.work_id, int(Use.COMPUTE)) for entry, _ in found]
    )
    budgets = chain.contract("PrivacyBudget").call_many([("budget_of", entry.work_id) for entry, _ in found])
    rows = []
    for (entry, document), (offer, stands), (total, spent, *_rest) in zip(
        found, offers, budgets, strict=True
    ):
        second = document.terms["compute"].get("price_per_second")
        rows.append(
            Listed(
                entry,
                int(offer[1]) if stands else None,
                int(second) if isinstance(second, int) else None,
                (total - spent) / MILLION,
                total / MILLION,
                hall.book.of(entry.work_id).earned,
            )
        )
    return rows


def document_at(hall: Hall, store: BlockStore, work_id: int) -> DatasetDocument | None:
    """A Work's document; None where it is no dataset of this market, or the document is not here."""
    for uri in hall.family.uris_of(work_id)[:1]:
        try:
            return document_of(store, hall.family.file(uri).registration)
        except KoinonError:
            return None
    return None


def result_rows(schema_text: str, files: Mapping[str, bytes]) -> list[ResultRow]:
    """What a result says, output by output; BadInput where it cannot be read."""
    try:
        told: dict[str, Any] = orjson.loads(files.get("result.json", b"{}"))
        rows: list[ResultRow] = []
        for output in read_schema(schema_text).outputs:
            if output.kind != "model":
                rows += _rows(output.name, output.kind, told[output.name])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadInput("The result cannot be read.", hint="Download it.", code="data.result") from None
    return rows


def _rows(name: str, kind: str, told: Any) -> list[ResultRow]:
    if kind == "vector":
        return [ResultRow(name, str(place), _figure(value)) for place, value in enumerate(told, start=1)]
    if kind != "table":
        return [ResultRow(name, "", _figure(told))]
    rows = []
    for group, each in told.items():
        if isinstance(each, dict):
            more = "" if each["value"] is None else _figure(each["value"])
            rows.append(ResultRow(name, group, _shown(each["count"]), more))
        else:
            rows.append(ResultRow(name, group, _shown(each)))
    return rows


def _shown(value: Any) -> str | None:
    return None if value is None else _figure(value)


def _figure(value: Any) -> str:
    return (
        f"{value:,.6g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
