# SPDX-License-Identifier: Apache-2.0
"""Dividing one table among owners, a contribution set and a held-out set that share no row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.tables import Table

CREDIT_OWNERS = (1600, 900, 500, 300, 150)
CREDIT_HELD_OUT = 18_000
CREDIT_CONTRIBUTION = 6_000
CREDIT_OWN_BAND = 0.3
MNIST_FAVOURITES = ((0, 1, 2, 3, 4), (5, 6, 7), (8, 9, 0), (2, 7), (4, 9))


@dataclass(frozen=True)
class Split:
    """Who holds which rows. ``contribution`` measures pay, ``held_out`` is what everybody reports on."""

    owners: tuple[Table, ...]
    contribution: Table
    held_out: Table


def split_credit(table: Table, seed: int) -> Split:
    """Five lenders; 30 % of each one's customers come from its own fifth of the ages, the rest from all."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(table))
    held_out, contribution, rest = np.split(order, [CREDIT_HELD_OUT, CREDIT_HELD_OUT + CREDIT_CONTRIBUTION])
    ages = table.features[:, table.columns.index("age")]
    by_age = rest[np.argsort(ages[rest], kind="stable")]
    bands = np.array_split(by_age, len(CREDIT_OWNERS))
    owners: list[NDArray[np.int64]] = []
    taken = np.zeros(len(table), dtype=bool)
    for rows, band in zip(CREDIT_OWNERS, bands, strict=True):
        own = random.choice(band, round(rows * CREDIT_OWN_BAND), replace=False)
        taken[own] = True
        owners.append(own)
    for index, rows in enumerate(CREDIT_OWNERS):
        free = rest[~taken[rest]]
        general = random.choice(free, rows - owners[index].shape[0], replace=False)
        taken[general] = True
        owners[index] = np.concatenate([owners[index], general])
    return Split(
        tuple(table.take(random.permutation(rows)) for rows in owners),
        table.take(contribution),
        table.take(held_out),
    )


def split_mnist(table: Table, seed: int, *, rows: int = 1_000, favoured: float = 0.6) -> Split:
    """Five owners; 60 % of each one's digits are its favourites, 40 % are any."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(table))
    held_out, contribution, rest = np.split(order, [2_000, 3_000])
    taken = np.zeros(len(table), dtype=bool)
    owners = []
    for favourites in MNIST_FAVOURITES:
        free = rest[~taken[rest]]
        liked = free[np.isin(table.labels[free], favourites)]
        own = random.choice(liked, min(liked.shape[0], round(rows * favoured)), replace=False)
        taken[own] = True
        free = rest[~taken[rest]]
        other = random.choice(free, rows - round(rows * favoured), replace=False)
        taken[other] = True
        owners.append(table.take(random.permutation(np.concatenate([own, other]))))
    return Split(tuple(owners), table.take(contribution), table.take(held_out))


def split_evenly(
    table: Table, owners: int, seed: int, *, contribution: float = 0.15, held_out: float = 0.25
) -> Split:
    """Shuffle a table among equal owners after setting the two common sets aside.

    Raises
    ------
    BadInput
        Fewer than two owners, or too few rows for all of them.
    """
    if owners < 2:
        raise BadInput(
            f"{owners} owner(s) cannot learn together.", hint="Use at least two.", code="learning.owners"
        )
    order = np.random.default_rng(seed).permutation(len(table))
    for_held_out, for_contribution = int(len(table) * held_out), int(len(table) * contribution)
    shared = for_held_out + for_contribution
    if min(for_held_out, for_contribution) < 2 or len(table) - shared < owners:
        raise BadInput(
            f"{len(table)} rows are too few for {owners} owners and two common sets.",
            hint="Give more rows or fewer owners.",
            code="learning.too_few_rows",
        )
    parts = np.array_split(order[shared:], owners)
    return Split(
        tuple(table.take(part) for part in parts),
        table.take(order[for_held_out:shared]),
        table.take(order[:for_held_out]),
    )


def split_dirichlet(table: Table, owners: int, concentration: float, *, seed: int) -> list[Table]:
    """Owners with different labels: each class is dealt out by a Dirichlet draw (Hsu, Qi and Brown 2019).

    Parameters
    ----------
    concentration : float
        Small is skewed (0.1: a class or two an owner), large is even. Draws that leave an owner fewer than
        two rows are drawn again.

    Raises
    ------
    BadInput
        No owners, a concentration that is not positive, or too few rows.
    """
    if owners < 1 or not concentration > 0 or len(table) < 10 * owners:
        raise BadInput(
            f"{len(table)} rows cannot be dealt out to {owners} owners.",
            hint="Use a positive concentration and ten rows an owner.",
            code="learning.too_few_rows",
        )
    random = np.random.default_rng(seed)
    while True:
        parts: list[list[NDArray[np.int64]]] = [[] for _ in range(owners)]
        for label in np.unique(table.labels):
            rows = random.permutation(np.flatnonzero(table.labels == label))
            parts_of_class = random.dirichlet(np.full(owners, concentration))
            bounds = (np.cumsum(parts_of_class) * len(rows)).astype(int)
            for part, piece in zip(parts, np.split(rows, bounds[:-1]), strict=True):
                part.append(piece)
        dealt = [random.permutation(np.concatenate(part)) for part in parts]
        if min(len(part) for part in dealt) >= 2:
            return [table.take(part) for part in dealt]


def split_each(
    tables: tuple[Table, ...], seed: int, *, contribution: float = 0.15, held_out: float = 0.25
) -> Split:
    """One table an owner: each gives the same share of its rows to the two common sets.

    Raises
    ------
    BadInput
        Fewer than two tables, or tables whose columns differ.
    """
    if len(tables) < 2:
        raise BadInput(
            "One owner cannot learn together.", hint="Give at least two tables.", code="learning.owners"
        )
    for table in tables[1:]:
        if table.columns != tables[0].columns:
            different = sorted(set(table.columns) ^ set(tables[0].columns)) or ["their order"]
            raise BadInput(
                f"The owners' tables do not have the same columns: {', '.join(different[:8])}.",
                hint="Give all tables the same columns in the same order.",
                code="learning.columns_differ",
            )
    random = np.random.default_rng(seed)
    owners, judges, tests = [], [], []
    for table in tables:
        order = random.permutation(len(table))
        test, judge, own = np.split(
            order, [int(len(table) * held_out), int(len(table) * (held_out + contribution))]
        )
        owners.append(table.take(own))
        judges.append(table.take(judge))
        tests.append(table.take(test))
    return Split(tuple(owners), concatenate(judges), concatenate(tests))


def concatenate(tables: list[Table] | tuple[Table, ...]) -> Table:
    """All rows of tables with the same columns."""
    return Table(
        np.concatenate([table.features for table in tables]),
        np.concatenate([table.labels for table in tables]),
        tables[0].columns,
    )
