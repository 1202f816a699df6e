# SPDX-License-Identifier: Apache-2.0
"""The ranking: boosted trees (LightGBM) on what was known when each transfer happened.

Learning cuts by time and in no other way. The model ranks; people decide. It never blocks anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from koinon.errors import BadInput, IntegrityError
from koinon.extras import required
from koinon.watch.laundering.clusters import clusters
from koinon.watch.laundering.measuring import Labels, Scores
from koinon.watch.laundering.rules import Rules
from koinon.watch.laundering.table import Split, Table, names, split_by_time
from koinon.watch.laundering.typologies import COLUMNS

ROUNDS: Final = 200
PATIENCE: Final = 30
SETTINGS: Final[Mapping[str, Any]] = {
    "objective": "binary",
    "metric": "average_precision",
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "learning_rate": 0.05,
    "lambda_l2": 1.0,
    "max_bin": 127,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Model:
    """A ranking that was learned.

    Parameters
    ----------
    text : str
        LightGBM's own form.
    columns : tuple of str
        What it looks at, of `table.names`.
    threshold : float
        From which score on a transfer is told; chosen on the middle part of the split for ``budget``.
    budget : float
        Share of transfers that people can look at.
    kinds : dict
        Each pattern's kind → how many of its findings were illicit on the middle part, smoothed.
    """

    text: str
    columns: tuple[str, ...]
    threshold: float
    budget: float
    kinds: Mapping[str, float] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 of what it is."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def _booster(self) -> Any:
        return required("lightgbm", extra="watch").Booster(model_str=self.text)

    def scores(self, table: Table) -> Scores:
        """From 0 to 1 for each transfer."""
        found = self._booster.predict(table.chosen(self.columns), num_threads=1)
        return np.asarray(found, dtype=np.float64)

    def reasons(self, table: Table, row: int, most: int = 4) -> list[tuple[str, float]]:
        """The columns that raised a transfer's score most, in log odds (exact for trees: SHAP)."""
        part = table.chosen(self.columns)[row : row + 1]
        found = np.asarray(self._booster.predict(part, pred_contrib=True, num_threads=1))[0, :-1]
        order = np.argsort(-found)[:most]
        return [(self.columns[at], float(found[at])) for at in order if found[at] > 0]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        document = {
            "columns": self.columns,
            "threshold": self.threshold,
            "budget": self.budget,
            "kinds": dict(self.kinds),
            "sha256": self.digest,
            "text": self.text,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_bytes(orjson.dumps(document))
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it; IntegrityError (``watch.model``) where it is damaged."""
        try:
            document = orjson.loads(path.read_bytes())
            model = cls(
                str(document["text"]),
                tuple(document["columns"]),
                float(document["threshold"]),
                float(document["budget"]),
                dict(document["kinds"]),
            )
            damaged = model.digest != document["sha256"] or not set(model.columns) <= set(names())
        except (OSError, ValueError, KeyError, TypeError):
            damaged = True
        if damaged:
            raise IntegrityError(
                "The watch's model is damaged, or of another version.",
                hint="Train it again: koinon watch train",
                code="watch.model",
            )
        return model


def learn(
    table: Table,
    illicit: Labels,
    *,
    columns: Sequence[str] | None = None,
    budget: float = 0.05,
    weights: NDArray[np.float64] | None = None,
    patterns: NDArray[np.int32] | None = None,
    seed: int = 0,
) -> tuple[Model, Split]:
    """Learn from the first part of the time, choose when to stop and the threshold on the second.

    Parameters
    ----------
    columns : sequence of str, optional
        What to look at; all by default.
    budget : float
        Share of transfers that people can look at.
    weights : float64[n], optional
        What each row counts; 0 leaves it out.
    patterns : int32[n], optional
        Which pattern each row belongs to, so that none is on two sides of a cut; `clusters` by default.

    Raises
    ------
    BadInput
        A part of the split has no illicit transfer or nothing else, or the budget is no share.
    """
    if illicit.shape != (len(table.edges),) or not 0 < budget < 1:
        raise BadInput("Every transfer has a label, and the budget is a share.", code="watch.learn")
    if patterns is None:
        patterns = clusters(table.edges, illicit)
    split = split_by_time(table.edges, patterns=patterns, known_at=table.known_at)
    first, second = split.learning, split.choosing
    used = tuple(names() if columns is None else columns)
    for part in (first, second):
        if not 0 < int(illicit[part].sum()) < illicit[part].size:
            raise BadInput(
                "There is nothing to learn: a part of the time has illicit transfers only, or none.",
                hint="Give more days or more labels.",
                code="watch.learn",
            )
    lightgbm = required("lightgbm", extra="watch")
    rows = table.chosen(used)
    counts = np.ones(len(table.edges)) if weights is None else weights
    settings = {**SETTINGS, "seed": seed}
    known = lightgbm.Dataset(rows[first], illicit[first].astype(int), weight=counts[first], params=settings)
    held = lightgbm.Dataset(rows[second], illicit[second].astype(int), reference=known)
    booster = lightgbm.train(
        settings,
        known,
        num_boost_round=ROUNDS,
        valid_sets=[held],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    model = Model(text, used, 0.0, budget)
    middle = model.scores(table)[second]
    threshold = float(np.sort(middle)[-max(1, round(budget * middle.size))])
    return Model(text, used, threshold, budget, kinds_right(table, illicit, second)), split


def rule_scores(table: Table, kinds: Mapping[str, float]) -> Scores:
    """The rules alone as a ranking: what a transfer completes, each kind counting as it was right."""
    least = _least(table.patterns.rules)
    found = np.zeros(len(table.edges))
    for at, name in enumerate(COLUMNS):
        reached = table.completed[:, at] >= least[name]
        found = np.maximum(found, np.where(reached, kinds.get(name, 0.0), 0.0))
    return found


def kinds_right(table: Table, illicit: Labels, part: NDArray[np.int64]) -> dict[str, float]:
    """How often a row that completes a pattern of each kind is illicit, in a part of the rows (Laplace)."""
    found = {}
    for at, name in enumerate(COLUMNS):
        marked = table.completed[part, at] >= _least(table.patterns.rules)[name]
        found[name] = (float(illicit[part][marked].sum()) + 1) / (float(marked.sum()) + 2)
    return found


def _least(rules: Rules) -> dict[str, float]:
    least = (
        rules.fan,
        rules.fan,
        rules.fan,
        rules.middles,
        rules.shortest_cycle,
        rules.peels,
        rules.below_count,
        rules.pass_share,
    )
    return dict(zip(COLUMNS, map(float, least), strict=True))
