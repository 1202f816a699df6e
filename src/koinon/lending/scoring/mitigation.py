# SPDX-License-Identifier: Apache-2.0
"""Fairer scorecards, made in training, and what each costs: no proxies, rows reweighed, parity asked for.

None reads a group when it decides: that would treat people differently by it, which many laws forbid. What is
learned from groups goes into the points alone.

Sources: Kamiran and Calders 2012 (reweighing); Zafar, Valera, Gomez Rodriguez and Gummadi 2017 (no covariance
between group and score); Agarwal, Beygelzimer, Dudík, Langford and Wallach 2018 (exponentiated gradient).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from koinon.errors import BadInput
from koinon.estimates import Estimate
from koinon.extras import required
from koinon.lending.fairness import Audit, approve_safest, audit
from koinon.lending.scorecard_table import ScorecardTable
from koinon.lending.scoring.calibration import calibrate
from koinon.lending.scoring.frame import Floats, Frame, Integers, Texts
from koinon.lending.scoring.measures import auc
from koinon.lending.scoring.points import BINNERS, Plan, fit_points, points_of, with_tiers
from koinon.lending.scoring.reader import Reader, read_rows
from koinon.lending.scoring.scorecard import Scorecard, tiers_seen
from koinon.lending.scoring.splits import split
from koinon.lending.scoring.weights import fit_weights

PROXY: Final = 0.6
"""From this AUC on, a column alone tells the group well enough to be called a proxy."""
Fitted = tuple[ScorecardTable, tuple[Reader, ...]]

PARITY: Final = 0.02
"""How far approvals of groups may differ when parity is asked for."""


@dataclass(frozen=True)
class Proxy:
    """How well one column tells a group from the others: AUC on rows it was not looked up on."""

    column: str
    auc: Estimate

    @property
    def strong(self) -> bool:
        """Whether even the interval's low end is above chance and the value a proxy's."""
        return self.auc.value >= PROXY and self.auc.low > 0.5


@dataclass(frozen=True)
class Variant:
    """One scorecard of the trade-off: ``name``, its AUC, and how groups fare."""

    name: str
    auc: Estimate
    audit: Audit

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "auc": asdict(self.auc), "audit": self.audit.to_dict()}


@dataclass(frozen=True)
class Tradeoff:
    """Scorecards beside each other, all approving the same share of the same rows."""

    attribute: str
    share: float
    proxies: tuple[Proxy, ...]
    together: Estimate
    variants: tuple[Variant, ...]
    scorecards: Mapping[str, Scorecard]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "attribute": self.attribute,
            "share": self.share,
            "proxies": [{"column": each.column, **each.auc.to_dict()} for each in self.proxies],
            "all_columns_tell_the_group": self.together.to_dict(),
            "variants": [variant.to_dict() for variant in self.variants],
        }


def find_proxies(frame: Frame, groups: Texts, *, seed: int = 0) -> tuple[tuple[Proxy, ...], Estimate]:
    """Which columns tell the group, most telling first, and how well all together do.

    Both are measured on rows that were not learned from; the group is the largest one against the others.
    """
    names, counts = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise BadInput("There is only one group.", code="lending.groups")
    asked = replace(
        frame,
        labels=(groups != names[np.argmax(counts)]).astype(np.int64),
        time=None,
        known_at=None,
        groups={},
        weights=None,
    )
    parts = split(asked, seed=seed)
    learn, judge = asked.take(parts.train), asked.take(parts.test)
    bins = BINNERS["tree"](learn, {}, seed)
    told = [each.evidence_of(each.reader.read(judge.columns[each.reader.name])) for each in bins]
    found = [
        Proxy(each.reader.name, auc(judge.labels, evidence))
        for each, evidence in zip(bins, told, strict=True)
    ]
    table, readers = fit_points(learn, Plan(seed=seed))
    together = auc(judge.labels, -table.points(read_rows(readers, judge)).astype(np.float64))
    return tuple(sorted(found, key=lambda proxy: -proxy.auc.value)), together


def reweighed(frame: Frame, groups: Texts) -> Frame:
    """The frame with weights that make group and label independent: a row counts P(g)P(y)/P(g, y)."""
    weights = np.ones(len(frame))
    for name in np.unique(groups):
        for label in (0, 1):
            inside = (groups == name) & (frame.labels == label)
            if inside.any():
                expected = float((groups == name).mean()) * float((frame.labels == label).mean())
                weights[inside] = expected / float(inside.mean())
    return replace(frame, weights=weights)


def tradeoff(
    frame: Frame,
    attribute: str,
    plan: Plan,
    *,
    share: float = 0.8,
    drop: Sequence[str] | None = None,
) -> Tradeoff:
    """A plain scorecard and three fairer ones, judged on rows that taught none of them.

    Parameters
    ----------
    attribute : str
        One of the frame's groups.
    share : float
        Of the judging rows that each approves, so that they are comparable.
    drop : sequence of str, optional
        Columns to leave out as proxies; by default those that tell the group strongly.

    Raises
    ------
    BadInput
        No such group, or too few rows of one.
    """
    if attribute not in frame.groups:
        raise BadInput(
            f"The table has no group '{attribute}'.",
            hint=f"Its groups are: {', '.join(frame.groups) or 'none'}.",
            code="lending.groups",
        )
    parts = split(frame, seed=plan.seed)
    teach, middle, judge = (frame.take(rows) for rows in (parts.train, parts.calibrate, parts.test))
    groups = teach.groups[attribute]
    proxies, together = find_proxies(teach, groups, seed=plan.seed)
    left_out = [proxy.column for proxy in proxies if proxy.strong] if drop is None else list(drop)
    makers: dict[str, Callable[[], Scorecard]] = {
        "as it is": lambda: _finished(fit_points(teach, plan), middle, plan)
    }
    if left_out and len(left_out) < len(frame.columns):
        makers[f"without {', '.join(left_out)}"] = lambda: _finished(
            fit_points(teach.without(*left_out), plan), middle, plan
        )
    makers["reweighed"] = lambda: _finished(fit_points(reweighed(teach, groups), plan), middle, plan)
    makers["no covariance"] = lambda: _finished(_bound(teach, groups, plan, _uncorrelated), middle, plan)
    makers["exponentiated gradient"] = lambda: _finished(_bound(teach, groups, plan, _parity), middle, plan)
    made = {name: maker() for name, maker in makers.items()}
    variants = []
    for name, scorecard in made.items():
        points = scorecard.points(judge).astype(np.float64)
        passed = approve_safest(-points, share)
        seen = audit(attribute, judge.groups[attribute], judge.labels, passed, seed=plan.seed)
        variants.append(Variant(name, auc(judge.labels, -points), seen))
    return Tradeoff(attribute, share, proxies, together, tuple(variants), made)


Weigh = Callable[..., tuple[float, Floats]]


def _bound(teach: Frame, groups: Texts, plan: Plan, weigh: Callable[[Texts], Weigh]) -> Fitted:
    """Points of the usual bins, with weights that mind the groups."""
    bins = BINNERS[plan.binner](teach, plan.monotone, plan.seed)
    return points_of(teach, bins, ridge=50.0, prior=1.0, weigh=weigh(groups))


def _uncorrelated(groups: Texts) -> Weigh:
    """Weights under which no group's mean score lies away from the others': a penalty on the distance."""

    def weigh(evidence: Floats, labels: Integers, **options: Any) -> tuple[float, Floats]:
        names = np.unique(groups)
        apart = [evidence[groups == name].mean(axis=0) - evidence.mean(axis=0) for name in names]
        return fit_weights(evidence, labels, level=np.stack(apart), **options)

    return weigh


def _parity(groups: Texts) -> Weigh:
    """Weights of the exponentiated gradient's mixture of logistic models, averaged into one.

    Mistakes cost so much that its decisions lie where about as many are refused as went bad.
    """

    def weigh(evidence: Floats, labels: Integers, **_options: Any) -> tuple[float, Floats]:
        reductions = required("fairlearn.reductions", extra="lending")
        logistic = required("sklearn.linear_model", extra="lending").LogisticRegression
        rate = float(labels.mean())
        search = reductions.ExponentiatedGradient(
            logistic(C=1.0, max_iter=500),
            reductions.DemographicParity(difference_bound=PARITY),
            objective=reductions.ErrorRate(costs={"fp": rate, "fn": 1 - rate}),
            max_iter=20,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas' to the library about its own next version
            search.fit(evidence, labels, sensitive_features=groups)
        pairs = zip(np.asarray(search.weights_), search.predictors_, strict=True)
        known = [(share, model) for share, model in pairs if share > 0 and hasattr(model, "coef_")]
        total = sum(share for share, _ in known)
        if not total:
            raise BadInput("Parity leaves no score for these rows.", code="lending.groups")
        weights = np.sum([share * model.coef_[0] for share, model in known], axis=0) / total
        start = float(sum(share * float(model.intercept_[0]) for share, model in known) / total)
        return start, np.maximum(weights, 0.0)

    return weigh


def _finished(fitted: Fitted, middle: Frame, plan: Plan) -> Scorecard:
    table, readers = fitted
    points = table.points(read_rows(readers, middle))
    calibration = calibrate(points, middle.labels, plan.calibration)
    table = with_tiers(table, points, calibration, plan.tiers)
    tiers = tiers_seen(table, points, middle.labels, calibration.chances(points))
    return Scorecard(table, readers, calibration, tiers, {}, {"binner": plan.binner, "seed": plan.seed})
