# SPDX-License-Identifier: Apache-2.0
"""How a subject's wallet lives: how old, how busy, what flows in and out, with whom."""

from __future__ import annotations

import numpy as np

from koinon.lending.features.point_in_time import (
    DAY_S,
    Booleans,
    Floats,
    Integers,
    Queries,
    Stream,
    World,
    ratio,
)
from koinon.markets.history.history import KIND


class Flows:
    """Transfers that count, seen from both ends.

    Attributes
    ----------
    all, incoming, outgoing : Stream
        Entries number a transfer twice: ``row`` for its sender, ``rows + row`` for its receiver.
    partner : int64[2 x rows]
        Who is at the other end of an entry.
    """

    def __init__(self, world: World) -> None:
        columns, length = world.history.columns, len(world.history)
        rows = np.arange(length, dtype=np.int64)
        chosen = (columns["kind"] == KIND["transfer"]) & world.counts
        chosen &= columns["account"] != columns["counterparty"]
        sender = np.where(chosen, columns["account"], 0)
        receiver = np.where(chosen, columns["counterparty"], 0)
        nobody = np.zeros(length, np.int64)
        both = np.concatenate([rows, rows])
        self.all = Stream(np.concatenate([sender, receiver]), both, length)
        self.outgoing = Stream(np.concatenate([sender, nobody]), both, length)
        self.incoming = Stream(np.concatenate([nobody, receiver]), both, length)
        self.partner = np.concatenate([columns["counterparty"], columns["account"]])
        self.cents = np.concatenate([world.cents, world.cents])


def wallet_features(world: World, queries: Queries, flows: Flows) -> dict[str, Floats]:
    """The ``wallet`` group of the catalogue. Transfers of dust, or of tokens without a price, are not seen:
    neither age nor partners can be given to a wallet for less than the dust value each."""
    incoming, outgoing = flows.incoming, flows.outgoing
    in_30, out_30 = (
        stream.total(
            flows.cents,
            stream.span(queries.subjects, world.windows(queries, 30 * DAY_S), queries.ends),
        ).astype(np.float64)
        for stream in (incoming, outgoing)
    )
    year = world.windows(queries, 365 * DAY_S)
    return {
        "age_days": _age(world, queries, flows),
        "active_days_365d": _active_days(world, queries, outgoing, year),
        "inflow_30d": in_30 / 100,
        "outflow_30d": out_30 / 100,
        "net_flow_share_30d": ratio(in_30 - out_30, in_30 + out_30),
        "inflow_gap_median_days": _gaps(world, queries, incoming, year),
        "outflow_gap_median_days": _gaps(world, queries, outgoing, year),
        "stable_share_365d": _share(queries, flows, incoming, year, _stable(world)),
        "contract_share_365d": _share(queries, flows, outgoing, year, _to_contract(world)),
        "counterparties": _partners(queries, flows),
    }


def _age(world: World, queries: Queries, flows: Flows) -> Floats:
    first, end = flows.all.span(queries.subjects, np.zeros(len(queries), np.int64), queries.ends)
    found = np.full(len(queries), np.nan)
    some = end > first
    born = world.history.columns["timestamp"][flows.all.rows[first[some]]]
    found[some] = (queries.times[some] - born) / DAY_S
    return found


def _active_days(world: World, queries: Queries, outgoing: Stream, starts: Integers) -> Floats:
    """Days on which the subject itself sent something."""
    days = world.history.columns["timestamp"][outgoing.rows] // DAY_S
    fresh = np.ones(len(outgoing), np.int64)
    fresh[1:] = (days[1:] != days[:-1]) | (outgoing.subjects[1:] != outgoing.subjects[:-1])
    sums = np.concatenate([[0], np.cumsum(fresh)])
    first, end = outgoing.span(queries.subjects, starts, queries.ends)
    cut = np.zeros(len(queries), np.int64)
    inside = end > first
    cut[inside] = 1 - fresh[first[inside]]  # a day that began before the window still counts
    return np.asarray(sums[end] - sums[first] + cut, dtype=np.float64)


def _gaps(world: World, queries: Queries, stream: Stream, starts: Integers) -> Floats:
    """Median days from one entry to the next; NaN with fewer than three entries."""
    times = world.history.columns["timestamp"][stream.rows]
    first, end = stream.span(queries.subjects, starts, queries.ends)
    found = np.full(len(queries), np.nan)
    for query in np.flatnonzero(end - first >= 3):
        found[query] = np.median(np.diff(times[first[query] : end[query]])) / DAY_S
    return found


def _share(queries: Queries, flows: Flows, stream: Stream, starts: Integers, marked: Booleans) -> Floats:
    span = stream.span(queries.subjects, starts, queries.ends)
    part = stream.total(np.where(marked, flows.cents, 0), span)
    return ratio(part, stream.total(flows.cents, span))


def _stable(world: World) -> Booleans:
    found = np.isin(world.history.columns["asset"], list(world.prices.constant))
    return np.concatenate([found, found])


def _to_contract(world: World) -> Booleans:
    """Whether the receiver had emitted an event before: a contract that was known then."""
    columns = world.history.columns
    born = np.full(len(world.history.names), len(world.history), np.int64)
    np.minimum.at(born, columns["contract"], np.arange(len(world.history)))
    found = born[columns["counterparty"]] < np.arange(len(world.history))
    return np.concatenate([found, found])


def _partners(queries: Queries, flows: Flows) -> Floats:
    """Distinct accounts that the subject dealt with, ever."""
    fresh = np.zeros(len(flows.partner), np.int64)
    fresh[flows.all.order] = flows.all.firsts(flows.partner[flows.all.order])
    nothing = np.zeros(len(queries), np.int64)
    span = flows.all.span(queries.subjects, nothing, queries.ends)
    return flows.all.total(fresh, span).astype(np.float64)
