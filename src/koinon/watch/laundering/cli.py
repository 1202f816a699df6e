# SPDX-License-Identifier: Apache-2.0
"""``koinon watch taint`` and ``koinon watch neighbours``: where listed money went, and what a graph adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.errors import BadInput, NotFound
from koinon.terminal import Session, Terminal, json_option
from koinon.watch.api import ROOM, Watch
from koinon.watch.graph.cli import columns_option, named_columns
from koinon.watch.graph.importing import read_edges, read_labelled
from koinon.watch.laundering.clusters import clusters
from koinon.watch.laundering.neighbours import compare
from koinon.watch.laundering.planted import plant
from koinon.watch.laundering.taint import METHODS, UNIT, follow

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--from", "origins", multiple=True, metavar="ACCOUNT", help="Whose money. Repeat it.")
@click.option("--listed", is_flag=True, help="Everybody's who is on a list that was added.")
@click.option("--method", type=click.Choice(METHODS), default="haircut", show_default=True)
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="Accounts to show.")
@columns_option
@json_option
@click.pass_obj
def taint(
    session: Session,
    *,
    file: Path,
    origins: tuple[str, ...],
    listed: bool,
    method: str,
    most: int,
    columns: str,
) -> None:
    """Follow the money of some accounts through the transfers in FILE, to the unit."""
    if not origins and not listed:
        raise BadInput("Say whose money: --from ACCOUNT, or --listed.", code="watch.taint")
    edges = read_edges(file, named_columns(columns))
    wanted = {each.lower() for each in origins}
    if listed:
        with Watch(session.settings.home / ROOM) as watch:
            wanted |= {address for each in watch.lists.all() for address in each.listed.addresses}
    sources = [number for number, name in enumerate(edges.names) if name.lower() in wanted]
    if not sources:
        raise NotFound(
            "None of these accounts is in the file.",
            hint="Names are compared as the file writes them, capitals aside.",
            code="watch.taint",
        )
    found = follow(edges, sources, method=method)
    held = sorted(found.held.items(), key=lambda each: (-each[1], each[0]))
    document = {
        "transfers": len(edges),
        "method": method,
        "from": [edges.name(number) for number in sources],
        "released": found.released / UNIT,
        "held": [
            {
                "account": edges.name(number),
                "tainted": units / UNIT,
                "share": found.share(number),
            }
            for number, units in held
        ],
    }
    session.terminal.result(document, lambda terminal: _show_taint(terminal, document, most))


@click.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--label", default="illicit", show_default=True, help="The column that says what is illicit.")
@click.option("--simulated", is_flag=True, help="Simulated transfers instead of a file.")
@columns_option
@click.option("--seed", default=0, show_default=True)
@json_option
@click.pass_obj
def neighbours(
    session: Session, *, file: Path | None, label: str, simulated: bool, columns: str, seed: int
) -> None:
    """Does a graph neural network see more with its neighbours than without, on the later transfers of FILE?

    It needs torch. Nothing in the watch depends on it.
    """
    if (file is None) != simulated:
        raise BadInput("Give a file, or --simulated.", code="watch.file")
    if file is None:
        planted = plant(seed=seed, patterns=96)
        edges, illicit, patterns = planted.edges, planted.illicit, planted.pattern
        data = f"simulated transfers with planted laundering; not a real chain (seed {seed})"
    else:
        edges, illicit, _ = read_labelled(file, label, named_columns(columns))
        patterns, data = clusters(edges, illicit), f"the file {file.name}"
    found = compare(edges, illicit, patterns, seed=seed)
    document = {"data": data, "pr_auc": {kind: each.to_dict(4) for kind, each in found.items()}}
    session.terminal.result(document, lambda terminal: _show_neighbours(terminal, document))


SEES: Final = {"neighbours": "its neighbours", "none": "no neighbours", "shuffled": "wrong neighbours"}
COMMANDS: Final = (taint, neighbours)
"""Of the group ``koinon watch``."""


def _show_taint(terminal: Terminal, document: dict[str, Any], most: int) -> None:
    held = document["held"]
    terminal.say(
        f"{document['released']:,.2f} left {len(document['from'])} accounts and is held by {len(held):,} "
        f"({document['method']}, {document['transfers']:,} transfers)."
    )
    if held:
        terminal.table(
            "" if len(held) <= most else f"The {most} that hold most",
            ("Account", "Of it", "Of what it holds"),
            [
                (escape(each["account"]), f"{each['tainted']:,.2f}", f"{each['share']:.1%}")
                for each in held[:most]
            ],
            right=(1, 2),
        )


def _show_neighbours(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.say(f"[bold]{escape(document['data'])}[/bold]")
    terminal.table(
        "On later transfers",
        ("The network sees", "PR-AUC (95 %)"),
        [
            (
                SEES[kind],
                f"{each['value']:.2f} ({each['low']:.2f} to {each['high']:.2f})",
            )
            for kind, each in document["pr_auc"].items()
        ],
        right=(1,),
    )
