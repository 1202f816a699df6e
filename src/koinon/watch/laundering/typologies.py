# SPDX-License-Identifier: Apache-2.0
"""The patterns of laundering in time, as rules: what each transfer completes when it happens, and findings.

`Patterns.columns` are known at each row from rows up to it (a row that closes a cycle says so, those before
it in the cycle do not yet). `Patterns.findings` look back: a finding names all transfers of the pattern,
which is how a case is completed once its last transfer shows what the first ones were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.watch.findings import Finding
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import Features, column_names, label, window_features
from koinon.watch.laundering.cycles import find_cycles, union
from koinon.watch.laundering.grouping import Groups, Rows, bursts
from koinon.watch.laundering.layering import (
    Chains,
    Layers,
    chain_ends,
    find_chains,
    find_layers,
    scatter_gathers,
)
from koinon.watch.laundering.rules import Rules

COLUMNS: Final = (
    "fan_in",
    "fan_out",
    "gather_scatter",
    "scatter_gather",
    "cycle",
    "peel_chain",
    "structuring",
    "pass_through",
)


@dataclass(frozen=True)
class Patterns:
    """What the rules see in a table of transfers; made by `look`.

    ``edges`` without dust, ``columns`` theirs, and ``kept`` their rows in the table that was given.
    """

    edges: Edges
    kept: Rows
    rules: Rules
    columns: NDArray[np.float32]
    cycles: list[Rows]
    crowded: NDArray[np.bool_]
    layers: Layers
    chains: Chains

    def spread(self, values: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
        """Columns of the transfers without dust, as columns of all ``rows``; 0 where there is dust."""
        found = np.zeros((rows, values.shape[1]), dtype=np.float32)
        found[self.kept] = values
        return found

    def findings(self) -> list[Finding]:
        """Everything that reaches its threshold, by the moment of its last transfer."""
        found = [
            *self._cycles(),
            *self._scatter_gathers(),
            *self._peels(),
            *self._fans("fan_in"),
            *self._fans("fan_out"),
            *self._both_ways(),
            *self._structuring(),
            *self._passing(),
        ]
        return sorted(found, key=lambda each: (each.end, each.kind, each.digest))

    def _cycles(self) -> Iterator[Finding]:
        amount, source = self.edges.amount, self.edges.source
        more = set(np.flatnonzero(self.crowded).tolist())
        for rows in self.cycles:
            if int(rows[-1]) in more:
                continue
            kept = float(amount[rows].min() / max(amount[rows].max(), 1e-300))
            yield Finding.of_rows(
                self.edges,
                "cycle",
                rows.tolist(),
                why=f"Money came back over {len(rows)} transfers; the smallest is {kept:.0%} of the largest.",
                strength=kept,
                about=source[rows].tolist(),
            )
        for row in sorted(more):
            rows = union(self.edges, row, self.rules)
            yield Finding.of_rows(
                self.edges,
                "cycle",
                rows.tolist(),
                why=f"One transfer closes more than {self.rules.cycles_each} cycles.",
                strength=1.0,
                about=[int(source[row])],
            )

    def _scatter_gathers(self) -> Iterator[Finding]:
        for payer, payee, width, rows in scatter_gathers(self.edges, self.layers, self.rules):
            yield Finding.of_rows(
                self.edges,
                "scatter_gather",
                rows.tolist(),
                why=f"Money went from one account to another over {width} others.",
                strength=1 - self.rules.middles / (2 * width),
                about=[payer, payee],
            )

    def _peels(self) -> Iterator[Finding]:
        for end in chain_ends(self.chains, self.rules).tolist():
            steps = int(self.chains.depth[end])
            rows = self.chains.rows(end)
            yield Finding.of_rows(
                self.edges,
                "peel_chain",
                rows.tolist(),
                why=f"A sum moved on {steps} times, and each time a small part of it went to somebody else.",
                strength=1 - self.rules.peels / (2 * steps),
                about=[int(self.edges.source[rows[0]])],
            )

    def _fans(self, kind: str) -> Iterator[Finding]:
        coming = kind == "fan_in"
        accounts = self.edges.target if coming else self.edges.source
        widths = self._column(kind)
        groups = Groups.by(accounts, self.edges.accounts)
        for account, first, last, _ in bursts(
            self.edges, widths >= self.rules.fan, accounts, self.rules.window_s
        ):
            rows = groups.between(account, first, last)
            width = int(widths[rows].max())
            verb = "was paid by" if coming else "paid"
            yield Finding.of_rows(
                self.edges,
                kind,
                rows.tolist(),
                why=f"An account {verb} {width} others within {label(self.rules.window_s)}.",
                strength=1 - self.rules.fan / (2 * width),
                about=[account],
            )

    def _both_ways(self) -> Iterator[Finding]:
        widths = self._column("gather_scatter")
        yield from self._of_payers(
            "gather_scatter",
            widths >= self.rules.fan,
            self.rules.window_s,
            f"An account was paid by {self.rules.fan} others or more and then paid as many.",
        )

    def _passing(self) -> Iterator[Finding]:
        yield from self._of_payers(
            "pass_through",
            self._column("pass_through") > 0,
            self.rules.pass_window_s,
            f"At least {self.rules.pass_share:.0%} of what came in left again within "
            f"{label(self.rules.pass_window_s)}.",
        )

    def _of_payers(self, kind: str, marked: NDArray[np.bool_], window_s: int, why: str) -> Iterator[Finding]:
        """Findings of both directions about whoever pays in the marked rows."""
        out = Groups.by(self.edges.source, self.edges.accounts)
        into = Groups.by(self.edges.target, self.edges.accounts)
        column = self._column(kind)
        for account, first, last, _ in bursts(self.edges, marked, self.edges.source, window_s):
            paid = out.between(account, first, last)
            rows = np.concatenate([into.between(account, first, last), paid])
            level = float(column[paid].max())
            strength = level if kind == "pass_through" else 1 - self.rules.fan / (2 * level)
            yield Finding.of_rows(
                self.edges, kind, rows.tolist(), why=why, strength=strength, about=[account]
            )

    def _structuring(self) -> Iterator[Finding]:
        below = self._column("structuring")
        threshold, share = self.rules.threshold, self.rules.below
        band = (self.edges.amount >= share * threshold) & (self.edges.amount < threshold)
        rows_in_band = np.flatnonzero(band)
        for accounts in (self.edges.source, self.edges.target):
            groups = Groups.by(accounts[rows_in_band], self.edges.accounts)
            for account, first, last, _ in bursts(
                self.edges, below >= self.rules.below_count, accounts, self.rules.window_s
            ):
                span = np.searchsorted(rows_in_band, (first, last + 1))
                inside = groups.between(account, int(span[0]), int(span[1]) - 1)
                rows = rows_in_band[inside]
                if rows.shape[0] < self.rules.below_count:
                    continue
                yield Finding.of_rows(
                    self.edges,
                    "structuring",
                    rows.tolist(),
                    why=f"{rows.shape[0]} transfers from {share:.0%} of {threshold:g} up to just below it.",
                    strength=1 - self.rules.below_count / (2 * rows.shape[0]),
                    about=[account],
                )

    def _column(self, name: str) -> NDArray[np.float32]:
        return self.columns[:, COLUMNS.index(name)]


def look(edges: Edges, rules: Rules | None = None) -> Patterns:
    """Everything the rules see.

    Raises
    ------
    BadInput
        More paths over one middle than memory holds (``watch.too_much``).
    SetupError
        numba is not installed.
    """
    rules = rules or Rules()
    kept = np.flatnonzero(edges.amount >= rules.dust)
    if kept.shape[0] < len(edges):
        columns_kept = (edges.source[kept], edges.target[kept], edges.timestamp[kept], edges.amount[kept])
        edges = Edges(*columns_kept, edges.names)
    cycles, crowded = find_cycles(edges, rules)
    layers, chains = find_layers(edges, rules), find_chains(edges, rules)
    columns = np.zeros((len(edges), len(COLUMNS)), dtype=np.float32)
    fans = window_features(edges, (rules.window_s,))
    named = dict(zip(column_names((1,)), range(fans.shape[1]), strict=True))
    columns[:, 0] = fans[:, named["target_in_partners_1s"]]
    columns[:, 1] = fans[:, named["source_out_partners_1s"]]
    columns[:, 2] = np.minimum(
        fans[:, named["source_in_partners_1s"]], fans[:, named["source_out_partners_1s"]]
    )
    columns[:, 3] = layers.rows_width
    for rows in cycles:
        columns[rows[-1], 4] = max(columns[rows[-1], 4], rows.shape[0])
    seen = np.flatnonzero(chains.known >= 0)
    np.maximum.at(columns[:, 5], chains.known[seen], chains.depth[seen].astype(np.float32))
    columns[:, 6] = _just_below(edges, rules)
    columns[:, 7] = _passing(edges, rules, named)
    return Patterns(edges, kept, rules, columns, cycles, crowded, layers, chains)


def _just_below(edges: Edges, rules: Rules) -> NDArray[np.float32]:
    """How many transfers just below the threshold either end had within the window, at those rows."""
    counts = np.zeros(len(edges), dtype=np.float32)
    rows = np.flatnonzero((edges.amount >= rules.below * rules.threshold) & (edges.amount < rules.threshold))
    if not rows.size:
        return counts
    part = Edges(edges.source[rows], edges.target[rows], edges.timestamp[rows], edges.amount[rows])
    found = window_features(part, (rules.window_s,))
    names = column_names((rules.window_s,))
    sides = [
        names.index(f"{end}_{side}_count_{label(rules.window_s)}")
        for end, side in (("source", "out"), ("target", "in"))
    ]
    counts[rows] = found[:, sides].max(axis=1)
    return counts


def _passing(edges: Edges, rules: Rules, named: dict[str, int]) -> NDArray[np.float32]:
    """The part of what the payer got that it has sent on within the window, where that is most of it."""
    found: Features = window_features(edges, (rules.pass_window_s,))
    came, left = found[:, named["source_in_sum_1s"]], found[:, named["source_out_sum_1s"]]
    number = found[:, named["source_in_count_1s"]] + found[:, named["source_out_count_1s"]]
    part = np.divide(left, came, out=np.zeros_like(came), where=came > 0)
    fits = (part >= rules.pass_share) & (part <= 1.001) & (came >= rules.pass_amount)
    return np.where(fits & (number >= rules.pass_count), np.minimum(part, 1), 0).astype(np.float32)
