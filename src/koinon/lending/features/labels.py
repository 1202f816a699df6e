# SPDX-License-Identifier: Apache-2.0
"""Loans and faults of a history, for labels by horizon: "liquidated, or health factor below 1, within H days
of a borrow"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from koinon.lending.features.point_in_time import DAY_S, Integers, Options, Queries, World
from koinon.lending.features.positions import DAYS, find_legs, value_positions
from koinon.lending.scoring.horizon import Borrows, Faults, Labelled, label_by_horizon
from koinon.markets.history.history import KIND, History

_STEP_S: Final = (DAYS + 1) * DAY_S


@dataclass(frozen=True)
class Loans:
    """Borrows that are not dust: whose, in which block, when; features are asked for as of the block before
    (``block - 1``), which is what was known when the loan was decided on."""

    subjects: tuple[str, ...]
    blocks: tuple[int, ...]
    times: Integers


def loans(history: History, options: Options | None = None) -> Loans:
    """Every borrow of a history."""
    world = World.of(history, options)
    columns = history.columns
    rows = np.flatnonzero((columns["kind"] == KIND["borrow"]) & world.counts)
    return Loans(
        tuple(history.names[int(each)] for each in columns["account"][rows]),
        tuple(int(each) for each in columns["block_number"][rows]),
        columns["timestamp"][rows],
    )


def faults(history: History, options: Options | None = None) -> Faults:
    """Liquidations, and days (of UTC) at whose end a borrower's health factor was below 1.

    The day that the history ends in is not over; a longer history changes nothing about the days before it.
    """
    world = World.of(history, options)
    columns = history.columns
    who: list[str] = []
    when: list[int] = []
    for row in np.flatnonzero(columns["kind"] == KIND["liquidation"]):
        who.append(history.names[int(columns["account"][row])])
        when.append(int(columns["timestamp"][row]))
    borrowers = np.unique(columns["account"][columns["kind"] == KIND["borrow"]])
    if len(borrowers):
        legs = find_legs(world)
        first, last = int(columns["timestamp"][0]), int(columns["timestamp"][-1])
        ended = (last + 1) // DAY_S * DAY_S - 1  # the last second of the last whole day
        moments = np.arange(ended, first - 1, -_STEP_S, dtype=np.int64)
        for moment in moments:
            end = int(np.searchsorted(columns["timestamp"], moment, side="right"))
            size = len(borrowers)
            queries = Queries(borrowers, np.full(size, end, np.int64), np.full(size, moment, np.int64))
            health = value_positions(world, queries, legs).health
            for borrower, day in zip(*np.nonzero(health < 1), strict=True):
                who.append(history.names[int(borrowers[borrower])])
                when.append(int(moment) - DAY_S * int(day))
    return Faults(np.array(who, dtype=np.str_), np.array(when, dtype=np.int64))


def labels(history: History, days: int, options: Options | None = None) -> tuple[Loans, Labelled]:
    """Every loan, and the labels of those whose horizon is over by the history's end."""
    found = loans(history, options)
    seen_until = int(history.columns["timestamp"][-1]) if len(history) else 0
    borrows = Borrows(np.array(found.subjects, dtype=np.str_), found.times)
    return found, label_by_horizon(borrows, faults(history, options), days=days, seen_until_s=seen_until)
