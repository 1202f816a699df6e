# SPDX-License-Identifier: Apache-2.0
"""The features by name: group, unit, and the whole number that a scorecard reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.lending.scorecard_table import MISSING

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WINDOWS_DAYS: Final = (30, 90, 365)
FAN_WINDOWS_S: Final = ((3_600, "1h"), (86_400, "1d"), (604_800, "7d"))


@dataclass(frozen=True)
class Named:
    """One feature.

    ``scale``: the whole number is the value times this, rounded down; ``cap``: larger values count as this
    one, smaller than ``floor`` as that.
    """

    name: str
    group: str
    unit: str
    scale: int = 1
    cap: float = 1_000_000.0
    floor: float = 0.0


def _counts(what: str) -> tuple[Named, ...]:
    return tuple(Named(f"{what}_{days}d", "lending", "events", 1, 1_000) for days in WINDOWS_DAYS)


LENDING: Final = (
    *_counts("borrows"),
    *_counts("repays"),
    *_counts("liquidations"),
    Named("repaid_to_borrowed", "lending", "ratio", 1_000, 2),
    Named("days_since_liquidation", "lending", "days", 1, 3_650),
    Named("days_since_first_borrow", "lending", "days", 1, 3_650),
    Named("health_last", "lending", "ratio", 1_000, 10),
    Named("health_min_90d", "lending", "ratio", 1_000, 10),
    Named("health_mean_90d", "lending", "ratio", 1_000, 10),
    Named("days_health_below_1_2_90d", "lending", "days", 1, 91),
    Named("loan_to_value", "lending", "ratio", 1_000, 10),
    Named("debt_value", "lending", "units of account", 1, 1e12),
    Named("top_ups_after_drop_90d", "lending", "events", 1, 100),
    Named("assets_used", "lending", "assets", 1, 100),
    Named("protocols_used", "lending", "protocols", 1, 100),
)
MARKET: Final = (
    Named("volatility_7d", "market", "standard deviation a day", 10_000, 1),
    Named("volatility_30d", "market", "standard deviation a day", 10_000, 1),
    Named("beta_30d", "market", "ratio", 1_000, 10, -10),
    Named("drawdown_90d", "market", "ratio", 10_000, 1),
    Named("depth_to_debt", "market", "ratio", 1_000, 1_000),
    Named("sigmas_to_liquidation", "market", "standard deviations of a day", 100, 100, -100),
)
WALLET: Final = (
    Named("age_days", "wallet", "days", 1, 3_650),
    Named("active_days_365d", "wallet", "days", 1, 366),
    Named("inflow_30d", "wallet", "units of account", 1, 1e12),
    Named("outflow_30d", "wallet", "units of account", 1, 1e12),
    Named("net_flow_share_30d", "wallet", "ratio", 1_000, 1, -1),
    Named("inflow_gap_median_days", "wallet", "days", 10, 3_650),
    Named("outflow_gap_median_days", "wallet", "days", 10, 3_650),
    Named("stable_share_365d", "wallet", "ratio", 1_000, 1),
    Named("contract_share_365d", "wallet", "ratio", 1_000, 1),
    Named("counterparties", "wallet", "accounts", 1, 10_000),
)
GRAPH: Final = (
    *(Named(f"fan_in_{label}", "graph", "accounts", 1, 10_000) for _, label in FAN_WINDOWS_S),
    *(Named(f"fan_out_{label}", "graph", "accounts", 1, 10_000) for _, label in FAN_WINDOWS_S),
    Named("reciprocity", "graph", "ratio", 1_000, 1),
    Named("core_number", "graph", "core", 1, 1_000),
    Named("taint_share", "graph", "ratio", 10_000, 1),
    Named("hops_from_listed", "graph", "transfers", 1, 100),
)
FEATURES: Final = (*LENDING, *MARKET, *WALLET, *GRAPH)
NAMES: Final = tuple(each.name for each in FEATURES)
GROUPS: Final = ("lending", "market", "wallet", "graph")


def to_integers(values: Floats, features: Sequence[Named] = FEATURES) -> Integers:
    """Values (rows, features) as the whole numbers of a `ScorecardTable`; NaN becomes `MISSING`."""
    found = np.empty(values.shape, dtype=np.int64)
    for column, feature in enumerate(features):
        value = values[:, column]
        clipped = np.clip(np.nan_to_num(value, nan=0.0), feature.floor, feature.cap)
        found[:, column] = np.where(np.isnan(value), MISSING, np.floor(clipped * feature.scale))
    return found
