# SPDX-License-Identifier: Apache-2.0
"""The options of ``koinon service publish`` for what is promised, and for newer versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from koinon.services.gateway.limits import LARGEST_ANSWER, LARGEST_BODY, Limits
from koinon.services.selling.promises import TRUSTS, Promises

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--unit", default="", help="What the price is for, where not for a call: token, row, second …"
    ),
    click.option("--most-units", default=1, show_default=True, help="The most that one call may count."),
    click.option("--free", "free_calls", default=0, help="Calls a day that each caller gets for nothing."),
    click.option("--free-in-all", default=0, help="Free calls a day of all callers together."),
    click.option(
        "--rate", "calls_per_minute", default=0, help="Calls a minute of one payer; as many as go by default."
    ),
    click.option("--max-body", "body_bytes", default=LARGEST_BODY, help="Bytes of a request."),
    click.option("--max-answer", "answer_bytes", default=LARGEST_ANSWER, help="Bytes of an answer."),
    click.option(
        "--at-once",
        default=0,
        help="Calls that run at once; as many as its processes or connections can by default.",
    ),
    click.option(
        "--of-one-payer", default=0, help="Of the calls that run or wait, those of one payer; all by default."
    ),
    click.option(
        "--waiting",
        default=Limits.waiting,
        show_default=True,
        help="Calls that wait for their turn; others are told when to come back.",
    ),
    click.option(
        "--comparison",
        default="",
        metavar="RULE",
        help="When two answers are the same: exact, quantised:GRID or tolerance:EPS.",
    ),
    click.option(
        "--trust",
        "supported_trust",
        multiple=True,
        type=click.Choice(TRUSTS),
        help="By what callers may trust it; reputation by default. Repeat it.",
    ),
)


def promise_options(command: Command) -> Command:
    """Adds the options to a command, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_promises(given: dict[str, Any]) -> Promises:
    """What the options say; they are taken out of ``given``. BadInput where it cannot be promised."""
    limits = Limits(**{each.name: given.pop(each.name) for each in fields(Limits)})
    return Promises(
        unit=given.pop("unit"),
        most_units=given.pop("most_units"),
        free_calls=given.pop("free_calls"),
        free_in_all=given.pop("free_in_all"),
        limits=limits,
        comparison=given.pop("comparison"),
        supported_trust=given.pop("supported_trust") or ("reputation",),
    )
