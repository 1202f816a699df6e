# SPDX-License-Identifier: Apache-2.0
"""Borrowers who do not exist, drawn with a seed."""

import numpy as np

from koinon.lending.scoring.frame import Categorical, Column, Frame, Numeric


def made_up(rows=1200, seed=1, *, timed=False, groups=False, repeat=0):
    """Debt raises the risk, savings lower it, most have no arrears (0), some tell no income."""
    random = np.random.default_rng(seed)
    debt = np.round(random.gamma(2.0, 0.2, rows), 3)
    arrears = np.where(random.random(rows) < 0.7, 0.0, random.integers(1, 6, rows))
    income = np.where(random.random(rows) < 0.1, np.nan, np.round(random.lognormal(8, 0.5, rows)))
    home = random.integers(0, 3, rows).astype(np.int32)
    noise = random.normal(size=rows)
    group = random.random(rows) < 0.3
    odds = -2.2 + 2.0 * debt + 0.5 * arrears + np.array([0.0, 0.8, -0.4])[home]
    odds = odds - 0.8 * np.where(np.isnan(income), 0.5, np.log(np.nan_to_num(income, nan=3000) / 3000))
    odds = odds + (0.7 * group if groups else 0.0)
    labels = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    columns: dict[str, Column] = {
        "debt": Numeric(debt),
        "arrears": Numeric(arrears),
        "income": Numeric(income),
        "home": Categorical(home, ("owner", "renter", "with family")),
        "noise": Numeric(noise),
    }
    if groups:
        columns["postcode"] = Numeric(np.round(group * 2.0 + random.normal(size=rows), 2))
    return Frame(
        columns,
        labels,
        np.arange(rows, dtype=np.int64) // 10 if timed else None,
        {"group": np.where(group, "minority", "majority")} if groups else {},
        np.array([f"b{number}" for number in random.integers(0, repeat, rows)]) if repeat else None,
    )
