# SPDX-License-Identifier: Apache-2.0
"""The report: what the watch finds in later transfers, beside what the amount alone or the rules alone find.

Every figure names its data, its split, its baseline and its interval; simulated data are called simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import Estimate, wilson
from koinon.watch.cases.forming import form, priority
from koinon.watch.findings import Finding
from koinon.watch.laundering.alerting import model_findings
from koinon.watch.laundering.clusters import clusters
from koinon.watch.laundering.groups import Audit, audits, service_names
from koinon.watch.laundering.measuring import (
    Labels,
    Scores,
    average_precision,
    bootstrapped,
    chosen,
    precision_at,
)
from koinon.watch.laundering.model import Model, learn, rule_scores
from koinon.watch.laundering.table import AMOUNT_ONLY, Split, Table


@dataclass(frozen=True)
class Ranking:
    """How one way to rank does on the later part; precision at the budget times 100 is what 100 reviews
    find."""

    name: str
    pr_auc: Estimate
    at_budget: Estimate

    @property
    def per_100(self) -> float:
        """Illicit transfers among 100 that are looked at."""
        return 100 * self.at_budget.value

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "pr_auc": self.pr_auc.to_dict(4),
            "precision_at_budget": self.at_budget.to_dict(4),
            "illicit_per_100_reviews": round(self.per_100, 1),
        }


@dataclass(frozen=True)
class Report:
    """All of it; `document` is what is printed and kept."""

    data: Mapping[str, Any]
    split: Mapping[str, Any]
    budget: int
    rankings: tuple[Ranking, ...]
    kinds: Mapping[str, Mapping[str, Any]]
    cases: Mapping[str, Any]
    audits: tuple[Audit, ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "data": dict(self.data),
            "split": dict(self.split),
            "budget": self.budget,
            "rankings": [each.document() for each in self.rankings],
            "kinds": {kind: dict(each) for kind, each in self.kinds.items()},
            "cases": dict(self.cases),
            "false_alarms": [each.document() for each in self.audits],
        }


def report(
    table: Table,
    illicit: Labels,
    *,
    data: str,
    patterns: NDArray[np.int32] | None = None,
    kinds: Sequence[str] = (),
    services: Mapping[str, NDArray[np.bool_]] | None = None,
    model: Model | None = None,
    budget: float = 0.05,
    draws: int = 200,
    seed: int = 0,
) -> tuple[Report, Model]:
    """Learn on the earlier transfers, measure on the later; or measure the model that is given.

    Parameters
    ----------
    data : str
        What the transfers are, in words; say so where they are simulated.
    patterns, kinds : optional
        Which pattern each transfer belongs to (-1: none) and each pattern's kind.
    services : dict, optional
        As `groups.by_origin`.
    model : Model, optional
        The one the report is of; a new one by default.

    Errors as `model.learn`; BadInput (``watch.one_kind``) where the later part has one kind of transfer.
    """
    clustered = clusters(table.edges, illicit) if patterns is None else patterns
    if model is None:
        model, _ = learn(table, illicit, budget=budget, patterns=clustered, seed=seed)
    simple, split = learn(table, illicit, columns=AMOUNT_ONLY, budget=budget, patterns=clustered, seed=seed)
    scores = {
        "model": model.scores(table),
        "rules only": rule_scores(table, model.kinds),
        "amount only": simple.scores(table),
    }
    later, labels = split.measure, illicit[split.measure]
    owner = clustered[later]
    number = max(1, round(budget * labels.size))
    rankings = tuple(
        Ranking(
            name,
            bootstrapped(average_precision, labels, each[later], owner, draws=draws, seed=seed),
            bootstrapped(
                lambda a, b, w: precision_at(a, b, number, w),
                labels,
                each[later],
                owner,
                draws=draws,
                seed=seed,
            ),
        )
        for name, each in scores.items()
    )
    findings = [
        each
        for each in [*table.patterns.findings(), *model_findings(table, model, scores["model"])]
        if each.end >= int(table.edges.timestamp[later.start])
    ]
    return (
        Report(
            {
                "what": data,
                "transfers": len(table.edges),
                "accounts": table.edges.accounts,
                "illicit_share": round(float(illicit.mean()), 5),
                "illicit_share_later": round(float(labels.mean()), 5),
            },
            _told(table, split),
            number,
            rankings,
            _kinds(table, scores, findings, split, patterns, kinds, number),
            _cases(table, illicit, findings, model),
            audits(
                table.edges,
                illicit,
                scores["model"],
                model.threshold,
                (split.choose, split.measure),
                services=services,
                draws=draws,
                seed=seed,
            ),
        ),
        model,
    )


def _told(table: Table, split: Split) -> dict[str, Any]:
    def day(row: int) -> str:
        return datetime.fromtimestamp(int(table.edges.timestamp[row]), UTC).isoformat(timespec="minutes")

    return {
        "by": "time",
        "learn": split.learn.stop,
        "purged": int(split.purged.size),
        "choose": split.choose.stop - split.choose.start,
        "measure": split.measure.stop - split.measure.start,
        "choose_from": day(split.choose.start),
        "measure_from": day(split.measure.start),
    }


def _kinds(  # noqa: PLR0917
    table: Table,
    scores: Mapping[str, Scores],
    findings: Sequence[Finding],
    split: Split,
    patterns: NDArray[np.int32] | None,
    kinds: Sequence[str],
    budget: int,
) -> dict[str, dict[str, Any]]:
    """Of each planted kind: transfers told within the budget, patterns told by one of them at least (95 %
    Wilson interval; beside the rules' ranking and chance), patterns of which a rule names every transfer."""
    if patterns is None:
        return {}
    later = patterns[split.measure]
    told, by_rules = (_told_first(scores[each][split.measure], budget) for each in ("model", "rules only"))
    rest = 1 - min(1.0, budget / later.shape[0])
    first = {
        pattern: np.flatnonzero(patterns == pattern) for pattern in np.unique(later[later >= 0]).tolist()
    }
    whole = {at: rows for at, rows in first.items() if rows[0] >= split.measure.start}
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted(set(kinds)):
        own = [at for at in whole if kinds[at] == kind]
        rows = np.isin(later, own)
        named = [{_key(edge) for edge in each.edges} for each in findings if each.kind == kind]
        if kind == "pass_through":
            named = [set().union(*named)]  # every account on the way is a finding of its own
        caught = [
            at
            for at in own
            if any({_key(edge) for edge in table.edges.rows(whole[at])} <= each for each in named)
        ]
        found[kind] = {
            "patterns": len(own),
            "transfers_told": round(float(told[rows].mean()), 3) if rows.any() else 0.0,
            "patterns_told": _share(sum(bool(told[later == at].any()) for at in own), len(own)),
            "patterns_told_by_rules": _share(sum(bool(by_rules[later == at].any()) for at in own), len(own)),
            "patterns_told_by_chance": round(
                sum(1 - rest ** int((later == at).sum()) for at in own) / max(1, len(own)), 3
            ),
            "patterns_found_by_rule": _share(len(caught), len(own)),
        }
    return found


def _cases(
    table: Table, illicit: Labels, findings: Sequence[Finding], model: Model, at: Sequence[int] = (10, 25, 50)
) -> dict[str, Any]:
    """Cases instead of transfers: of those that come first, how many are illicit by at least half of their
    transfers (95 % Wilson interval), beside how many are of all: what any order would give."""
    bad = {_key(edge) for edge in table.edges.rows(np.flatnonzero(illicit))}
    ranked = []
    for places in form(findings, services=service_names(table.edges)):
        own = [findings[place] for place in places]
        keys = {_key(edge) for each in own for edge in each.edges}
        ranked.append((priority(own, model.kinds), len(keys & bad) * 2 >= len(keys)))
    ranked.sort(key=lambda each: -each[0])
    return {
        "cases": len(ranked),
        "illicit": sum(hit for _, hit in ranked),
        "in_any_order": round(sum(hit for _, hit in ranked) / max(1, len(ranked)), 3),
        "precision": {
            str(most): _share(sum(hit for _, hit in ranked[:most]), min(most, len(ranked)))
            for most in at
            if ranked
        },
    }


def _told_first(scores: Scores, budget: int) -> NDArray[np.bool_]:
    told = np.zeros(scores.shape[0], dtype=np.bool_)
    told[chosen(scores, budget)] = True
    return told


def _share(hits: int, count: int) -> dict[str, float]:
    """A share with its 95 % interval (Wilson)."""
    return wilson(hits, count).to_dict(4)


def _key(edge: Mapping[str, Any]) -> tuple[Any, ...]:
    return edge["source"], edge["target"], edge["timestamp"], edge["amount"]
