# SPDX-License-Identifier: Apache-2.0
"""How often behaviour tells a copy from a model taught anew: ``python -m benchmarks fingerprints``.

Real networks, forests and regressions on scikit-learn's data. Each original keeps 128 probes; against them
come models taught anew on the same task (the same rows, other rows, other widths, other kinds) and copies
(rounded, made noisy, taught further, pruned, renumbered). Prints rates at the threshold in use, and the range
of distances of each group.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from koinon.works.fingerprints.behaviour import NEAR, distance, make_probes

DATA = {"digits": load_digits, "cancer": load_breast_cancer, "wine": load_wine}
ORIGINALS = 3
ANEW = 8


def split(rows: Any, seed: int, part: float = 0.7) -> Any:
    return np.random.default_rng(seed).permutation(len(rows))[: int(len(rows) * part)]


def network(rows: Any, labels: Any, seed: int, chosen: Any, width: int = 32) -> Any:
    return MLPClassifier((width,), max_iter=150, random_state=seed).fit(rows[chosen], labels[chosen])


def taught_anew(rows: Any, labels: Any, seed: int) -> Iterable[tuple[str, Any]]:
    same = split(rows, seed)
    for other in range(1, ANEW + 1):
        yield "same rows", network(rows, labels, 100 * seed + other, same)
        yield "other rows", network(rows, labels, 200 + 100 * seed + other, split(rows, 300 + other))
    for other in range(2):
        yield "wider", network(rows, labels, 400 + other, same, width=64)
        chosen = split(rows, 500 + other)
        yield "regression", LogisticRegression(max_iter=300).fit(rows[chosen], labels[chosen])
        yield "forest", RandomForestClassifier(50, random_state=other).fit(rows[chosen], labels[chosen])


def copies(model: Any, rows: Any, labels: Any, seed: int) -> Iterable[tuple[str, Any]]:
    draw = np.random.default_rng(seed)

    def changed(change: Callable[[Any], Any]) -> Any:
        other = copy.deepcopy(model)
        other.coefs_ = [change(each) for each in other.coefs_]
        return other

    def noisy(part: float, each: Any) -> Any:
        return each + part * each.std() * draw.standard_normal(each.shape)

    def pruned(part: float, each: Any) -> Any:
        return np.where(np.abs(each) < np.quantile(np.abs(each), part), 0, each)

    yield "float16", changed(lambda each: each.astype(np.float16).astype(float))
    for part in (0.01, 0.05, 0.10, 0.20):
        yield f"noise {part:.0%}", changed(partial(noisy, part))
    for part in (0.1, 0.3, 0.5):
        yield f"pruned {part:.0%}", changed(partial(pruned, part))
    for rounds in (1, 5, 20, 50):
        further, chosen = copy.deepcopy(model), split(rows, 900 + seed)
        for _ in range(rounds):
            further.partial_fit(rows[chosen], labels[chosen])
        yield f"taught {rounds} rounds further", further


def run() -> Iterator[dict[str, Any]]:
    warnings.simplefilter("ignore")
    far: dict[str, list[float]] = {}
    near: dict[str, list[float]] = {}
    for load in DATA.values():
        rows, labels = load(return_X_y=True)
        rows = StandardScaler().fit_transform(rows)
        for seed in range(ORIGINALS):
            original = network(rows, labels, seed, split(rows, seed))
            width = rows.shape[1]
            probes = make_probes(original.predict_proba, np.zeros(width), np.ones(width), bytes([seed]) * 32)
            for kind, model in taught_anew(rows, labels, seed):
                far.setdefault(kind, []).append(distance(probes, model.predict_proba))
            for kind, model in copies(original, rows, labels, seed):
                near.setdefault(kind, []).append(distance(probes, model.predict_proba))
    for kind, found in far.items():
        unit = f"closest distance of {len(found)} models"
        yield figure(f"anew.{kind}", min(found), unit, f"> {NEAR}", min(found) > NEAR)
    for kind, found in near.items():
        share = sum(each <= NEAR for each in found) / len(found)
        yield figure(
            f"found.{kind}", share, f"of {len(found)} copies; farthest {max(found):.3f}", "1", share == 1
        )
    anew = [each for found in far.values() for each in found]
    false = sum(each <= NEAR for each in anew) / len(anew)
    yield figure("false_positives", false, f"of {len(anew)} models taught anew", "< 0.01", false < 0.01)


def figure(name: str, ours: float, unit: str, target: str, ok: bool) -> dict[str, Any]:
    return {
        "name": f"fingerprints.{name.replace(' ', '_')}",
        "ours": round(ours, 4),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": ok,
    }
