# SPDX-License-Identifier: Apache-2.0
"""Options that several scoring commands share, read into what the domain takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from koinon.errors import BadInput
from koinon.lending.scoring.points import BINNERS, Plan

_DIRECTIONS: Final = {"up": 1, "down": -1, "any": 0}
Command = Callable[..., Any]


def plan_options(command: Command) -> Command:
    """``--binner``, ``--tiers``, ``--monotone``, ``--actionable``, ``--calibration`` and ``--seed``."""
    for option in (
        click.option(
            "--binner",
            type=click.Choice(tuple(BINNERS)),
            default="boosted",
            show_default=True,
            help="Who cuts columns into bins; tree and optimal do it one column at a time.",
        ),
        click.option(
            "--tiers",
            default="5",
            show_default=True,
            help="How many equally large tiers, or each one's greatest probability: 0.02,0.05,0.1.",
        ),
        click.option(
            "--monotone", multiple=True, metavar="COLUMN=up|down", help="Risk only rises or falls with it."
        ),
        click.option(
            "--actionable",
            multiple=True,
            metavar="COLUMN=up|down|any",
            help="A borrower can change it; ways up name no other column.",
        ),
        click.option(
            "--calibration", type=click.Choice(("platt", "isotonic")), default="platt", show_default=True
        ),
        click.option("--seed", default=0, show_default=True, help="Of everything that is drawn."),
    ):
        command = option(command)
    return command


def read_plan(
    *,
    binner: str,
    tiers: str,
    monotone: Sequence[str],
    actionable: Sequence[str],
    calibration: str,
    seed: int,
) -> Plan:
    """The plan that the options ask for; BadInput where one cannot be read."""
    return Plan(
        binner=binner,
        monotone=_directions(monotone, {"up": 1, "down": -1}),
        tiers=_tiers(tiers),
        calibration=calibration,
        actionable=_directions(actionable, _DIRECTIONS),
        seed=seed,
    )


def _tiers(text: str) -> int | tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if "," in text or "." in text else int(text)
    except ValueError:
        raise BadInput(
            f"'{text}' is neither a number of tiers nor probabilities.",
            hint="Write --tiers 5, or --tiers 0.02,0.05,0.1.",
            code="lending.plan",
        ) from None


def _directions(given: Sequence[str], known: dict[str, int]) -> dict[str, int]:
    found = {}
    for each in given:
        column, mark, word = each.rpartition("=")
        if not mark or word not in known:
            raise BadInput(
                f"'{each}' does not give a column a direction.",
                hint=f"Write COLUMN={'|'.join(known)}.",
                code="lending.plan",
            )
        found[column] = known[word]
    return found
