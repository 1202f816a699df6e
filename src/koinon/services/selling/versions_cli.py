# SPDX-License-Identifier: Apache-2.0
"""``koinon service rollout`` and ``koinon service retire``."""

from __future__ import annotations

from fractions import Fraction

import click

from koinon.errors import BadInput
from koinon.services.counter import open_counter
from koinon.services.gateway.registry import Service
from koinon.terminal import Session, Terminal, json_option


@click.command()
@click.argument("work_id", type=int)
@click.option("--share", default="", metavar="PERCENT", help="How many of the payers it answers, like 10%.")
@click.option("--promote", is_flag=True, help="It answers everyone from now on.")
@click.option("--back", is_flag=True, help="Drop it; the version before goes on.")
@json_option
@click.pass_obj
def rollout(session: Session, *, work_id: int, share: str, promote: bool, back: bool) -> None:
    """Try the staged version of Work WORK_ID on a share of its payers, promote it, or go back.

    Each payer stays with the version it got while the share grows. Answers name their version.
    """
    if (bool(share), promote, back).count(True) != 1:
        raise BadInput(
            "A rollout is one of three things.",
            hint="Give --share 10%, --promote or --back.",
            code="service.rollout",
        )
    part = _share(share) if share else Fraction(0)
    with session.node() as node:
        versions = open_counter(node).versions
        if promote:
            found = versions.promote(work_id)
        elif back:
            found = versions.roll_back(work_id)
        else:
            found = versions.roll_out(work_id, part)
    session.terminal.result(_document(found), lambda terminal: _say(terminal, found))


@click.command()
@click.argument("work_id", type=int)
@click.option(
    "--replaced-by", default="", help="What callers should use instead: a Work's id here, or an address."
)
@json_option
@click.pass_obj
def retire(session: Session, *, work_id: int, replaced_by: str) -> None:
    """Take no new calls of Work WORK_ID. Those that run finish; it stays readable, channels are refunded."""
    with session.node() as node:
        services = open_counter(node)
        successor = services.global_id(int(replaced_by)) if replaced_by.isdigit() else replaced_by
        found = services.versions.retire(work_id, successor)
    session.terminal.result(
        _document(found),
        lambda terminal: terminal.say(
            f"Work {work_id} takes no new calls."
            + (f" Callers are told to use {found.replaced_by}." if found.replaced_by else "")
        ),
    )


COMMANDS = (rollout, retire)


def _share(text: str) -> Fraction:
    try:
        return Fraction(text.strip().removesuffix("%").strip()) / 100
    except (ValueError, ZeroDivisionError):
        raise BadInput(
            f"'{text[:40]}' is no share of the payers.",
            hint="Write it like 10%.",
            code="service.rollout_share",
        ) from None


def _document(service: Service) -> dict[str, object]:
    return {
        "work_id": service.work_id,
        "version": service.version,
        "staged": None
        if service.staged is None
        else {"version": service.staged.version, "share_bps": service.staged.share_bps},
        "retired": service.retired,
        "replaced_by": service.replaced_by,
    }


def _say(terminal: Terminal, service: Service) -> None:
    if service.staged is None:
        terminal.say(f"Version {service.version} of Work {service.work_id} answers everyone.")
    else:
        terminal.say(
            f"Version {service.staged.version} of Work {service.work_id} answers "
            f"{service.staged.share_bps / 100:g} % of its payers, version {service.version} the others."
        )
