# SPDX-License-Identifier: Apache-2.0
"""Does a score treat groups alike? Approvals and wrong refusals, with intervals; red below four fifths.

The four-fifths rule compares approval rates: a group's below 0.8 of the best-off group's is adverse impact
(29 CFR 1607.4 D). Equalized odds compares mistakes (Hardt, Price and Srebro 2016). Groups are audited, never
learned from; those with few rows are not shown.

On chain nobody has a race or a sex. What can be compared is how new, how small and from where a wallet is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.estimates import Estimate
from koinon.extras import required
from koinon.lending.scoring.frame import Floats, Integers, Texts
from koinon.lending.scoring.measures import interval_of_rate

FOUR_FIFTHS: Final = 0.8
LEAST_ROWS: Final = 20
DRAWS: Final = 300
_DAY: Final = 1.0


@dataclass(frozen=True)
class GroupSeen:
    """One group's rows: how many are approved, and of those who would have paid how many are refused."""

    name: str
    rows: int
    bad: int
    approved: Estimate
    wrongly_refused: Estimate | None


@dataclass(frozen=True)
class Audit:
    """How groups fare under one rule of approval.

    Attributes
    ----------
    attribute : str
        What the groups are groups of.
    groups : tuple of GroupSeen
    suppressed : int
        Rows of groups too small to show.
    ratio : Estimate
        The lowest approval rate over the highest; below 0.8 is red.
    odds_gap : float
        The largest gap between groups of the rates at which the good, or the bad, are approved.
    """

    attribute: str
    groups: tuple[GroupSeen, ...]
    suppressed: int
    ratio: Estimate
    odds_gap: float

    @property
    def status(self) -> str:
        """``red`` where four fifths are missed, ``amber`` where the interval allows that, or ``green``."""
        if self.ratio.value < FOUR_FIFTHS:
            return "red"
        return "amber" if self.ratio.low < FOUR_FIFTHS else "green"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"status": self.status}


def audit(
    attribute: str,
    groups: Texts,
    labels: Integers,
    approved: NDArray[np.bool_],
    *,
    least: int = LEAST_ROWS,
    seed: int = 0,
) -> Audit:
    """How groups fare.

    Parameters
    ----------
    groups : array of str, shape (rows,)
        Each row's group; empty where it is not known, which counts as too small to show.
    labels : int64 array, shape (rows,)
        1 where the borrower went bad.
    approved : bool array, shape (rows,)

    Raises
    ------
    BadInput
        Fewer than two groups are large enough.
    SetupError
        fairlearn is not installed.
    """
    metrics = required("fairlearn.metrics", extra="lending")
    names, counts = np.unique(groups, return_counts=True)
    shown = [str(name) for name, count in zip(names, counts, strict=True) if name and count >= least]
    if len(shown) < 2:
        raise BadInput(
            f"Fewer than two groups of {attribute} have {least} rows: there is nothing to compare.",
            hint="Give more rows, or coarser groups.",
            code="lending.groups",
        )
    kept = np.isin(groups, shown)
    whose, bad, passed = groups[kept], labels[kept], approved[kept].astype(np.int64)
    good = 1 - bad
    frame = metrics.MetricFrame(
        metrics={"approved": metrics.selection_rate, "refused": metrics.false_negative_rate},
        y_true=good,
        y_pred=passed,
        sensitive_features=whose,
    )
    seen = []
    for name in shown:
        inside = whose == name
        paying = inside & (good == 1)
        rate = interval_of_rate(int(passed[inside].sum()), int(inside.sum()))
        if not np.isclose(rate.value, float(frame.by_group.loc[name, "approved"])):
            raise AssertionError("two ways of counting approvals disagree")
        refused = None
        if paying.any():
            refused = interval_of_rate(int((1 - passed)[paying].sum()), int(paying.sum()))
        seen.append(GroupSeen(name, int(inside.sum()), int(bad[inside].sum()), rate, refused))
    ratio = float(metrics.demographic_parity_ratio(good, passed, sensitive_features=whose))
    gap = float(metrics.equalized_odds_difference(good, passed, sensitive_features=whose))
    return Audit(
        attribute,
        tuple(seen),
        int((~kept).sum()),
        _around(ratio, _drawn_ratios(whose, passed, shown, seed)),
        gap,
    )


def approve_safest(chances: Floats, share: float) -> NDArray[np.bool_]:
    """Approvals of the given share of rows, those with the lowest probability of going bad."""
    if not 0 < share <= 1:
        raise BadInput("The share of approvals lies between 0 and 1.", code="lending.approval")
    chosen = np.zeros(len(chances), dtype=np.bool_)
    chosen[np.argsort(chances, kind="stable")[: round(len(chances) * share)]] = True
    return chosen


def wallet_groups(age_days: Floats, inflow_value: Floats, origin: Texts | None = None) -> Mapping[str, Texts]:
    """What can be compared on chain: how old a wallet is, how much it ever received, and from where.

    Parameters
    ----------
    age_days : float64 array, shape (rows,)
        Since the first transaction; NaN where there is none.
    inflow_value : float64 array, shape (rows,)
        In the loan's currency; groups are this table's thirds.
    origin : array of str, optional
        The chain or kind of the first source of funds.
    """
    edges = (30 * _DAY, 180 * _DAY, 730 * _DAY)
    ages = np.array(["under 30 days", "30 to 179 days", "180 to 729 days", "2 years and more", ""])
    at = np.searchsorted(np.array(edges), age_days, side="right")
    made: dict[str, Texts] = {"wallet age": ages[np.where(np.isnan(age_days), 4, at)]}
    known = inflow_value[~np.isnan(inflow_value)]
    thirds = np.quantile(known, (1 / 3, 2 / 3)) if known.size else np.zeros(2)
    sizes = np.array(["smallest third", "middle third", "largest third", ""])
    place = np.searchsorted(thirds, inflow_value, side="right")
    made["wallet size"] = sizes[np.where(np.isnan(inflow_value), 3, place)]
    if origin is not None:
        made["origin of funds"] = origin
    return made


def _drawn_ratios(whose: Texts, passed: Integers, shown: list[str], seed: int) -> Floats:
    """The ratio in bootstrap draws: each group's approvals are a binomial."""
    random = np.random.default_rng(seed)
    rates = []
    for name in shown:
        inside = whose == name
        rows = int(inside.sum())
        rates.append(random.binomial(rows, float(passed[inside].mean()), DRAWS) / rows)
    every = np.stack(rates)
    highest = every.max(axis=0)
    result: Floats = np.divide(every.min(axis=0), highest, out=np.ones(DRAWS), where=highest > 0)
    return result


def _around(value: float, draws: Floats) -> Estimate:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, min(value, float(low)), max(value, float(high)))
