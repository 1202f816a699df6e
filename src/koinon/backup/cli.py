# SPDX-License-Identifier: Apache-2.0
"""``koinon backup`` and ``koinon restore``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from koinon.backup.api import back_up
from koinon.backup.api import restore as restore_to
from koinon.backup.archive import Secret
from koinon.errors import BadInput, KeyFault
from koinon.terminal import Session, json_option

PASSWORD_VARIABLE = "KOINON_BACKUP_PASSWORD"  # noqa: S105  (its name)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--to", "recipient", default="", help="Seal for an age recipient (age1…), not by password.")
@json_option
@click.pass_obj
def backup(session: Session, file: Path, recipient: str) -> None:
    """Write this node's data directory to one encrypted FILE, while it runs.

    The password is KOINON_BACKUP_PASSWORD, or asked for.
    """
    secret = Secret(recipient=recipient) if recipient else Secret(password=_password(confirm=True))
    manifest = back_up(session.settings.home, file, secret)
    size = file.stat().st_size
    session.terminal.result(
        {"file": str(file), "files": len(manifest.files), "bytes": size, "made_at": manifest.made_at},
        lambda terminal: terminal.say(
            f"{len(manifest.files):,} files are in [bold]{file}[/bold] ({size:,} bytes). Keep its password "
            "elsewhere: without it nobody can open it."
        ),
    )


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Where to [KOINON_HOME].")
@click.option(
    "--identity", type=click.Path(dir_okay=False, path_type=Path), help="File of the age identity it is for."
)
@json_option
@click.pass_obj
def restore(session: Session, file: Path, home: Path | None, identity: Path | None) -> None:
    """Put what a backup FILE holds into a new data directory."""
    target = (home or session.settings.home).expanduser().absolute()
    secret = Secret(password=_password()) if identity is None else Secret(identity=_identity(identity))
    manifest = restore_to(file, target, secret)
    session.terminal.result(
        {"home": str(target), "files": len(manifest.files), "made_at": manifest.made_at},
        lambda terminal: terminal.say(
            f"{len(manifest.files):,} files are in [bold]{target}[/bold]. Start it: koinon --home {target} up"
        ),
    )


def _password(*, confirm: bool = False) -> str:
    given = os.environ.get(PASSWORD_VARIABLE, "")
    if not given:
        given = str(click.prompt("Backup password", hide_input=True, confirmation_prompt=confirm, err=True))
    if not given.strip():
        raise BadInput("The backup password is empty.", hint="Choose one.", code="backup.password")
    return given


def _identity(path: Path) -> str:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        raise KeyFault(
            f"The identity {path} cannot be read.",
            hint="Give the file age-keygen wrote.",
            code="backup.identity",
        ) from None
    return next((line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")), "")
