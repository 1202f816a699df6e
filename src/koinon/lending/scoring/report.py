# SPDX-License-Identifier: Apache-2.0
"""What was measured of a score: on which data, split how, beside which baselines, with which doubt.

Every report says what its figures come from: real loans off chain, a simulation, or a real chain. None of
the three says anything about the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from koinon.errors import BadInput
from koinon.estimates import Estimate
from koinon.lending.fairness import Audit
from koinon.lending.scoring.frame import Floats, Integers, Texts
from koinon.lending.scoring.measures import (
    auc,
    brier,
    calibration_error,
    calibration_slope,
    ks,
)
from koinon.lending.scoring.resampling import auc_of_borrowers, mean_of_borrowers
from koinon.works.registration import Metric

OFF_CHAIN: Final = "off-chain real"
SIMULATED: Final = "simulated"
ON_CHAIN: Final = "on-chain real"
EVIDENCE: Final = (OFF_CHAIN, SIMULATED, ON_CHAIN)

APPROVED: Final = 0.8
"""Share of the rows that judge which audits approve, the safest first."""

CHAMPION: Final = "scorecard"
CHALLENGER: Final = "LightGBM"
LOGISTIC: Final = "raw logistic"
CONSTANT: Final = "constant"


@dataclass(frozen=True)
class Measured:
    """One model on the rows that judge.

    ``ks`` and ``gini`` from 0 to 1; ``brier`` lower is better; ``ece`` the mean distance between said and
    seen; ``slope`` and ``intercept`` of the outcome on the probability's log odds, None where a model knows
    only one probability.
    """

    name: str
    auc: Estimate
    ks: float
    brier: Estimate
    ece: float
    slope: float | None
    intercept: float | None

    @property
    def gini(self) -> float:
        """2 AUC - 1."""
        return 2 * self.auc.value - 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"gini": self.gini}


def measured(name: str, labels: Integers, chances: Floats, borrowers: Texts | None = None) -> Measured:
    """All measures of one model's probabilities; intervals by borrower where borrowers are given."""
    flat = float(chances.max() - chances.min()) < 1e-12
    slope, intercept = (None, None) if flat else calibration_slope(labels, chances)
    area, error = auc(labels, chances), brier(labels, chances)
    if borrowers is not None:
        area = auc_of_borrowers(labels, chances, borrowers)
        error = mean_of_borrowers(labels, (chances - labels) ** 2, borrowers)
    return Measured(
        name,
        area,
        ks(labels, chances),
        error,
        calibration_error(labels, chances),
        slope,
        intercept,
    )


@dataclass(frozen=True)
class TierSeen:
    """A tier on the rows that judge: ``said`` the probability its tier has, ``seen`` how many went bad."""

    tier: int
    rows: int
    said: float
    seen: Estimate | None


@dataclass(frozen=True)
class Part:
    """Rows beside those that judge: ``bad`` of them went bad, ``said`` is the scorecard's mean probability
    and ``auc`` its AUC, both None where it was not asked or cannot tell."""

    rows: int
    bad: int
    said: float | None = None
    auc: Estimate | None = None

    @property
    def rate(self) -> float:
        """The share that went bad."""
        return self.bad / self.rows if self.rows else 0.0

    def text(self) -> str:
        """Rows and shares in one line."""
        said = "" if self.said is None else f", {self.said:.1%} said"
        area = "" if self.auc is None else f", AUC {interval(self.auc)}"
        return f"{self.rows:,} ({self.rate:.1%} bad{said}{area})"


@dataclass(frozen=True)
class Report:
    """A score, judged.

    Attributes
    ----------
    data, digest, evidence : str
        What was measured on, the frame's digest, and what the figures come from (`EVIDENCE`).
    split : str
        How the rows were parted.
    rows, bad : mapping of str to int
        By part: ``train``, ``calibrate``, ``test``.
    models : tuple of Measured
        The scorecard first, then the baselines.
    gap : Estimate
        AUC of LightGBM less that of the scorecard, on the same rows.
    psi_points : float
        Stability of the points from the rows that taught to those that judge.
    psi_columns : mapping of str to float
        The same of each column's bins, those above 0.1 or the three largest.
    tiers : tuple of TierSeen
    notes : tuple of str
        What else must be known to read the figures.
    stretches : mapping of str to Part
        The three stretches of time as ``rows`` names them, before any row was left out; empty without times.
    known : Part or None
        Later rows of borrowers who taught or calibrated, which do not judge.
    audits : tuple of Audit
        Of groups, where `APPROVED` of the rows that judge are.
    """

    data: str
    digest: str
    evidence: str
    split: str
    rows: Mapping[str, int]
    bad: Mapping[str, int]
    models: tuple[Measured, ...]
    gap: Estimate
    psi_points: float
    psi_columns: Mapping[str, float]
    tiers: tuple[TierSeen, ...]
    notes: tuple[str, ...] = ()
    stretches: Mapping[str, Part] = field(default_factory=dict)
    known: Part | None = None
    audits: tuple[Audit, ...] = ()

    def __post_init__(self) -> None:
        check_evidence(self.evidence)

    @property
    def champion(self) -> Measured:
        """The scorecard's figures."""
        return self.models[0]

    def named(self, name: str) -> Measured:
        """One model's figures."""
        return next(model for model in self.models if model.name == name)

    def metric(self) -> Metric:
        """The held-out figure of a Work's card: AUC beside plain logistic regression."""
        seen = self.champion.auc
        return Metric(
            name="AUC",
            value=seen.value,
            interval=(seen.low, seen.high),
            baseline=self.named(LOGISTIC).auc.value,
            baseline_name="logistic regression on the same columns",
            held_out=f"{self.data} ({self.evidence}), {self.split}",
            samples=self.rows["test"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "data": self.data,
            "digest": self.digest,
            "evidence": self.evidence,
            "split": self.split,
            "rows": dict(self.rows),
            "bad": dict(self.bad),
            "models": [model.to_dict() for model in self.models],
            "gap": self.gap.to_dict(),
            "psi_points": self.psi_points,
            "psi_columns": dict(self.psi_columns),
            "tiers": [asdict(tier) for tier in self.tiers],
            "notes": list(self.notes),
            "stretches": {name: asdict(part) for name, part in self.stretches.items()},
            "known": None if self.known is None else asdict(self.known),
            "approved": APPROVED,
            "fairness": [each.to_dict() for each in self.audits],
        }

    def facts(self) -> list[tuple[str, str]]:
        """What stands above the figures, as names and values."""
        parts = ", ".join(
            f"{part} {self.rows[part]:,} ({self.bad[part] / self.rows[part]:.1%} bad)" for part in self.rows
        )
        return [
            ("Data", f"{self.data} ({self.evidence})"),
            ("Rows", parts),
            *self._left_out(),
            ("Split", self.split),
            ("AUC gap to LightGBM", interval(self.gap)),
            ("Stability (PSI) of points", f"{self.psi_points:.3f} {psi_word(self.psi_points)}"),
            *((f"PSI of {name}", f"{value:.3f}") for name, value in self.psi_columns.items() if value > 0.1),
        ]

    def _left_out(self) -> list[tuple[str, str]]:
        """Shares of bad rows before any was left out, and of those who do not judge."""
        found = []
        if any(part.rows != self.rows[name] for name, part in self.stretches.items()):
            whole = ", ".join(f"{name} {part.text()}" for name, part in self.stretches.items())
            found.append(("Rows before any was left out", whole))
        if self.known is not None:
            found.append(("Later rows of borrowers seen before", self.known.text()))
        return found

    def figures(self) -> list[tuple[str, ...]]:
        """The table of models: name, AUC with its interval, KS, Gini, Brier, calibration error, slope."""
        return [
            (
                model.name,
                f"{model.auc.value:.4f}",
                f"{model.auc.low:.3f}–{model.auc.high:.3f}",
                f"{model.ks:.3f}",
                f"{model.gini:.3f}",
                f"{model.brier.value:.4f} ± {(model.brier.high - model.brier.low) / 2:.4f}",
                f"{model.ece:.4f}",
                "" if model.slope is None else f"{model.slope:.2f}",
            )
            for model in self.models
        ]

    def tier_lines(self) -> list[tuple[str, ...]]:
        """The table of tiers: number, rows, what was said, what was seen."""
        return [
            (
                str(tier.tier),
                f"{tier.rows:,}",
                f"{tier.said:.2%}",
                "" if (seen := tier.seen) is None else f"{seen.value:.2%} ({seen.low:.2%}–{seen.high:.2%})",
            )
            for tier in self.tiers
        ]

    def group_lines(self) -> list[tuple[str, ...]]:
        """The table of groups: whose, rows, approved, wrongly refused."""
        return [
            (
                f"{seen.attribute}: {group.name}",
                f"{group.rows:,}",
                _shares(group.approved),
                "" if group.wrongly_refused is None else _shares(group.wrongly_refused),
            )
            for seen in self.audits
            for group in seen.groups
        ]

    def verdicts(self) -> list[tuple[str, str, str]]:
        """Of each audit: what by, its status, and the sentence that says why."""
        return [
            (
                seen.attribute,
                seen.status,
                f"the worst-off group is approved {seen.ratio.value:.2f} ({seen.ratio.low:.2f}–"
                f"{seen.ratio.high:.2f}) times as often as the best-off when {APPROVED:.0%} are approved; "
                "four fifths asks for 0.8",
            )
            for seen in self.audits
        ]

    def text(self) -> str:
        """All of it as lines."""
        lines = [f"{name}: {value}" for name, value in self.facts()]
        lines += ["", *_aligned(FIGURE_TITLES, self.figures()), "", *_aligned(TIER_TITLES, self.tier_lines())]
        if self.audits:
            lines += ["", *_aligned(GROUP_TITLES, self.group_lines()), ""]
            lines += [f"By {by}: {status}, {why}" for by, status, why in self.verdicts()]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)]) + "\n"

    def markdown(self) -> str:
        """A model card's section."""
        lines = ["## How it was measured", "", *(f"- {name}: {value}" for name, value in self.facts()), ""]
        tables = [(FIGURE_TITLES, self.figures()), (TIER_TITLES, self.tier_lines())]
        if self.audits:
            tables.append((GROUP_TITLES, self.group_lines()))
        for titles, rows in tables:
            lines += [_row(titles), _row(["---"] * len(titles)), *map(_row, rows), ""]
        lines += [f"- By {by}: **{status}**, {why}" for by, status, why in self.verdicts()]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)]).rstrip() + "\n"


FIGURE_TITLES: Final = ("Model", "AUC", "95 %", "KS", "Gini", "Brier", "ECE", "Slope")
TIER_TITLES: Final = ("Tier", "Rows", "Said", "Seen (95 %)")
GROUP_TITLES: Final = ("Group", "Rows", "Approved (95 %)", "Wrongly refused (95 %)")


def check_evidence(evidence: str) -> None:
    """Refuse figures that do not say what they come from (BadInput)."""
    if evidence not in EVIDENCE:
        raise BadInput(
            f"A report says what its figures come from, not '{evidence}'.",
            hint=f"Say one of: {', '.join(EVIDENCE)}.",
            code="lending.evidence",
        )


def psi_word(value: float) -> str:
    """How a stability index is read (Siddiqi 2006)."""
    return "steady" if value < 0.1 else "moving" if value < 0.25 else "shifted"


def interval(seen: Estimate) -> str:
    """A value with its interval, four digits."""
    return f"{seen.value:.4f} ({seen.low:.4f}–{seen.high:.4f})"


def _shares(seen: Estimate) -> str:
    return f"{seen.value:.1%} ({seen.low:.1%}–{seen.high:.1%})"


def _aligned(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *rows)
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
