# SPDX-License-Identifier: Apache-2.0
"""Logistic regression whose weights are never negative: more evidence of going bad never helps a borrower."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.extras import required
from koinon.lending.scoring.frame import Floats, Integers
from koinon.lending.scoring.measures import expit

SMALL: Final = 1e-6
LEVEL: Final = 10.0
"""What a squared distance of 1 between groups' mean log odds costs, in nats a row."""


def fit_weights(
    evidence: Floats,
    labels: Integers,
    *,
    weights: Floats | None = None,
    ridge: float = 1.0,
    prior: float = 0.0,
    level: Floats | None = None,
) -> tuple[float, Floats]:
    """The intercept and one weight a column.

    Parameters
    ----------
    evidence : float64 array, shape (rows, columns)
    weights : float64 array, shape (rows,), optional
        How much each row counts.
    ridge, prior : float
        Half of ``ridge`` times the squared distance of the weights from ``prior`` is added to the loss.

    level : float64 array, shape (groups, columns), optional
        How far each group's mean evidence lies from everyone's; scores are held level across them.

    Raises
    ------
    SetupError
        SciPy is not installed.
    """
    minimize = required("scipy.optimize", extra="lending").minimize
    each = np.ones(len(labels)) if weights is None else weights
    total = float(each.sum())

    def loss(theta: Floats) -> tuple[float, Floats]:
        odds = theta[0] + evidence @ theta[1:]
        error = each * (expit(odds) - labels)
        away = theta[1:] - prior
        tilt = np.zeros(0) if level is None else level @ theta[1:]
        value = float((each * (np.logaddexp(0.0, odds) - labels * odds)).sum() + ridge / 2 * (away @ away))
        value += LEVEL * total / 2 * float(tilt @ tilt)
        gradient = np.concatenate([[error.sum()], evidence.T @ error + ridge * away])
        if level is not None:
            gradient[1:] += LEVEL * total * (tilt @ level)
        return value / total, gradient / total

    rate = float((each * labels).sum() / total)
    start = np.concatenate([[np.log(rate / (1 - rate))], np.full(evidence.shape[1], prior)])
    bounds = [(None, None), *[(0.0, None)] * evidence.shape[1]]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    fitted: Floats = found.x[1:]
    return float(found.x[0]), np.where(fitted > SMALL, fitted, 0.0)
