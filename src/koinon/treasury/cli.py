# SPDX-License-Identifier: Apache-2.0
"""``koinon treasury …``: try allocation methods on past prices; hold money in vaults within bounds."""

from __future__ import annotations

from pathlib import Path

import click

from koinon.errors import BadInput
from koinon.terminal import Session, Terminal, json_option
from koinon.treasury.allocation.backtest import Plan
from koinon.treasury.allocation.methods import METHODS, WITHOUT_VIEWS
from koinon.treasury.allocation.prices import Prices, read_prices, sp500_prices
from koinon.treasury.api import Treasury
from koinon.treasury.cli_vaults import vault
from koinon.treasury.shown import show_report, show_weights

SAMPLE = "sp500"


@click.group()
def group() -> None:
    """Vaults within bounds, and the methods that allocate them, tried beside equal weight."""


group.add_command(vault)


def load(source: str) -> Prices:
    """A file of prices, or the sample by its name."""
    return sp500_prices() if source == SAMPLE and not Path(source).exists() else read_prices(Path(source))


@group.command()
@click.argument("prices", nargs=-1, required=True)
@click.option(
    "--method", "methods", multiple=True, help=f"Of {', '.join(WITHOUT_VIEWS)}. [default: all of them]"
)
@click.option("--train", default=504, show_default=True, help="Rows to learn from.")
@click.option("--step", default=63, show_default=True, help="Rows between rebalancings.")
@click.option("--embargo", default=1, show_default=True, help="Rows left out between learning and testing.")
@click.option("--cost-bps", default=30.0, show_default=True, help="What a trade costs, in 1e-4 of it.")
@click.option("--last", type=int, help="Only so many newest rows.")
@click.option("--folds", default=0, help="Add combinatorial purged cross-validation with so many parts.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@click.option("--keep-for", default="", metavar="VAULT", help="Show the report on this vault's page.")
@json_option
@click.pass_obj
def backtest(
    session: Session,
    *,
    prices: tuple[str, ...],
    methods: tuple[str, ...],
    train: int,
    step: int,
    embargo: int,
    cost_bps: float,
    last: int | None,
    folds: int,
    seed: int,
    keep_for: str,
) -> None:
    """Try methods on PRICES (CSV or Parquet files: dates, then one column an asset; or "sp500", skfolio's
    sample), always beside equal weight, with costs and intervals."""
    unknown = sorted(set(methods) - set(WITHOUT_VIEWS))
    if unknown:
        raise BadInput(
            f"{unknown[0]} cannot be tried on prices alone.",
            hint=f"Known: {', '.join(WITHOUT_VIEWS)}.",
            code="treasury.method",
        )
    plan = Plan(train, step, embargo, cost_bps, seed)
    reports = []
    for source in prices:
        table = load(source)
        found = table.last(last) if last else table
        reports.append(Treasury.backtest(found, methods or WITHOUT_VIEWS, plan, folds=folds))
    documents = [report.to_dict() for report in reports]
    if keep_for:
        with session.node() as node:
            treasury = Treasury.of(node)
            treasury.reports.keep(treasury.vault(keep_for).address, reports[-1])

    def show(terminal: Terminal) -> None:
        for report in reports:
            show_report(terminal, report)

    session.terminal.result(documents[0] if len(documents) == 1 else {"reports": documents}, show)


@group.command()
@click.argument("prices")
@click.option("--method", default=METHODS[0], show_default=True, help=f"Of {', '.join(METHODS)}.")
@click.option("--rows", default=504, show_default=True, help="How many of the newest returns it learns from.")
@click.option("--views", default="", help="The address of a model's service that says what it expects.")
@click.option("--limit", default="1", show_default=True, help="Most coins that asking may cost.")
@click.option("--mandate", type=click.Path(path_type=Path), help="Spend under this mandate, no --limit.")
@json_option
@click.pass_obj
def allocate(
    session: Session, *, prices: str, method: str, rows: int, views: str, limit: str, mandate: Path | None
) -> None:
    """Say what a method would hold now, learnt from PRICES; with a model's views for black-litterman."""
    table = load(prices)
    if not views:
        weights = Treasury.allocate(table, method, rows=rows)
        session.terminal.result(
            {"method": method, "weights": weights}, lambda terminal: show_weights(terminal, method, weights)
        )
        return
    from koinon.treasury.buying import open_buyer  # noqa: PLC0415  (only who buys opens a node)

    with session.node() as node, open_buyer(node, limit, mandate) as buyer:
        bought = Treasury.of(node).ask_views(buyer, views, table)
    weights = Treasury.allocate(table, method, views=bought.views, rows=rows)
    session.terminal.result(
        {"method": method, "weights": weights, "views": bought.to_dict()},
        lambda terminal: show_weights(terminal, method, weights, bought),
    )
