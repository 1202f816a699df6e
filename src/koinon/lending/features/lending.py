# SPDX-License-Identifier: Apache-2.0
"""How a subject borrowed and repaid, and how sound its positions were."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.lending.features.catalogue import WINDOWS_DAYS
from koinon.lending.features.point_in_time import DAY_S, Floats, Integers, Queries, Stream, World, ratio
from koinon.lending.features.positions import Positions
from koinon.markets.history.history import KIND

LOW_HEALTH: Final = 1.2
_DROP: Final = 0.9
_DROP_S: Final = 3 * DAY_S


def lending_features(world: World, queries: Queries, positions: Positions) -> dict[str, Floats]:
    """The ``lending`` group of the catalogue, a column a name.

    Only loans that are not dust count, whoever repays them; what others deposit for the subject counts for
    neither assets nor protocols nor top-ups.
    """
    found: dict[str, Floats] = {}
    borrows, repays = (_stream(world, kind) for kind in ("borrow", "repay"))
    liquidations = _stream(world, "liquidation", dust_counts=True)
    for name, stream in (("borrows", borrows), ("repays", repays), ("liquidations", liquidations)):
        for days in WINDOWS_DAYS:
            starts = world.windows(queries, days * DAY_S)
            first, last = stream.span(queries.subjects, starts, queries.ends)
            found[f"{name}_{days}d"] = (last - first).astype(np.float64)
    everything = np.zeros(len(queries), np.int64)
    lent, paid = (
        stream.total(world.cents, stream.span(queries.subjects, everything, queries.ends))
        for stream in (borrows, repays)
    )
    found["repaid_to_borrowed"] = ratio(paid, lent)
    found["days_since_liquidation"] = _days_since(world, queries, liquidations, last=True)
    found["days_since_first_borrow"] = _days_since(world, queries, borrows, last=False)
    return found | _soundness(positions) | _habits(world, queries)


def _soundness(positions: Positions) -> dict[str, Floats]:
    health = positions.health
    indebted = np.isfinite(health)
    count = indebted.sum(axis=1)
    total = np.where(indebted, np.minimum(health, 10.0), 0.0).sum(axis=1)
    lowest = np.where(indebted, health, np.inf).min(axis=1)
    return {
        "health_last": health[:, 0],
        "health_min_90d": np.where(count > 0, lowest, np.nan),
        "health_mean_90d": ratio(total, count),
        "days_health_below_1_2_90d": (indebted & (health < LOW_HEALTH)).sum(axis=1).astype(np.float64),
        "loan_to_value": ratio(positions.debt[:, 0], positions.collateral[:, 0]),
        "debt_value": positions.debt[:, 0],
    }


def _habits(world: World, queries: Queries) -> dict[str, Floats]:
    """What only the subject itself does: deposits by others are left out."""
    columns = world.history.columns
    given = np.isin(columns["kind"], [KIND["deposit_collateral"], KIND["supply"]])
    own = given & ((columns["counterparty"] == columns["account"]) | (columns["counterparty"] == 0))
    deposits = _of(world, own & world.counts)
    used = _of(world, (own | (columns["kind"] == KIND["borrow"])) & world.counts)
    before = np.searchsorted(
        columns["timestamp"], columns["timestamp"][deposits.order] - _DROP_S, side="right"
    ).astype(np.int64)
    assets = columns["asset"][deposits.order]
    with np.errstate(invalid="ignore", divide="ignore"):
        change = world.prices.of_rows(assets, deposits.rows) / world.prices.of_rows(assets, before - 1)
    dropped = np.zeros(len(world.history), np.int64)
    dropped[deposits.order] = change <= _DROP
    span = deposits.span(queries.subjects, world.windows(queries, 90 * DAY_S), queries.ends)
    return {
        "top_ups_after_drop_90d": deposits.total(dropped, span).astype(np.float64),
        "assets_used": _distinct(world, queries, used, "asset"),
        "protocols_used": _distinct(world, queries, used, "protocol"),
    }


def _stream(world: World, kind: str, *, dust_counts: bool = False) -> Stream:
    chosen = world.history.columns["kind"] == KIND[kind]
    return _of(world, chosen if dust_counts else chosen & world.counts)


def _of(world: World, chosen: Integers) -> Stream:
    """The rows that are chosen, by account."""
    rows = np.arange(len(world.history), dtype=np.int64)
    return Stream(np.where(chosen, world.history.columns["account"], 0), rows, len(world.history))


def _distinct(world: World, queries: Queries, stream: Stream, column: str) -> Floats:
    """How many values of a column there were until each query."""
    firsts = np.zeros(len(world.history), np.int64)
    firsts[stream.order] = stream.firsts(world.history.columns[column][stream.order])
    nothing = np.zeros(len(queries), np.int64)
    return stream.total(firsts, stream.span(queries.subjects, nothing, queries.ends)).astype(np.float64)


def _days_since(world: World, queries: Queries, stream: Stream, *, last: bool) -> Floats:
    first, end = stream.span(queries.subjects, np.zeros(len(queries), np.int64), queries.ends)
    found = np.full(len(queries), np.nan)
    some = end > first
    rows = stream.rows[(end - 1 if last else first)[some]]
    found[some] = (queries.times[some] - world.history.columns["timestamp"][rows]) / DAY_S
    return found
