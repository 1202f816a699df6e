# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the common model under attack, by rule: five seeds, evenly split and Dirichlet(0.3).

8x8 digits, 20 owners of whom 6 are malicious, 15 rounds of one local epoch, 297 rows held out. ``fltrust``
has one more owner, the yardstick, with 100 rows of all classes. The back door's second number is how often
rows with its trigger are taken for its target. On one core in a few minutes.

    python -m benchmarks.robustness      the tables as they stand in the documents
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.contributions import digits_recipe
from koinon.learning.attacks import (
    ALittleIsEnough,
    Attack,
    BackDoor,
    FreeRider,
    Gaussian,
    LabelFlip,
    Outcome,
    Report,
    Scaling,
    Sign,
    attacked,
    outcome,
    report,
)
from koinon.learning.datasets import load_digits8
from koinon.learning.splits import split_dirichlet
from koinon.tables import Table

NAMES = ("robustness",)
OWNERS, MALICIOUS, ROUNDS, SEEDS = 20, 6, 15, range(1, 6)
HELD_OUT, ROOT, CONCENTRATION = 297, 100, 0.3
RULES: Final = ("weighted_mean", "median", "trimmed_mean:0.3", "multi_krum:6", "norm_clipping", "fltrust")
ATTACKS: Final[Mapping[str, Attack]] = {
    "none": Attack(),
    "label flip": LabelFlip(10),
    "sign": Sign(),
    "scaling": Scaling(),
    "gaussian": Gaussian(),
    "alie": ALittleIsEnough(),
    "back-door": BackDoor(columns=(0, 1, 8), value=16.0),
    "free-rider": FreeRider(),
}
SPLITS: Final = {"iid": "Evenly split", "dirichlet": f"Dirichlet({CONCENTRATION})"}
TARGETS: Final = {("iid", "multi_krum:6"): 0.85, ("dirichlet", "fltrust"): 0.7}
"""The least accuracy of any attack that a rule is chosen for."""


def run() -> Iterator[dict[str, Any]]:
    for split in SPLITS:
        for rule in RULES:
            worst = 1.0
            for name, attack in ATTACKS.items():
                found = measured(split, rule, attack)
                worst = min(worst, found.accuracy)
                yield _figure(f"robustness.{split}.{rule}.{name}", found.accuracy, _unit(found), None)
            target = TARGETS.get((split, rule))
            yield _figure(f"robustness.{split}.{rule}.worst", worst, "accuracy, the worst attack", target)


def measured(split: str, rule: str, attack: Attack) -> Report:
    """One cell of the table."""
    with threadpool_limits(1):
        return report(SEEDS, lambda seed: play(split, rule, attack, seed))


def play(split: str, rule: str, attack: Attack, seed: int) -> Outcome:
    """One run; which six are malicious is drawn by the seed."""
    random, table = np.random.default_rng(seed), load_digits8()
    order = random.permutation(len(table))
    held_out, root = table.take(order[:HELD_OUT]), table.take(order[HELD_OUT : HELD_OUT + ROOT])
    rest = table.take(order[HELD_OUT + ROOT :])
    tables = _dealt(split, rest, seed)
    malicious = random.choice(OWNERS, MALICIOUS, replace=False).tolist()
    recipe = digits_recipe(seed, ROUNDS, epochs=1, batch=16, learning_rate=0.01, weight_decay=0.0)
    if rule == "fltrust":
        recipe = replace(recipe, aggregation=rule, root_owner=OWNERS)
        tables.append(root)
    else:
        recipe = replace(recipe, aggregation=rule)
    return outcome(recipe, attacked(recipe, tables, malicious, attack, seed=seed), attack, held_out)


def _dealt(split: str, table: Table, seed: int) -> list[Table]:
    if split == "dirichlet":
        return split_dirichlet(table, OWNERS, CONCENTRATION, seed=seed)
    return [table.take(part) for part in np.array_split(np.arange(len(table)), OWNERS)]


def markdown() -> Iterator[str]:
    """Both tables, a line at a time."""
    for split, words in SPLITS.items():
        yield f"| {words} | {' | '.join(ATTACKS)} |"
        yield f"|---{'|---:' * len(ATTACKS)}|"
        for rule in RULES:
            cells = [_cell(measured(split, rule, attack)) for attack in ATTACKS.values()]
            yield f"| `{rule}` | {' | '.join(cells)} |"
        yield ""


def _cell(found: Report) -> str:
    door = "" if found.back_door is None else f" / {found.back_door:.2f}"
    return f"{found.accuracy:.3f} ± {found.deviation:.3f}{door}"


def _unit(found: Report) -> str:
    door = "" if found.back_door is None else f", back door opens {found.back_door:.2f}"
    return f"accuracy, mean of {found.seeds} seeds, least {found.least:.3f}{door}"


def _figure(name: str, ours: float, unit: str, target: float | None) -> dict[str, Any]:
    return {
        "name": name.replace(" ", "_"),
        "ours": round(ours, 4),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": None if target is None else ours >= target,
    }


if __name__ == "__main__":
    for line in markdown():
        print(line, flush=True)
