# SPDX-License-Identifier: Apache-2.0
"""``koinon lending quote | score | issue``: a wallet's own terms, why, and what issuers sign of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.errors import BadInput
from koinon.lending.api import ROOM, Lending
from koinon.lending.issuing import LASTS_S, Judgement, ScoreFile
from koinon.lending.offer_file import read_json, write_json
from koinon.lending.pool_shown import show_judgement, show_quote
from koinon.lending.scoring.calibration import YEAR_DAYS
from koinon.lending.scoring.serving import Cell, Scorer
from koinon.terminal import Session, Terminal, json_option
from koinon.web.language import speaking

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_DAY_S: Final = 86_400
Command = Callable[..., Any]


def scorecard_options(command: Command) -> Command:
    """``--scorecard``, ``--challenger``, ``--told``, ``--horizon-days`` and ``--block``."""
    for option in (
        click.option("--block", type=click.IntRange(0), help="Judge as of this block. [default: the last]"),
        click.option(
            "--horizon-days",
            type=click.IntRange(1, YEAR_DAYS),
            default=YEAR_DAYS,
            show_default=True,
            help="How long the scorecard's probability is for.",
        ),
        click.option("--told", type=_FILE, help="JSON: columns that no chain tells, by name."),
        click.option("--challenger", type=_FILE, help="Trees that may make the tier worse."),
        click.option(
            "--scorecard", type=_FILE, help="Taught points. [default: lending/scorecard.json in KOINON_HOME]"
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Judging:
    """The options that say how a wallet is judged."""

    scorecard: Path | None
    challenger: Path | None
    told: Path | None
    horizon_days: int
    block: int | None

    def judge(self, session: Session, lending: Lending, wallet: str, pool: str = "") -> Judgement | None:
        """For a pool's sake where one is named; None where there is no scorecard."""
        usual = session.settings.home / ROOM / "scorecard.json"
        path = self.scorecard or (usual if usual.is_file() else None)
        if path is None:
            return None
        told: dict[str, Cell] = {}
        if self.told is not None:
            found = read_json(self.told)
            if not isinstance(found, dict):
                raise BadInput(f"{self.told} does not tell columns by name.", code="lending.told")
            told = {str(name): cell for name, cell in found.items()}
        with speaking(session.terminal.language):
            return lending.score(
                wallet,
                Scorer.open(path, self.challenger),
                pool=pool,
                block=self.block,
                told=told,
                horizon_days=self.horizon_days,
            )

    def must_judge(self, session: Session, lending: Lending, wallet: str, pool: str = "") -> Judgement:
        """BadInput where there is no scorecard."""
        found = self.judge(session, lending, wallet, pool)
        if found is None:
            raise BadInput(
                "There is no scorecard to judge by.",
                hint="Teach one with `koinon lending train` or `distil`, and give it by --scorecard.",
                code="lending.no_scorecard",
            )
        return found


@click.command()
@click.argument("wallet", metavar="ADDRESS")
@click.option("--pool", "address", default="", help="Which pool; where there is one, that one.")
@click.option("--amount", default="", help="How much of the loan token. [default: the most]")
@click.option("--collateral", default="0", help="How much would be added first.")
@click.option("--sign", type=_FILE, help="As an issuer: write an offer here that the pool executes.")
@click.option("--valid-s", type=click.IntRange(1), default=3_600, show_default=True, help="Of the offer.")
@scorecard_options
@json_option
@click.pass_obj
def quote(
    session: Session,
    /,
    *,
    wallet: str,
    address: str,
    amount: str,
    collateral: str,
    sign: Path | None,
    valid_s: int,
    **options: Any,
) -> None:
    """What ADDRESS may borrow: amount, LTV, rate, why, and what would be a tier better."""
    with session.node() as node:
        lending = Lending.of(node)
        state = lending.pool(address or only_pool(lending))
        judgement = Judging(**options).judge(session, lending, wallet, state.address)
        found = lending.quote(
            state.address,
            wallet,
            amount=state.loan.units(amount) if amount else 0,
            collateral=state.collateral.units(collateral),
            judgement=judgement,
        )
        offer = None if sign is None else lending.offer(found, judgement=judgement, lasts_s=valid_s)
    value: dict[str, Any] = {
        **found.to_dict(),
        "reasons": [] if judgement is None else judgement.answer.reasons,
        "ways_up": [] if judgement is None else judgement.answer.ways_up,
        "judgement": None if judgement is None else judgement.to_dict(),
    }
    if sign is not None and offer is not None:
        offer.save(sign)
        value["offer"] = offer.to_json()

    def show(terminal: Terminal) -> None:
        show_quote(terminal, state, found, judgement)
        if sign is not None:
            terminal.say(escape(f"Signed: {sign}. {wallet} takes it with `borrow --offer`."))

    session.terminal.result(value, show)


@click.command()
@click.argument("wallet", metavar="ADDRESS")
@scorecard_options
@json_option
@click.pass_obj
def score(session: Session, /, *, wallet: str, **options: Any) -> None:
    """What a scorecard says of ADDRESS: points, reasons, and what would lift it a tier."""
    with session.node() as node:
        found = Judging(**options).must_judge(session, Lending.of(node), wallet)
    session.terminal.result(found.to_dict(), lambda terminal: show_judgement(terminal, found))


@click.command()
@click.argument("wallet", metavar="ADDRESS")
@click.option("--pool", "address", default="", help="Whose scores; where there is one pool, its.")
@click.option("--days", type=click.IntRange(1, 3_650), default=LASTS_S // _DAY_S, show_default=True)
@click.option("--with", "begun", type=_FILE, help="What other issuers began: sign it too.")
@click.option("--out", type=_FILE, help="Write what is signed so far here, for the next issuer.")
@scorecard_options
@json_option
@click.pass_obj
def issue(
    session: Session,
    /,
    *,
    wallet: str,
    address: str,
    days: int,
    begun: Path | None,
    out: Path | None,
    **options: Any,
) -> None:
    """As an issuer: judge ADDRESS, sign its tier, and put it on chain once enough have signed."""
    before = None if begun is None else ScoreFile.from_json(read_json(begun))
    if before is not None:
        options["block"] = before.attestation.as_of_block
    with session.node() as node:
        lending = Lending.of(node)
        place = lending.pool(address or only_pool(lending)).address
        judgement = Judging(**options).must_judge(session, lending, wallet, place)
        if before is None:
            signed = lending.begin_score(place, judgement, lasts_s=days * _DAY_S)
        else:
            signed = lending.join_score(place, before, judgement)
        enough = lending.is_enough(place, signed)
        if not enough and out is None:
            raise BadInput(
                "Other issuers must sign as well.",
                hint="Write it to a file with --out, and have them sign it with --with.",
                code="lending.more_issuers",
            )
        uid = lending.post_score(signed) if enough else b""
    if out is not None:
        write_json(out, signed.to_json())
    value = {
        "posted": enough,
        "uid": "0x" + uid.hex(),
        "signed": len(signed.signed),
        "judgement": judgement.to_dict(),
    }

    def show(terminal: Terminal) -> None:
        show_judgement(terminal, judgement)
        more = "It is on chain." if enough else f"{len(signed.signed)} signed so far: {out}"
        terminal.say(escape(more))

    session.terminal.result(value, show)


QUOTES: Final = (quote, score, issue)
"""Of the group ``koinon lending``."""


def only_pool(lending: Lending) -> str:
    """The network's one pool."""
    found = lending.pools()
    if len(found) != 1:
        raise BadInput(
            f"This network has {len(found)} pools.",
            hint="Name one with --pool; `koinon lending pools` lists them.",
            code="lending.which_pool",
        )
    return found[0].address
