# SPDX-License-Identifier: Apache-2.0
"""The ``koinon`` command: mounts each domain's commands and turns errors into a sentence and an exit status.

Domains are imported when one of their commands is asked for, so ``koinon --help`` starts in no time and a
process that only signs or serves never loads what it does not use.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from koinon import __version__
from koinon.errors import KoinonError, UsageError
from koinon.settings import Settings
from koinon.terminal import Session, Terminal, json_option

INTERRUPTED = 130
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h: a fault of ours, never a status of the error tree


@dataclass(frozen=True)
class Mount:
    """Where a command lives, and what the list of commands says about it."""

    module: str
    attribute: str
    summary: str

    def present(self) -> bool:
        """Whether its file is there; `find_spec` would import every package it lies in."""
        top, *rest = self.module.split(".")
        spec = importlib.util.find_spec(top)
        folders = (spec.submodule_search_locations or ()) if spec is not None else ()
        paths = [Path(folder, *rest) for folder in folders]
        return any(path.with_suffix(".py").is_file() or (path / "__init__.py").is_file() for path in paths)

    def load(self) -> click.Command:
        command = getattr(importlib.import_module(self.module), self.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.module}:{self.attribute} is not a command")
        return command


MOUNTS = {
    "up": Mount("koinon.up.cli", "up", "Run a node: chain, index, gateway and the console's pages."),
    "down": Mount("koinon.up.cli", "down", "Stop it."),
    "status": Mount("koinon.up.cli", "status", "What runs here, and where."),
    "tour": Mount("koinon.tour", "command", "Five lenders teach a model, sell it and are all paid."),
    "learn": Mount("koinon.learning.cli", "group", "Teach a model together without showing anyone the data."),
    "data": Mount("koinon.data.cli", "group", "Sell computing on your data; compute on others'."),
    "service": Mount("koinon.services.cli", "group", "Publish a function or model; be paid for every call."),
    "call": Mount("koinon.services.buying.cli", "call", "Use a service and pay for the call."),
    "coins": Mount(
        "koinon.services.buying.pocket_cli",
        "command",
        "Test coins for an account, where money is test money.",
    ),
    "mandate": Mount("koinon.services.mandates.cli", "group", "Say what a program may spend; stop it."),
    "adopt": Mount("koinon.services.adopting.cli", "adopt", "Make a Work of what stands elsewhere already."),
    "lineage": Mount("koinon.services.lineage.cli", "group", "Find copies of your Works; stake and claim."),
    "agent": Mount("koinon.agents.cli", "group", "Make and run agents; ask them and tell them something."),
    "job": Mount("koinon.services.jobs.cli", "group", "Commission work; do it; judge it: money in escrow."),
    "markets": Mount("koinon.markets.cli", "group", "Pairs, prices and routes; a market to try things on."),
    "lending": Mount("koinon.lending.cli", "group", "Scores with reasons, quotes, pools and their risk."),
    "treasury": Mount("koinon.treasury.cli", "group", "Vaults within bounds, their allocators, arbitrage."),
    "watch": Mount(
        "koinon.watch.cli", "group", "Laundering, abnormal behaviour, liquidity: cases and alerts."
    ),
    "backup": Mount("koinon.backup.cli", "backup", "Put this node into one encrypted file, while it runs."),
    "restore": Mount("koinon.backup.cli", "restore", "Make a data directory from such a file."),
    "network": Mount("koinon.networks.cli", "group", "Put Koinon on a chain, join a network, check one."),
    "sql": Mount("koinon.chain.index.cli", "sql", "Ask the chain's events in SQL."),
    "index": Mount("koinon.chain.index.cli", "group", "The index of events: status, more contracts, checks."),
    "works": Mount("koinon.works.cli", "group", "Look at a Work, its shares and its income; collect yours."),
    "store": Mount("koinon.store.cli", "group", "Carry blocks from one store to another in a file."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        mounted = [name for name, mount in MOUNTS.items() if mount.present()]
        return mounted + sorted(super().list_commands(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        mount = MOUNTS.get(cmd_name)
        if mount is not None and mount.present():
            return mount.load()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in MOUNTS:
                rows.append((name, MOUNTS[name].summary))
            elif (command := super().get_command(ctx, name)) is not None:
                rows.append((name, command.get_short_help_str(limit=100)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, "--version", prog_name="koinon", message="%(prog)s %(version)s")
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), help="Data directory [KOINON_HOME]."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@json_option
@click.pass_context
def root(context: click.Context, home: Path | None, debug: bool) -> None:
    """Publish a dataset, model, service or artwork; every use is paid, every payment is shared."""
    session: Session = context.obj
    session.debug = session.debug or debug
    if home is not None:
        session.settings = Settings.load(home=home)
    new = context.invoked_subcommand == "network" and not session.settings.network.exists()
    if context.invoked_subcommand != "doctor" and not new:
        show_network(session)


def simulated_lenders() -> Any:
    """Lending's pools for simulated markets."""
    from koinon.lending.simulated import open_pools  # noqa: PLC0415  (so that other commands start without it)

    return open_pools


def opened_after_filling() -> Any:
    """What a filled chain gets besides: a credit pool whose scores its operator signs, a vault that lends."""
    from koinon.lending.opening import open_pool  # noqa: PLC0415  (so that other commands start without it)
    from koinon.treasury.opening import open_vault  # noqa: PLC0415  (so that other commands start without it)

    def opened(node: Any, feed: str) -> dict[str, str]:
        pool = open_pool(node, feed)
        return {"credit pool": pool, "vault": open_vault(node, feed, pool)}

    return opened


def buyer() -> Any:
    """Who pays a service for its answers, within a limit or a mandate."""
    from koinon.treasury.buying import open_buyer  # noqa: PLC0415  (so that other commands start without it)

    return open_buyer


BROUGHT = {
    "buyer": buyer,
    "opened after filling": opened_after_filling,
    "simulated lenders": simulated_lenders,
}


def open_node(settings: Settings) -> AbstractContextManager[Any]:
    """A node for a command: the devnet starts, or is attached to where it runs already."""
    from koinon.node import Node  # noqa: PLC0415  (so that other commands start without it)

    return Node.open(settings)


def show_network(session: Session) -> None:
    """Name the network and say whether its money is real, before anything else is said."""
    try:
        network = json.loads(session.settings.network.read_text(encoding="utf-8"))
        label = f"{network['name']} (chain {int(network['chain_id'])})"
        session.terminal.banner(label, test_money=network["test_money"] is True)
    except FileNotFoundError:
        if session.settings.rpc_url is None:
            session.terminal.banner("Koinon devnet", test_money=True)
    except (OSError, ValueError, KeyError, TypeError):
        session.terminal.note(f"[yellow]{session.settings.network} does not name a network.[/yellow]")


@root.command()
@json_option
@click.pass_obj
def doctor(session: Session) -> None:
    """Say what this machine has, what it lacks, and how to get it."""
    from koinon.doctor import examine, show  # noqa: PLC0415  (a process that serves never needs it)

    checks = examine(session.settings, os.environ)
    session.terminal.result([check.document() for check in checks], lambda terminal: show(checks, terminal))
    if any(check.required and not check.fine for check in checks):
        raise click.exceptions.Exit(3)


@root.group()
def chain() -> None:
    """The development chain."""


@chain.command()
@json_option
@click.pass_obj
def install(session: Session) -> None:
    """Fetch anvil, the development chain, from npm into this user's cache."""
    from koinon.chain.anvil import install_anvil  # noqa: PLC0415  (so that other commands start without it)

    path = install_anvil()
    session.terminal.result({"anvil": str(path)}, lambda terminal: terminal.say(f"anvil is at {path}."))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status and never lets a traceback out without ``--debug``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    before_arguments = given[: given.index("--")] if "--" in given else given
    # Read ahead: an error before click has read these still has to be printed the way they ask.
    terminal = Terminal(json_output="--json" in before_arguments)
    debug = "--debug" in before_arguments
    try:
        settings = Settings.load()
        terminal.language = settings.language
        session = Session(settings, terminal, debug, open_node, BROUGHT)
        status = root.main(given, prog_name="koinon", standalone_mode=False, obj=session)
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        terminal.note("[dim]Stopped.[/dim]")
        return INTERRUPTED
    except click.ClickException as error:
        return _report(terminal, debug, _from_click(error))
    except KoinonError as error:
        return _report(terminal, debug, error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more
        return 0
    except Exception as error:
        fault = KoinonError(
            f"Something went wrong that should not have ({type(error).__name__}).",
            hint="Run the same command with --debug and report what it prints.",
            code="koinon.unexpected",
        )
        fault.__cause__ = error
        return _report(terminal, debug, fault, UNEXPECTED)
    return status if isinstance(status, int) else 0


def _from_click(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    hint = f"See: {context.command_path} --help" if context is not None else "See: koinon --help"
    return UsageError(error.format_message(), hint=hint, code="usage.command_line")


def _report(terminal: Terminal, debug: bool, error: KoinonError, status: int | None = None) -> int:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    terminal.error(error)
    return error.exit_status if status is None else status
