# SPDX-License-Identifier: Apache-2.0
"""``koinon watch liquidity …``: what can be paid out, what may be asked for, how warnings did."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.markets.history.history import History
from koinon.markets.history.tables import read_rows
from koinon.markets.routing.executor import Executor
from koinon.terminal import Session, json_option
from koinon.watch.api import ROOM, Watch
from koinon.watch.liquidity.reading import Position, read_position, read_returns
from koinon.watch.liquidity.report import real_series
from koinon.watch.liquidity.runs import TOPS
from koinon.watch.liquidity.shown import show_pool, show_tail, show_warnings
from koinon.watch.liquidity.tail import WINDOW_DAYS

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_keep_option = click.option("--keep", is_flag=True, help="Show it on the console's page, too.")


@click.group()
def liquidity() -> None:
    """What can be paid out, what may be asked for, and how often warnings were right."""


@liquidity.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--column", default="price", show_default=True, help="The column of prices.")
@click.option("--returns", "are_returns", is_flag=True, help="The column has log returns, not prices.")
@click.option("--real", metavar="NAME", help="Instead of a file: AMD, AAPL, VLUE or SIZE, as skfolio has it.")
@click.option("--window", default=WINDOW_DAYS, show_default=True, type=click.IntRange(100), help="Days.")
@_keep_option
@json_option
@click.pass_obj
def tail(
    session: Session,
    *,
    file: Path | None,
    column: str,
    are_returns: bool,
    real: str | None,
    window: int,
    keep: bool,
) -> None:
    """VaR and ES of the prices in FILE (CSV, a row a day), and whether earlier figures held."""
    if (file is None) == (real is None):
        raise BadInput("Give a file, or --real.", code="watch.series")
    if file is not None:
        returns, name = read_returns(file, column, are_returns=are_returns), f"the file {file.name}"
    else:
        series = real_series()
        if real is None or real not in series:
            raise BadInput(f"There is no series {real!r}.", hint=", ".join(series), code="watch.series")
        returns, name = series[real], f"real returns of {real}"
    with _watch(session) as watch:
        document = watch.liquidity.tail(returns, name, window=window, keep=keep)
    session.terminal.result(document, partial(show_tail, document=document))


@liquidity.command()
@click.argument("files", nargs=-1, type=_FILE)
@click.option("--contract", help="The pool or vault, or a market's id.")
@click.option("--position", type=_FILE, help="JSON: what it holds, and where that is sold.")
@click.option("--idle", type=click.IntRange(0), help="Instead: the money at hand, in smallest units.")
@click.option("--top", "tops", type=click.IntRange(1), multiple=True, help="How many leave at once. Repeat.")
@click.option("--horizon", default=1, show_default=True, type=click.IntRange(1, 28), help="Days forecast.")
@click.option("--seed", default=0, show_default=True)
@click.option("--simulated", is_flag=True, help="A simulated pool before a run, instead; it is kept.")
@_keep_option
@json_option
@click.pass_obj
def measure(
    session: Session,
    files: tuple[Path, ...],
    *,
    contract: str | None,
    position: Path | None,
    idle: int | None,
    tops: tuple[int, ...],
    horizon: int,
    seed: int,
    simulated: bool,
    keep: bool,
) -> None:
    """Coverage, a run of the largest holders, and a forecast of withdrawals, from events in FILES.

    What is kept is told as an alert, too, where it is red or a warning rings.
    """
    if simulated == bool(files) or (contract is None) != simulated:
        raise BadInput("Give files and --contract, or --simulated.", code="watch.position")
    if contract is None:
        with _watch(session) as watch:
            made = watch.liquidity.simulate(seed=seed, tops=tops or TOPS)
        session.terminal.result(made, partial(show_pool, document=made))
        return
    if position is not None and idle is None:
        held = _with_pools(session, read_position(position))
    elif position is None and idle is not None:
        held = Position("", idle)
    else:
        raise BadInput("Say what can be paid out: --position FILE, or --idle.", code="watch.position")
    name = checksum(contract) if len(contract) == 42 else contract
    with _watch(session) as watch:
        document = watch.liquidity.measure(
            History.of(read_rows(files)),
            name,
            held,
            data=f"events in {', '.join(each.name for each in files)}",
            keep=keep,
            tops=tops or TOPS,
            horizon=horizon,
            seed=seed,
        )
    session.terminal.result(document, partial(show_pool, document=document))


@liquidity.command()
@click.option("--pools", "count", default=60, show_default=True, type=click.IntRange(1), help="Simulated.")
@click.option("--seed", default=2, show_default=True)
@click.option("--simulated", is_flag=True, help="Leave out the real returns.")
@_keep_option
@json_option
@click.pass_obj
def warnings(session: Session, *, count: int, seed: int, simulated: bool, keep: bool) -> None:
    """How often warnings are right: on simulated runs, and on falls in real returns."""
    with _watch(session) as watch:
        document = watch.liquidity.warnings(count=count, seed=seed, real=not simulated, keep=keep)
    session.terminal.result(document, partial(show_warnings, document=document))


def _watch(session: Session) -> Watch:
    return Watch(session.settings.home / ROOM)


def _with_pools(session: Session, position: Position) -> Position:
    """With this node's pairs, where something is held and the file names no pools."""
    if position.pools is not None or not position.held:
        return position
    with session.node() as node:
        return replace(position, pools=Executor(node.chain).pools())
