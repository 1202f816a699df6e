# SPDX-License-Identifier: Apache-2.0
"""What every report measures beside a score: knowing nothing, and a plain logistic regression."""

from __future__ import annotations

import numpy as np

from koinon.extras import required
from koinon.lending.scoring.frame import Categorical, Floats, Frame, Numeric


def constant_chances(teach: Frame, judged: Frame) -> Floats:
    """The taught rows' base rate for every row."""
    return np.full(len(judged), teach.base_rate)


def logistic_chances(teach: Frame, judged: Frame) -> Floats:
    """Logistic regression on the columns as they stand: standardised, medians for missing values with a mark,
    one column a category that at least 1 % of the rows have."""
    logistic = required("sklearn.linear_model", extra="lending").LogisticRegression(max_iter=1000)
    one, two = _design(teach, teach), _design(teach, judged)
    fitted = logistic.fit(one, teach.labels, sample_weight=teach.weights)
    found: Floats = fitted.predict_proba(two)[:, 1]
    return found


def _design(teach: Frame, rows: Frame) -> Floats:
    parts: list[Floats] = []
    for name, column in teach.columns.items():
        other = rows.columns[name]
        if isinstance(column, Numeric) and isinstance(other, Numeric):
            known = column.values[~column.missing]
            middle = float(np.median(known)) if known.size else 0.0
            deviation = float(known.std()) if known.size else 0.0
            parts.append((np.where(other.missing, middle, other.values) - middle) / (deviation or 1.0))
            if column.missing.any():
                parts.append(other.missing.astype(np.float64))
        elif isinstance(column, Categorical) and isinstance(other, Categorical):
            texts = other.texts
            for place, category in enumerate(column.categories):
                if (column.codes == place).mean() >= 0.01:
                    parts.append((texts == category).astype(np.float64))
    return np.stack(parts, axis=1)
