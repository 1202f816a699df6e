# SPDX-License-Identifier: Apache-2.0
"""``koinon lending risk`` and ``koinon lending replay``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from koinon.errors import BadInput
from koinon.lending.risk.book import Floats, Venue
from koinon.lending.risk.montecarlo import Jump, gaussian_paths, resampled_paths
from koinon.lending.risk.reading import Subject, read_pools, read_subject
from koinon.lending.risk.report import Question, report
from koinon.lending.risk.scenario import Scenario, save_all, worst_scenarios
from koinon.lending.risk.shown import show_replays, show_report
from koinon.terminal import Session, json_option

if TYPE_CHECKING:
    from koinon.lending.risk.replay import Replayed

_GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--reserves", metavar="COLLATERAL:LOAN", help="Of the pair, in whole tokens; for a .csv.")
@click.option("--runs", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=30, show_default=True)
@click.option(
    "--deviation", type=click.FloatRange(0), default=0.04, show_default=True, help="Of a step's return."
)
@click.option("--jumps", is_flag=True, help="Also falls of about 15 %, one in a hundred steps.")
@click.option("--returns", type=_GIVEN, help="Log returns, one a line.")
@click.option("--correlation", type=click.FloatRange(0, 1, max_open=True), default=0.15, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--worst", type=click.IntRange(1), default=20, show_default=True, help="Scenarios to export.")
@click.option("--export", type=click.Path(file_okay=False, path_type=Path), help="A folder for them.")
@json_option
@click.pass_obj
def risk(
    session: Session,
    sources: tuple[str, ...],
    *,
    reserves: str | None,
    runs: int,
    steps: int,
    deviation: float,
    jumps: bool,
    returns: Path | None,
    correlation: float,
    seed: int,
    worst: int,
    export: Path | None,
) -> None:
    """Say what the pool at SOURCE, or the book in the file SOURCE, can lose; several pools as one network."""
    subject = _subject(session, sources, reserves)
    if not len(subject.book):
        raise BadInput("No loan is open.", hint="Nothing is lent, nothing is lost.", code="lending.book")
    if returns is None:
        paths, name = _simulated(runs, steps, deviation, seed, jumps=jumps)
    else:
        paths, name = _resampled(returns, runs, steps, seed)
    found = report(subject, Question(paths, name, correlation, seed=seed))
    document = found.document
    if export is not None:
        chosen = worst_scenarios(subject.book, subject.venue, found.simulated, worst)
        document["exported"] = [str(path) for path in save_all(chosen, export)]
    session.terminal.result(document, partial(show_report, document=document))


@click.command()
@click.argument("files", nargs=-1, required=True, type=_GIVEN)
@click.option("--fork", "pool", metavar="POOL", help="On this pool as it is now, on a copy of its chain.")
@json_option
@click.pass_obj
def replay(session: Session, files: tuple[Path, ...], pool: str | None) -> None:
    """Play scenarios in FILES through on the real contracts, beside what was predicted.

    In memory, with the scenario's own loans; with --fork, on a private copy of the network, with the loans,
    terms and interest that the pool has now. The network itself is only read.
    """
    scenarios = [Scenario.load(path) for path in files]
    found = []
    with session.terminal.progress("Replaying", len(files)) as advance:
        for replayed in _replayed(scenarios) if pool is None else _forked(session, scenarios, pool):
            found.append(replayed.document())
            advance(1)
    session.terminal.result(found, partial(show_replays, found=found))


RISK = (risk, replay)
"""Of the group ``koinon lending``."""


def _replayed(scenarios: list[Scenario]) -> Iterator[Replayed]:
    from koinon.lending.risk.replay import replay as play  # noqa: PLC0415  (the contracts' machine, an extra)

    return map(play, scenarios)


def _forked(session: Session, scenarios: list[Scenario], pool: str) -> Iterator[Replayed]:
    from koinon.lending.risk.forked import replay_on_fork  # noqa: PLC0415  (as above)

    with session.node() as node:
        for scenario in scenarios:
            yield replay_on_fork(node.chain, pool, scenario)


def _subject(session: Session, sources: tuple[str, ...], reserves: str | None) -> Subject:
    path = Path(sources[0])
    if path.is_file() and len(sources) == 1:
        return read_subject(path, _reserves(reserves))
    wrong = [source for source in sources if not source.startswith("0x")]
    if wrong:
        raise BadInput(
            f"{wrong[0]} is neither a file nor a pool's address.",
            hint="Give one .csv or .json of positions, or addresses of pools.",
            code="lending.risk_file",
        )
    with session.node() as node:
        return read_pools(node.chain, sources)


def _reserves(text: str | None) -> Venue | None:
    if text is None:
        return None
    base, _, quote = text.partition(":")
    try:
        return Venue(float(base), float(quote))
    except ValueError:
        raise BadInput(
            f"{text!r} is not COLLATERAL:LOAN.", hint="Such as 500:1000000.", code="lending.venue"
        ) from None


def _simulated(runs: int, steps: int, deviation: float, seed: int, *, jumps: bool) -> tuple[Floats, str]:
    jump = Jump(0.01, -0.15, 0.05) if jumps else None
    named = f"simulated, Gaussian, {deviation:.1%} a step" + (", with jumps" if jumps else "")
    return gaussian_paths(runs, steps, deviation, seed, jump=jump), named


def _resampled(returns: Path, runs: int, steps: int, seed: int) -> tuple[Floats, str]:
    try:
        series = np.loadtxt(returns, dtype=np.float64, ndmin=1)
    except (ValueError, OSError) as fault:
        raise BadInput(
            f"{returns.name} is not a list of returns.", hint="One log return a line.", code="lending.returns"
        ) from fault
    named = f"resampled from {len(series)} returns in {returns.name}"
    return resampled_paths(series, runs, steps, seed), named
