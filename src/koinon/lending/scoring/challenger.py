# SPDX-License-Identifier: Apache-2.0
"""The challenger: boosted trees that see what points cannot, and may only make terms tighter.

A borrower's tier is the worse of the champion's and the challenger's, so the trees can never give anyone more
than the points that everybody can check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from koinon.errors import BadInput, NotFound
from koinon.extras import required
from koinon.lending.scoring.calibration import Calibration, calibrate
from koinon.lending.scoring.frame import Categorical, Floats, Frame, Integers
from koinon.lending.scoring.measures import log_odds
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.splits import held_back

FORMAT: Final = "koinon.challenger/1"
HELD_BACK: Final = 0.15
MOST_TREES: Final = 600
PATIENCE: Final = 50
LEAVES: Final = (6, 15, 31)
"""How fine trees may be: each is tried, the one that rows held back like best is grown."""
LEAVES_OTHERWISE: Final = 15
_POINTS: Final = 100.0
OPTIONS: Final = {
    "objective": "binary",
    "learning_rate": 0.05,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "cat_smooth": 50.0,
    "min_data_per_group": 50,
    "num_threads": 1,  # more threads than free cores spin against each other
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


@dataclass(frozen=True)
class Challenger:
    """Boosted trees with their calibration.

    Attributes
    ----------
    columns : tuple of str
    categories : tuple of tuple of str
        Names of each column's categories in order; empty for numbers.
    trees : str
        LightGBM's own text.
    calibration : Calibration or None
        From 100 times the log odds of being good to the probability of going bad.
    """

    columns: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    trees: str = field(repr=False)
    calibration: Calibration | None = None

    @cached_property
    def _booster(self) -> Any:
        return required("lightgbm", extra="lending").Booster(model_str=self.trees)

    def raw(self, frame: Frame) -> Floats:
        """Uncalibrated probability of going bad of each row."""
        matrix = _matrix(frame, self.columns, self.categories)
        found: Floats = self._booster.predict(matrix, num_threads=1)
        return found

    def chances(self, frame: Frame) -> Floats:
        """Probability of going bad of each row."""
        if self.calibration is None:
            return self.raw(frame)
        return self.calibration.chances(-_POINTS * log_odds(self.raw(frame)))

    def contributions(self, frame: Frame) -> Floats:
        """What each column adds to the log odds of going bad, shape (rows, columns + 1), the last the mean.

        Exact for trees: the same numbers as ``shap.TreeExplainer``'s.
        """
        matrix = _matrix(frame, self.columns, self.categories)
        found: Floats = self._booster.predict(matrix, pred_contrib=True, num_threads=1)
        return found

    def to_bytes(self) -> bytes:
        """The file: JSON with the trees as LightGBM's text."""
        fields = {
            "format": FORMAT,
            "columns": list(self.columns),
            "categories": [list(names) for names in self.categories],
            "trees": self.trees,
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def load(cls, path: Path) -> Challenger:
        """Read what `to_bytes` wrote; NotFound when there is no file, BadInput when it is something else."""
        try:
            fields = orjson.loads(path.read_bytes())
            known = {FORMAT: fields}[fields["format"]]
            curve = known["calibration"]
            return cls(
                tuple(map(str, known["columns"])),
                tuple(tuple(map(str, names)) for names in known["categories"]),
                str(known["trees"]),
                None if curve is None else Calibration.from_json(curve),
            )
        except OSError as error:
            raise NotFound(
                f"There is no challenger at {path}.", hint="Check the path.", code="lending.challenger_file"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"{path.name} is not a challenger's file.",
                hint="Make one with `koinon lending train`.",
                code="lending.challenger_file",
            ) from error

    def calibrated(self, frame: Frame, kind: str = "platt") -> Challenger:
        """The same trees, calibrated on rows that taught nothing."""
        points = -_POINTS * log_odds(self.raw(frame))
        return Challenger(self.columns, self.categories, self.trees, calibrate(points, frame.labels, kind))


def fit_challenger(frame: Frame, seed: int = 0) -> Challenger:
    """Trees from rows that teach: as fine and as many as rows held back gain from, then grown again on all.

    Raises
    ------
    SetupError
        LightGBM is not installed.
    """
    lightgbm = required("lightgbm", extra="lending")
    categories = tuple(
        column.categories if isinstance(column, Categorical) else () for column in frame.columns.values()
    )
    matrix = _matrix(frame, frame.names, categories)
    named = [place for place, names in enumerate(categories) if names]
    options = OPTIONS | {"seed": seed, "min_data_in_leaf": min(50, max(5, len(frame) // 40))}
    earlier, held = held_back(frame, HELD_BACK, seed)
    teach = lightgbm.Dataset(
        matrix[earlier],
        frame.labels[earlier],
        weight=frame.counted[earlier],
        categorical_feature=named,
        free_raw_data=False,
    )
    leaves, trees = LEAVES_OTHERWISE, 100
    if held.any():
        judge = teach.create_valid(matrix[held], frame.labels[held], weight=frame.counted[held])
        tried = {}
        for fine in LEAVES:
            stop = lightgbm.early_stopping(PATIENCE, verbose=False)
            grown = lightgbm.train(
                options | {"num_leaves": fine}, teach, MOST_TREES, valid_sets=[judge], callbacks=[stop]
            )
            tried[fine] = grown.best_score["valid_0"]["binary_logloss"], grown.best_iteration
        leaves = min(LEAVES, key=lambda fine: tried[fine][0])
        trees = max(20, round(tried[leaves][1] * 1.1))
    everything = lightgbm.Dataset(
        matrix, frame.labels, weight=frame.counted, categorical_feature=named, free_raw_data=False
    )
    grown = lightgbm.train(options | {"num_leaves": leaves}, everything, trees)
    return Challenger(frame.names, categories, str(grown.model_to_string()))


def tightened(scorecard: Scorecard, challenger: Challenger, frame: Frame) -> tuple[Integers, Floats]:
    """Final tiers and probabilities: of both models the worse one, row by row."""
    own = scorecard.chances(frame)
    other = challenger.chances(frame)
    limits = scorecard.calibration.chances(np.array(scorecard.table.thresholds, dtype=np.int64))
    theirs = np.searchsorted(limits, other, side="left").astype(np.int64)
    return np.maximum(scorecard.tiers_of(frame), theirs), np.maximum(own, other)


def _matrix(frame: Frame, columns: tuple[str, ...], categories: tuple[tuple[str, ...], ...]) -> Floats:
    """What LightGBM reads: numbers and places of categories, NaN where there is none or it is unknown."""
    parts = []
    for name, names in zip(columns, categories, strict=True):
        column = frame.columns.get(name)
        if column is None or isinstance(column, Categorical) != bool(names):
            raise BadInput(
                f"The trees read the column '{name}', which is not there as they know it.",
                code="lending.columns",
            )
        if not isinstance(column, Categorical):
            parts.append(column.values)
            continue
        places = {each: float(place) for place, each in enumerate(names)}
        table = np.array([*(places.get(each, np.nan) for each in column.categories), np.nan])
        parts.append(table[column.codes])
    return np.stack(parts, axis=1)
