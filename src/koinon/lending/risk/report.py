# SPDX-License-Identifier: Apache-2.0
"""One report of what a book can lose, with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from koinon.lending.risk import ecosystem
from koinon.lending.risk.book import UNSCORED, Book, Floats
from koinon.lending.risk.cascade import shocks
from koinon.lending.risk.ecosystem import Ecosystem
from koinon.lending.risk.losses import (
    LEVELS,
    Portfolio,
    simulate,
    tranche_losses,
    vasicek_quantile,
    waterfall,
)
from koinon.lending.risk.montecarlo import Simulated
from koinon.lending.risk.montecarlo import simulate as simulate_paths
from koinon.lending.risk.reading import Subject

FALLS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_UNITS: Final = 10**6


@dataclass(frozen=True)
class Question:
    """How to ask. ``paths`` log returns (runs, steps), ``paths_name`` where they come from; ``correlation``
    of borrowers in the one-factor model; ``falls`` for the table of shocks."""

    paths: Floats
    paths_name: str
    correlation: float = 0.15
    portfolio_runs: int = 10_000
    falls: tuple[float, ...] = FALLS
    seed: int = 0


@dataclass(frozen=True)
class Report:
    """``document`` for programs and pages; ``simulated`` the runs, of which the worst can be exported."""

    document: dict[str, Any]
    simulated: Simulated


def report(subject: Subject, question: Question) -> Report:
    """Everything that can be said of a subject."""
    found: dict[str, Any] = {
        "name": subject.name,
        "evidence": subject.evidence,
        "prices": question.paths_name,
        "runs": len(question.paths),
        "book": _book(subject.book, subject.venue.price),
        "credit": _credit(subject, question),
    }
    market, simulated = _market(subject, subject.book, question)
    found["market"] = market
    if subject.tiers:
        found["market_with_scores"] = _market(subject, subject.book.scored(subject.tiers), question)[0]
    if subject.network is not None:
        found["contagion"] = _contagion(subject, subject.network, question.falls)
    return Report(found, simulated)


def _book(book: Book, price: float) -> dict[str, Any]:
    value = book.collateral * price
    return {
        "loans": int((book.debt > 0).sum()),
        "debt": float(book.debt.sum()),
        "collateral_value": float(value.sum()),
        "loan_to_value": float(book.debt.sum() / value.sum()) if value.sum() > 0 else None,
        "unsound": int((value * book.lltv < book.debt).sum()),
        "largest_share": float(book.debt.max() / book.debt.sum()) if book.debt.sum() > 0 else 0.0,
    }


def _credit(subject: Subject, question: Question) -> dict[str, Any] | None:
    """None without loans whose PD is known."""
    book = subject.book
    known = (book.pd != UNSCORED) & (book.debt > 0)
    if not known.any():
        return None
    portfolio = Portfolio(book.pd[known], np.full(int(known.sum()), subject.lgd), book.debt[known])
    found = simulate(portfolio, question.correlation, question.portfolio_runs, question.seed)
    exposure = float(portfolio.ead.sum())
    mean_pd = float((portfolio.pd * portfolio.ead).sum() / exposure)
    junior, senior = tranche_losses(found.losses, subject.junior, subject.senior)
    told: dict[str, Any] = {
        "loans_with_pd": int(known.sum()),
        "mean_pd": mean_pd,
        "lgd": subject.lgd,
        "exposure": exposure,
        "expected_loss": portfolio.expected_loss,
        "concentration": portfolio.concentration,
        "correlation": question.correlation,
        "junior_expected_loss": junior,
        "senior_expected_loss": senior,
    }
    for level in LEVELS:
        label = f"{level * 100:.0f}"
        told[f"loss_{label}"] = found.value_at_risk(level)
        told[f"shortfall_{label}"] = found.expected_shortfall(level)
        told[f"fine_portfolio_{label}"] = exposure * vasicek_quantile(
            mean_pd, subject.lgd, question.correlation, level
        )
    return told


def _market(subject: Subject, book: Book, question: Question) -> tuple[dict[str, Any], Simulated]:
    simulated = simulate_paths(book, subject.venue, question.paths)
    var, lar = simulated.value_at_risk(), simulated.liquidations_at_risk()
    borne = waterfall(*(round(each * _UNITS) for each in (var.value, subject.junior, subject.senior)))
    fallen = shocks(book, subject.venue, np.array(question.falls))
    return {
        "value_at_risk": asdict(var),
        "liquidations_at_risk": asdict(lar),
        "value_at_risk_borne_by": {name: units / _UNITS for name, units in asdict(borne).items()},
        "debt": float(book.debt.sum()),
        "shocks": [
            {"fall": fall, **asdict(outcome), "net_insolvent": outcome.net_insolvent}
            for fall, outcome in zip(question.falls, fallen, strict=True)
        ],
    }, simulated


def _contagion(subject: Subject, network: Ecosystem, falls: Sequence[float]) -> dict[str, Any]:
    each_fall = []
    for fall in falls:
        everything = dict.fromkeys(network.prices, fall)
        told: dict[str, Any] = {"fall": fall, "before": ecosystem.spread(network, everything).document()}
        if subject.tiers:
            told["after_scores"] = ecosystem.spread(network.scored(subject.tiers), everything).document()
        each_fall.append(told)
    found: dict[str, Any] = {"falls": each_fall, "failures": ecosystem.failures(network)}
    if subject.tiers:
        found["failures_after_scores"] = ecosystem.failures(network.scored(subject.tiers))
    return found
