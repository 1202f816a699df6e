# SPDX-License-Identifier: Apache-2.0
"""Who a subject deals with, and how near it stands to listed accounts."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.lending.features.catalogue import FAN_WINDOWS_S
from koinon.lending.features.point_in_time import DAY_S, Floats, Integers, Queries, Stream, World
from koinon.lending.features.wallet import Flows
from koinon.markets.history.history import KIND

FAR: Final = 100
"""Hops of an account that no listed account's money reached."""


def graph_features(world: World, queries: Queries, flows: Flows) -> dict[str, Floats]:
    """The ``graph`` group of the catalogue, over transfers that count.

    Fans are distinct partners within a window. ``taint_share`` is the haircut share: of all that ever came
    in, how much, by value, was listed accounts' money, each transfer carrying its sender's share at that
    moment; ``hops_from_listed`` the fewest transfers it came through. ``core_number`` (Seidman 1983, by the
    watch's graph engine) only with ``Options.structure``, else NaN.
    """
    found: dict[str, Floats] = {}
    for name, stream in (("fan_in", flows.incoming), ("fan_out", flows.outgoing)):
        previous = stream.previous(flows.partner[stream.order])
        for seconds, label in FAN_WINDOWS_S:
            starts = world.windows(queries, seconds)
            found[f"{name}_{label}"] = _fan(queries, stream, previous, starts)
    found["reciprocity"] = _reciprocity(world, queries, flows)
    found["core_number"] = (
        _cores(world, queries) if world.options.structure else np.full(len(queries), np.nan)
    )
    return found | _taint(world, queries)


def _fan(queries: Queries, stream: Stream, previous: Integers, starts: Integers) -> Floats:
    """Entries in the window whose partner's last entry was before it: one for each distinct partner."""
    first, end = stream.span(queries.subjects, starts, queries.ends)
    found = np.zeros(len(queries))
    for query in np.flatnonzero(end > first):
        found[query] = np.count_nonzero(previous[first[query] : end[query]] < first[query])
    return found


def _reciprocity(world: World, queries: Queries, flows: Flows) -> Floats:
    """Of the year's partners, the share that both paid and was paid."""
    starts = world.windows(queries, 365 * DAY_S)
    spans = [
        (stream, *stream.span(queries.subjects, starts, queries.ends))
        for stream in (flows.incoming, flows.outgoing)
    ]
    found = np.full(len(queries), np.nan)
    for query in range(len(queries)):
        payers, paid = (
            np.unique(flows.partner[stream.order[first[query] : end[query]]]) for stream, first, end in spans
        )
        everyone = np.union1d(payers, paid).size
        if everyone:
            found[query] = np.intersect1d(payers, paid, assume_unique=True).size / everyone
    return found


def _cores(world: World, queries: Queries) -> Floats:
    from koinon.watch.graph.edges import Edges  # noqa: PLC0415  (the watch's extra)
    from koinon.watch.graph.structure import core_numbers  # noqa: PLC0415

    columns = world.history.columns
    paid = np.flatnonzero((columns["kind"] == KIND["transfer"]) & world.counts)
    source, target = (columns[name][paid].astype(np.int32) for name in ("account", "counterparty"))
    found = np.zeros(len(queries))
    for end in np.unique(queries.ends):
        until = int(np.searchsorted(paid, end))
        mine = queries.ends == end
        if not until:
            continue
        edges = Edges(
            source[:until],
            target[:until],
            columns["timestamp"][paid[:until]],
            world.cents[paid[:until]] / 100,
        )
        cores = core_numbers(edges)
        inside = (queries.subjects >= 0) & (queries.subjects < len(cores))
        found[mine & inside] = cores[queries.subjects[mine & inside]]
    return found


def _taint(world: World, queries: Queries) -> dict[str, Floats]:
    """One pass in the chain's order; an account's state after each of its incoming transfers is kept, so that
    every query reads the state as of its own row."""
    numbers = world.history.numbers
    listed = {numbers[name] for name in world.options.listed if name in numbers}
    share, hops = np.zeros(len(queries)), np.full(len(queries), float(FAR))
    if listed:
        rows, receivers, shares, distances = _spread(world, listed)
        stream = Stream(receivers, rows, len(world.history))
        at = stream.until(queries.subjects, queries.ends)
        first = stream.until(queries.subjects, np.zeros(len(queries), np.int64))
        some = at > first
        share[some] = shares[stream.order[at[some] - 1]]
        hops[some] = distances[stream.order[at[some] - 1]]
    own = np.array([name in world.options.listed for name in queries.names], np.bool_)
    if own.any():
        share[own], hops[own] = 1.0, 0.0
    return {"taint_share": share, "hops_from_listed": hops}


def _spread(world: World, listed: set[int]) -> tuple[Integers, Integers, Floats, Integers]:
    columns = world.history.columns
    rows = np.flatnonzero((columns["kind"] == KIND["transfer"]) & world.counts)
    received: dict[int, int] = {}
    dirty: dict[int, float] = {}
    near: dict[int, int] = dict.fromkeys(listed, 0)
    shares, distances = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    senders, receivers = columns["account"][rows].tolist(), columns["counterparty"][rows].tolist()
    for place, (sender, receiver, cents) in enumerate(
        zip(senders, receivers, world.cents[rows].tolist(), strict=True)
    ):
        part = 1.0 if sender in listed else _ratio(dirty.get(sender, 0.0), received.get(sender, 0))
        received[receiver] = received.get(receiver, 0) + cents
        dirty[receiver] = dirty.get(receiver, 0.0) + part * cents
        if part > 0:
            near[receiver] = min(near.get(receiver, FAR), near.get(sender, FAR) + 1)
        shares[place] = _ratio(dirty[receiver], received[receiver])
        distances[place] = near.get(receiver, FAR)
    return rows, columns["counterparty"][rows], shares, distances


def _ratio(top: float, bottom: float) -> float:
    """Their quotient; 0 where there is nothing below the line."""
    return top / bottom if bottom else 0.0
