# SPDX-License-Identifier: Apache-2.0
"""Commands that end in every way a command can end, for the tests of the ``koinon`` command."""

import click

from koinon.errors import PaymentError
from koinon.terminal import Session, json_option


@click.group()
def group() -> None:
    """Ends badly."""


@group.command()
@json_option
def payment() -> None:
    raise PaymentError("The voucher is not covered.", hint="Deposit more.", code="payment.uncovered")


@group.command()
def surprise() -> None:
    raise ZeroDivisionError("a secret detail")


@group.command()
def interrupt() -> None:
    raise KeyboardInterrupt


@group.command()
def deaf() -> None:
    raise BrokenPipeError


@group.command()
@click.argument("number", type=int)
@json_option
@click.pass_obj
def double(session: Session, number: int) -> None:
    session.terminal.result({"double": 2 * number}, lambda terminal: terminal.say(f"It is {2 * number}."))
