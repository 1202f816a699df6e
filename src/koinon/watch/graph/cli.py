# SPDX-License-Identifier: Apache-2.0
"""``koinon watch features``: what is known of both ends of each transfer, for one's own models."""

from __future__ import annotations

from pathlib import Path

import click

from koinon.compute import executor
from koinon.errors import BadInput
from koinon.terminal import Session, json_option
from koinon.watch.graph.importing import Columns, read_edges
from koinon.watch.graph.spreading import save_features, spread_features, write_features
from koinon.watch.graph.windows import column_names

columns_option = click.option(
    "--columns",
    default="source,target,timestamp,amount",
    show_default=True,
    help="What the file calls payer, payee, time and amount.",
)


def named_columns(text: str) -> Columns:
    """What ``--columns`` says; `BadInput` where it does not name four."""
    names = [each.strip() for each in text.split(",")]
    if len(names) != 4 or not all(names):
        raise BadInput("--columns names four columns: payer, payee, time, amount.", code="watch.file")
    return Columns(*names)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@columns_option
@click.option(
    "--parts",
    type=click.IntRange(1),
    help="Divide accounts among so many tasks: of processes here, or of a Dask scheduler's workers where "
    "KOINON_DASK_SCHEDULER names one. Without it one process sweeps the file in bounded memory.",
)
@json_option
@click.pass_obj
def features(session: Session, file: Path, folder: Path, *, columns: str, parts: int | None) -> None:
    """Write the point-in-time columns of FILE's transfers to FOLDER, as Parquet.

    A transfer's columns say what its payer and its payee had paid and received up to that moment, in windows
    from an hour to a week; later transfers change nothing.
    """
    named = named_columns(columns)
    if parts is None:
        rows = write_features(file, folder, named)
    else:
        edges = read_edges(file, named)
        with executor(session.settings) as pool:
            found = spread_features(edges, pool, parts)
        rows = save_features(edges, found, folder)
    written = ("row", "timestamp", "amount", *column_names())
    session.terminal.result(
        {"rows": rows, "folder": str(folder), "columns": written},
        lambda terminal: terminal.say(f"{rows:,} transfers, {len(written)} columns, in {folder}."),
    )
