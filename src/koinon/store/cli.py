# SPDX-License-Identifier: Apache-2.0
"""``koinon store …``: carry blocks from one store to another in a CAR file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from koinon.store.archive import export_blocks, import_blocks
from koinon.store.opening import open_store
from koinon.terminal import Session, json_option


@click.group()
def group() -> None:
    """Keep bytes by their content; carry them elsewhere in a file."""


@group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("cids", nargs=-1, required=True, metavar="CID...")
@json_option
@click.pass_obj
def export_command(session: Session, *, file: Path, cids: tuple[str, ...]) -> None:
    """Write the blocks CID... to the archive FILE (CAR version 1)."""
    size = export_blocks(open_store(session.settings, session.settings.peers), cids, file)
    blocks = len(set(cids))
    session.terminal.result(
        {"file": str(file), "blocks": blocks, "bytes": size},
        lambda terminal: terminal.say(f"{blocks} blocks, {size} bytes, in {file}"),
    )


@group.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def import_command(session: Session, *, file: Path) -> None:
    """Keep the blocks of the archive FILE (CAR version 1 or 2), each checked by its CID."""
    session.settings.ensure_home()
    imported = import_blocks(open_store(session.settings), file)
    session.terminal.result(
        asdict(imported),
        lambda terminal: terminal.say(
            f"{imported.kept} blocks kept, {imported.kept_bytes} bytes"
            + "".join(f"\n{count} passed over: {kind}" for kind, count in imported.passed_over.items())
        ),
    )
