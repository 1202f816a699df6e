# SPDX-License-Identifier: Apache-2.0
"""What people see on a terminal, and what programs read instead.

A command gets a `Session` as click's context object and prints through ``session.terminal``: rich text for
people, one JSON document for programs that ask with ``--json``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from koinon.errors import KoinonError
from koinon.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

TEST_MONEY = {"en": "test money, worth nothing", "zh-Hant": "測試幣，沒有價值"}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
REAL_MONEY = {"en": "REAL MONEY", "zh-Hant": "真實貨幣"}


class Terminal:
    """Prints results to ``stdout``, everything else to ``stderr``.

    Parameters
    ----------
    json_output : bool
        Results and errors as JSON, and nothing else.
    language : str
        ``en`` or ``zh-Hant``.
    """

    def __init__(
        self,
        *,
        json_output: bool = False,
        language: str = "en",
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.json_output = json_output
        self.language = language
        self.stdout = Console(file=stdout or sys.stdout, highlight=False, soft_wrap=True)
        self.stderr = Console(file=stderr or sys.stderr, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line for people (rich markup); silent with ``--json``."""
        if not self.json_output:
            self.stdout.print(_still(text))
            self.stdout.file.flush()  # a service's first line is read while it runs

    def note(self, text: str) -> None:
        """A line beside the result, on stderr; silent with ``--json``."""
        if not self.json_output:
            self.stderr.print(_still(text))

    def result(self, value: Any, show: Callable[[Terminal], None] | None = None) -> None:
        """The command's answer: ``value`` as JSON, or ``show(self)`` for people (without it, ``value``)."""
        if self.json_output:
            self.stdout.file.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
            self.stdout.file.flush()
        elif show is not None:
            show(self)
        else:
            self.stdout.print_json(json.dumps(value, ensure_ascii=False, default=str))

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        right: Sequence[int] = (),
        footer: Sequence[object] | None = None,
    ) -> None:
        """A table for people; the columns whose numbers are in ``right`` are aligned right."""
        if self.json_output:
            return
        table = Table(
            title=title or None,
            title_justify="left",
            title_style="bold",
            show_footer=footer is not None,
            box=SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
        )
        for number, name in enumerate(columns):
            table.add_column(
                escape(name),
                justify="right" if number in right else "left",
                footer=escape(str(footer[number])) if footer else "",
            )
        for row in rows:
            table.add_row(*(escape(_still(str(cell))) for cell in row))
        self.stdout.print(table)

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A bar with the time left; yields ``advance(steps)``. Unwatched, it says one line at the end."""
        if self.json_output or not self.stderr.is_terminal:
            yield lambda _steps: None
            self.note(f"[dim]· {escape(description)}[/dim]")
            return
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.stderr,
        )
        with bar:
            task = bar.add_task(escape(description), total=total)
            yield lambda steps: bar.advance(task, steps)
            if total is None:
                bar.update(task, total=1, completed=1)

    def banner(self, network: str, *, test_money: bool) -> None:
        """The network's name, and whether its money is real: on every command."""
        money = (TEST_MONEY if test_money else REAL_MONEY)[self.language]
        style = "black on yellow" if test_money else "bold white on red"
        self.note(f"[{style}] {escape(network)} · {money} [/{style}]")

    def error(self, error: KoinonError) -> None:
        """The sentence and its hint on stderr; RFC 9457 problem details with ``--json``."""
        if self.json_output:
            self.stderr.file.write(json.dumps(error.problem(), ensure_ascii=False) + "\n")
            self.stderr.file.flush()
            return
        self.stderr.print(f"[bold red]{escape(_still(error.message))}[/bold red]")
        if error.hint:
            self.stderr.print(f"  {escape(_still(error.hint))}")
        self.stderr.print(f"  [dim]{escape(error.code)}[/dim]")


def _still(text: str) -> str:
    """Without what moves a terminal's cursor or changes its settings: much that is shown is others' words."""
    return _CONTROLS.sub("", text)


@dataclass
class Session:
    """What every command is given: ``@click.pass_obj def command(session: Session, ...)``."""

    settings: Settings
    terminal: Terminal
    debug: bool = False
    opener: Callable[[Settings], AbstractContextManager[Any]] | None = None
    brought: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def bring(self, name: str) -> Any:
        """What a higher floor brings to a command of a lower one, such as lenders to the market simulator;
        None where it brings nothing."""
        return self.brought[name]() if name in self.brought else None

    def node(self) -> AbstractContextManager[Any]:
        """This machine's node, to be used with ``with``: its chain, content store and operator's key.

        Domains stand below the node and do not import it; the root command hands them this.
        """
        if self.opener is None:
            raise KoinonError("No node can be opened here.", code="koinon.no_node")
        return self.opener(self.settings)


def json_option(command: Command) -> Command:
    """Adds ``--json`` to a command: its answer and its errors become JSON."""

    def switch(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value and isinstance(context.obj, Session):
            context.obj.terminal.json_output = True

    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=switch,
        help="Answer with one JSON document.",
    )
    return option(command)
