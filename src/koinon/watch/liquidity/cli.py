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
from koinon.watch.liquidity.reading import Position, read_position, read_returns
from koinon.watch.liquidity.report import pool_report, real_series, tail_report, warnings_report
from koinon.watch.liquidity.runs import TOPS
from koinon.watch.liquidity.shown import show_pool, show_tail, show_warnings
from koinon.watch.liquidity.tail import WINDOW_DAYS

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def liquidity() -> None:
    """What can be paid out, what may be asked for, and how often warnings were right."""


@liquidity.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--column", default="price", show_default=True, help="The column of prices.")
@click.option("--returns", "are_returns", is_flag=True, help="The column has log returns, not prices.")
@click.option("--real", metavar="NAME", help="Instead of a file: AMD, AAPL, VLUE or SIZE, as skfolio has it.")
@click.option("--window", default=WINDOW_DAYS, show_default=True, type=click.IntRange(100), help="Days.")
@json_option
@click.pass_obj
def tail(
    session: Session, *, file: Path | None, column: str, are_returns: bool, real: str | None, window: int
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
    document = tail_report(returns, name, window=window)
    session.terminal.result(document, partial(show_tail, document=document))


@liquidity.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--contract", required=True, help="The pool or vault, or a market's id.")
@click.option("--position", type=_FILE, help="JSON: what it holds, and where that is sold.")
@click.option("--idle", type=click.IntRange(0), help="Instead: the money at hand, in smallest units.")
@click.option("--top", "tops", type=click.IntRange(1), multiple=True, help="How many leave at once. Repeat.")
@click.option("--horizon", default=1, show_default=True, type=click.IntRange(1, 28), help="Days forecast.")
@click.option("--seed", default=0, show_default=True)
@json_option
@click.pass_obj
def measure(
    session: Session,
    files: tuple[Path, ...],
    *,
    contract: str,
    position: Path | None,
    idle: int | None,
    tops: tuple[int, ...],
    horizon: int,
    seed: int,
) -> None:
    """Coverage, a run of the largest holders, and a forecast of withdrawals, from events in FILES."""
    if position is not None and idle is None:
        held = _with_pools(session, read_position(position))
    elif position is None and idle is not None:
        held = Position("", idle)
    else:
        raise BadInput("Say what can be paid out: --position FILE, or --idle.", code="watch.position")
    name = checksum(contract) if len(contract) == 42 else contract
    document = pool_report(
        History.of(read_rows(files)), name, held, tops=tops or TOPS, horizon=horizon, seed=seed
    )
    session.terminal.result(document, partial(show_pool, document=document))


@liquidity.command()
@click.option("--pools", "count", default=60, show_default=True, type=click.IntRange(1), help="Simulated.")
@click.option("--seed", default=2, show_default=True)
@click.option("--simulated", is_flag=True, help="Leave out the real returns.")
@json_option
@click.pass_obj
def warnings(session: Session, *, count: int, seed: int, simulated: bool) -> None:
    """How often warnings are right: on simulated runs, and on falls in real returns."""
    document = warnings_report(count=count, seed=seed, real=not simulated)
    session.terminal.result(document, partial(show_warnings, document=document))


def _with_pools(session: Session, position: Position) -> Position:
    """With this node's pairs, where something is held and the file names no pools."""
    if position.pools is not None or not position.held:
        return position
    with session.node() as node:
        return replace(position, pools=Executor(node.chain).pools())
