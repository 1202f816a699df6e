# SPDX-License-Identifier: Apache-2.0
"""How often the gate's checks for copies refuse honest results, and how often they find rows that are hidden.

Honest: what analysts ask for, of five lenders' credit tables (150 to 1600 rows, the credit recipe's columns)
and of 300 images of digits, each drawn with five seeds; numbers leave without noise, as the owner's policy
can allow. Hidden: rows of the same tables in ways that the checks know, and in ways that they cannot find.
A table counts once for each kind of result; rows are hidden in the first draw. On one core in a few minutes.
"""

from __future__ import annotations

import base64
import bz2
import lzma
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from koinon.data.gate.copies import Copies
from koinon.learning import simulation
from koinon.learning.datasets import load_credit, load_digits8
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe, credit_recipe
from koinon.learning.splits import split_credit
from koinon.tables import Table

NAMES = ("gate",)
SEEDS: Final = range(1, 6)
DIGITS, HELD_OUT = 300, 500
HIDDEN_ROWS: Final = 30
TARGET_REFUSED, TARGET_FOUND = 0.01, 0.95

Numbers = NDArray[np.float64]
Way = Callable[[Table], Numbers]


def run() -> Iterator[dict[str, Any]]:
    """The figures."""
    refused: dict[str, list[bool]] = {}
    found: dict[str, list[bool]] = {}
    took_ms: list[float] = []
    with threadpool_limits(1):
        for seed, table, held_out, honest in _tables():
            copies = Copies(table, held_out, np.random.default_rng(0))
            for ways, told in ((honest, refused), (HIDDEN, found), (ENCRYPTED, found)):
                if told is found and seed > SEEDS[0]:
                    continue
                for name, way in ways.items():
                    started = time.perf_counter()
                    told.setdefault(name, []).append(copies.find(way(table)) is not None)
                    took_ms.append((time.perf_counter() - started) * 1000)
    yield _share("gate.false_refusals", refused, "of honest results", TARGET_REFUSED)
    for name, each in refused.items():
        yield _share(f"gate.false_refusals.{name}", {name: each}, f"of {name}", None)
    yield _share("gate.found", {name: found[name] for name in HIDDEN}, "of hidden rows", TARGET_FOUND)
    for name in (*HIDDEN, *ENCRYPTED):
        yield _share(f"gate.found.{name}", {name: found[name]}, f"of rows {name}", None)
    yield _figure("gate.check_ms", float(np.median(took_ms)), "ms a result, median", None)


def _tables() -> Iterator[tuple[int, Table, Table, Mapping[str, Way]]]:
    credit, digits = load_credit(), load_digits8()
    for seed in SEEDS:
        recipe, split = credit_recipe(seed=seed), split_credit(credit, seed)
        for owner in split.owners:
            yield seed, owner, split.held_out.take(np.arange(HELD_OUT)), {**STATISTICS, **_models(recipe)}
        order = np.random.default_rng(seed).permutation(len(digits))
        yield seed, digits.take(order[:DIGITS]), digits.take(order[DIGITS : DIGITS + HELD_OUT]), STATISTICS


def _histograms(table: Table) -> Numbers:
    return np.concatenate([np.histogram(column, 20)[0] for column in table.features.T]).astype(float)


def _crosstab(table: Table) -> Numbers:
    return np.histogram2d(table.features[:, 1], table.labels, bins=[15, 10])[0].ravel()


def _by_label(table: Table) -> Numbers:
    groups = [table.features[table.labels == label] for label in np.unique(table.labels)]
    return np.concatenate([group.mean(axis=0, dtype=float) for group in groups])


def _correlations(table: Table) -> Numbers:
    changing = table.features[:, table.features.std(axis=0) > 0]
    return np.atleast_2d(np.corrcoef(changing.T))[np.triu_indices(changing.shape[1], 1)]


STATISTICS: Final[Mapping[str, Way]] = {
    "means": lambda table: table.features.mean(axis=0, dtype=float),
    "means_float32": lambda table: table.features.mean(axis=0).astype(float),
    "deviations": lambda table: table.features.std(axis=0, dtype=float),
    "means_by_label": _by_label,
    "histograms": _histograms,
    "crosstabs": _crosstab,
    "correlations": _correlations,
    "quartiles": lambda table: np.quantile(table.features.astype(float), (0.25, 0.5, 0.75), axis=0).ravel(),
}


def _models(recipe: Recipe) -> Mapping[str, Way]:
    logistic = replace(recipe, model_spec=ModelSpec("sklearn"))

    def trained(recipe: Recipe) -> Way:
        def train(table: Table) -> Numbers:
            scaling = simulation.scaling_for(recipe, [table])
            return simulation.train_alone(recipe, table, 0, scaling).astype(float)

        return train

    return {"logistic_weights": trained(logistic), "perceptron_weights": trained(recipe)}


def _bytes(content: bytes) -> Numbers:
    return np.frombuffer(content, "u1").astype(float)


def _raw(table: Table) -> bytes:
    return np.ascontiguousarray(table.features[:HIDDEN_ROWS], dtype="<f4").tobytes()


def _shuffled(values: NDArray[Any]) -> Numbers:
    return np.random.default_rng(5).permutation(values).astype(float)


def _key(table: Table) -> NDArray[np.uint32]:
    size = table.features[:HIDDEN_ROWS].size
    return np.random.default_rng(7).integers(0, 1 << 32, size, dtype=np.uint32)


HIDDEN: Final[Mapping[str, Way]] = {
    "verbatim": lambda table: table.features[:20].ravel().astype(float),
    "permuted": lambda table: _shuffled(table.features[:HIDDEN_ROWS]).ravel(),
    "by_column": lambda table: table.features[:HIDDEN_ROWS].T.ravel().astype(float),
    "scaled": lambda table: (table.features.astype(float) * 3.7 + 11).ravel(),
    "as_float_bits": lambda table: np.frombuffer(_raw(table), "<u4").astype(float),
    "as_bytes": lambda table: _bytes(_raw(table)),
    "hexadecimal": lambda table: _bytes(_raw(table).hex().encode()),
    "base64": lambda table: _bytes(base64.b64encode(_raw(table))),
    "zlib": lambda table: _bytes(zlib.compress(_raw(table))),
    "bzip2": lambda table: _bytes(bz2.compress(_raw(table))),
    "xz": lambda table: _bytes(lzma.compress(_raw(table))),
    "base64_of_zlib": lambda table: _bytes(base64.b64encode(zlib.compress(_raw(table)))),
}
ENCRYPTED: Final[Mapping[str, Way]] = {
    "encrypted": lambda table: (np.frombuffer(_raw(table), "<u4") ^ _key(table)).astype(float),
    "blurred": lambda table: (
        (
            table.features[:HIDDEN_ROWS]
            * np.random.default_rng(7).uniform(0.97, 1.03, table.features[:HIDDEN_ROWS].shape)
        )
        .ravel()
        .astype(float)
    ),
}


def _share(name: str, told: Mapping[str, list[bool]], of: str, target: float | None) -> dict[str, Any]:
    all_told = np.concatenate([*told.values()])
    figure = _figure(name, float(all_told.mean()), f"share {of}, {all_told.size} checked", target)
    if target is not None and name == "gate.found":
        figure["ok"] = figure["ours"] >= target
    return figure


def _figure(name: str, ours: float, unit: str, target: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": target is None or ours <= target,
    }
