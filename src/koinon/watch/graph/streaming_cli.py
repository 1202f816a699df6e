# SPDX-License-Identifier: Apache-2.0
"""``koinon watch stream``: each payment of the chain, once, with what was known when it happened."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import click

from koinon.terminal import Session, Terminal, json_option
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.following import CONFIRMATIONS, IndexStream
from koinon.watch.graph.windows import Features, column_names


@click.command()
@click.option(
    "--confirmations",
    default=CONFIRMATIONS,
    show_default=True,
    type=click.IntRange(0),
    help="How many blocks stand on a block before it is read.",
)
@click.option("--table", default="coin_transfer", show_default=True, help="The index's table of transfers.")
@click.option("--decimals", type=click.IntRange(0), help="Of the token. [default: the coin's]")
@click.option("--every", type=click.FloatRange(1), help="Go on, looking again after so many seconds.")
@json_option
@click.pass_obj
def stream(
    session: Session, *, confirmations: int, table: str, decimals: int | None, every: float | None
) -> None:
    """Payments of this node's chain as they are confirmed, with their point-in-time columns (--json)."""
    with session.node() as node:
        digits = int(node.chain.coin.call("decimals")) if decimals is None else decimals
        following = IndexStream(node.index, table, decimals=digits, confirmations=confirmations)
        while True:
            node.index.sync()
            edges, columns = following.advance()
            document = {"through": following.through, "transfers": _rows(edges, columns)}
            session.terminal.result(document, partial(_show, document=document))
            if every is None:
                return
            time.sleep(every)


def _show(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.say(f"{len(document['transfers']):,} payments, through block {document['through']:,}.")


def _rows(edges: Edges, columns: Features) -> list[dict[str, Any]]:
    names = column_names()
    return [
        {
            **{key: value for key, value in row.items() if key != "row"},
            "columns": dict(zip(names, told, strict=True)),
        }
        for row, told in zip(edges.rows(range(len(edges))), columns.tolist(), strict=True)
    ]
