# SPDX-License-Identifier: Apache-2.0
"""``koinon up``, ``koinon down`` and ``koinon status``."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.markup import escape

from koinon.chain.address import checksum
from koinon.chain.index import EventIndex
from koinon.chain.joining import join
from koinon.chain.rpc import Rpc
from koinon.errors import KoinonError, SetupError
from koinon.settings import Settings
from koinon.terminal import Session, Terminal, json_option
from koinon.up import record
from koinon.up.log import LOG, Log
from koinon.up.record import Running

START_S: Final = 180.0
STOP_S: Final = 60.0


@click.command()
@click.option("--detach", is_flag=True, help="Leave it running in the background; `koinon down` stops it.")
@click.option(
    "--join",
    "join_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Take part in the network that this signed file describes.",
)
@click.option("--signer", metavar="ADDRESS", help="With --join: only if this account signed the file.")
@click.option("--tell", type=int, hidden=True, help="A file descriptor that is told when everything runs.")
@json_option
@click.pass_obj
def up(
    session: Session, *, detach: bool, join_file: Path | None, signer: str | None, tell: int | None
) -> None:
    """Run this machine's node: chain, index, gateway, its datasets' node, its agents and the pages."""
    settings = session.settings
    if join_file is not None:
        join(settings, join_file, signer=None if signer is None else checksum(signer))
    settings.ensure_home()
    if tell is not None:
        _run_in_the_background(session, tell)
        return
    there = _already(settings)
    if there is not None:
        _show_already(session, there)
    elif detach:
        _detach(session)
    else:
        with record.alone(settings.home) as alone:
            if not alone:
                raise _starting(settings)
            _run(session, settings)


@click.command()
@json_option
@click.pass_obj
def down(session: Session) -> None:
    """Stop the node that `koinon up` started; it settles what it holds first."""
    home = session.settings.home
    pid = record.holder(home)
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_S
        while record.holder(home) == pid:
            if time.monotonic() > end:
                raise SetupError(
                    f"Process {pid} has not ended in {STOP_S:.0f} s.",
                    hint=f"Look at {home / LOG}; `kill -9 {pid}` loses nothing that was acknowledged.",
                    code="up.not_ended",
                )
            time.sleep(0.05)
    session.terminal.result(
        {"stopped": pid},
        lambda terminal: terminal.say("It has stopped." if pid else "Nothing was running here."),
    )


@click.command()
@json_option
@click.pass_obj
def status(session: Session) -> None:
    """Say what runs here, where, and how far the index is behind the chain."""
    found = examine(session.settings)
    session.terminal.result(found, lambda terminal: _show_status(terminal, found))


def examine(settings: Settings) -> dict[str, Any]:
    """What runs in a data directory; block, index and lag are None where they cannot be known."""
    there = record.running(settings.home)
    if there is None:
        starting = record.holder(settings.home) is not None
        return {"running": False, "starting": starting, "home": str(settings.home)}
    block = index = None
    with suppress(KoinonError), Rpc(settings.rpc_url or there.rpc_url, timeout_s=5) as rpc:
        block = int(rpc.call("eth_blockNumber"), 16)
    with suppress(KoinonError), EventIndex.open(settings) as opened:
        head = opened.head()
        index = None if head is None else head.number
    return {
        "running": True,
        "home": str(settings.home),
        **asdict(there),
        "block": block,
        "indexed": index,
        "lag": None if block is None or index is None else max(0, block - index),
        "gateway_alive": there.gateway_pid > 0 and Path(f"/proc/{there.gateway_pid}").exists(),
        "data_alive": there.data_pid > 0 and Path(f"/proc/{there.data_pid}").exists(),
        "agents_alive": there.agents_pid > 0 and Path(f"/proc/{there.agents_pid}").exists(),
        "watch_alive": there.watch_pid > 0 and Path(f"/proc/{there.watch_pid}").exists(),
    }


def _run(session: Session, settings: Settings) -> None:
    from koinon.up.run import Ready, run  # noqa: PLC0415  (`down` and `status` start without it)

    terminal = session.terminal

    def ready(found: Ready) -> None:
        document = {**asdict(found.running), "operator_link": found.link.url, "read_only": found.read_only}
        terminal.result(document, lambda _: _show_ready(terminal, document))
        terminal.say("Ctrl-C settles and stops it.")

    run(settings, lambda sentence: terminal.note(f"[dim]· {escape(sentence)}[/dim]"), ready)


def _run_in_the_background(session: Session, tell: int) -> None:
    """What `--detach` starts: everything into the log, one line to who waits."""
    from koinon.up.run import Ready, run  # noqa: PLC0415

    settings = session.settings
    log = Log(settings.home / LOG)

    def say(sentence: str) -> None:
        log.turn()
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")
        sys.stderr.flush()

    def ready(found: Ready) -> None:
        say(f"Ready: {found.running.console}")
        document = {**asdict(found.running), "operator_link": found.link.url, "read_only": found.read_only}
        _tell(tell, {"event": "ready", **document})

    try:
        with record.alone(settings.home) as alone:
            if not alone:
                raise _starting(settings)
            say("Starting.")
            run(settings, say, ready)
            say("Stopped.")
    except KoinonError as error:
        _tell(tell, {"event": "failed", "hint": error.hint, "kind": type(error).__name__, **error.problem()})
        say(f"{error.message} {error.hint}")
        raise


def _detach(session: Session) -> None:
    settings = session.settings
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "koinon", "--home", str(settings.home), "up", "--tell", str(writing)]
    (settings.home / LOG).touch(mode=0o600)
    with (settings.home / LOG).open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
            start_new_session=True,
            cwd="/",
        )
    os.close(writing)
    try:
        said = _first_line(reading, START_S)
    finally:
        os.close(reading)
    if said.get("event") == "ready":
        said.pop("event")
        session.terminal.result({**said, "detached": True}, lambda terminal: _show_ready(terminal, said))
        session.terminal.say(f"It runs in the background; its log is {escape(str(settings.home / LOG))}.")
        return
    with suppress(subprocess.TimeoutExpired):
        child.wait(1)
    if child.poll() is None and not said:
        hint = f"It goes on trying; look at {settings.home / LOG}, or stop it with: koinon down"
        raise SetupError(f"The node is not ready after {START_S:.0f} s.", hint=hint, code="up.slow")
    raise SetupError(
        str(said.get("title", "The node ended as it started.")),
        hint=str(said.get("hint") or f"Look at {settings.home / LOG}."),
        code=str(said.get("code", "up.failed")),
    )


def _first_line(descriptor: int, timeout_s: float) -> dict[str, Any]:
    """The first line that is written, as JSON; nothing where the writer ends or time is up."""
    text, end = b"", time.monotonic() + timeout_s
    while b"\n" not in text:
        left = end - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return {}
        part = os.read(descriptor, 65_536)
        if not part:
            return {}
        text += part
    found: dict[str, Any] = orjson.loads(text.split(b"\n", 1)[0])
    return found


def _tell(descriptor: int, document: dict[str, Any]) -> None:
    with suppress(OSError):  # whoever waited has gone
        os.write(descriptor, orjson.dumps(document) + b"\n")
        os.close(descriptor)


def _already(settings: Settings) -> Running | None:
    """What runs here; waits for one that is starting."""
    end = time.monotonic() + START_S
    while record.holder(settings.home) is not None:
        there = record.running(settings.home)
        if there is not None:
            return there
        if time.monotonic() > end:
            raise _starting(settings)
        time.sleep(0.1)
    return None


def _starting(settings: Settings) -> SetupError:
    return SetupError(
        "Another `koinon up` is starting in this data directory.",
        hint=f"Wait until it is ready; its log is {settings.home / LOG}.",
        code="up.starting",
    )


def _show_already(session: Session, there: Running) -> None:
    from koinon.console.operator import operator_link  # noqa: PLC0415  (only `up` makes links)

    link = operator_link(session.settings, there.console)
    document = {**asdict(there), "operator_link": link.url, "already": True}

    def show(terminal: Terminal) -> None:
        terminal.say(f"Koinon runs here already, as process {there.pid}.")
        _show_ready(terminal, document)

    session.terminal.result(document, show)


def _show_ready(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.say(f"\nOpen [bold]{escape(document['console'])}[/bold]")
    terminal.say(f"  as operator, once: {escape(document['operator_link'])}")
    if document["gateway"]:
        terminal.say(f"  the gateway sells at {escape(document['gateway'])}")
    terminal.say(f"  the chain answers at {escape(document['rpc_url'])}")


def _show_status(terminal: Terminal, found: dict[str, Any]) -> None:
    if not found["running"]:
        terminal.say("It is starting." if found["starting"] else "Nothing runs here. Start it: koinon up")
        return
    unknown = "not known now"
    rows: list[tuple[str, object]] = [
        ("Pages", found["console"]),
        ("Gateway", f"{found['gateway']} ({'runs' if found['gateway_alive'] else 'is starting again'})"),
        ("Datasets", f"{found['data']} ({'served' if found['data_alive'] else 'none is served now'})"),
        ("Agents", f"{found['agents']} ({'run' if found['agents_alive'] else 'none runs now'})"),
        ("Watch", "runs" if found["watch_alive"] else "is starting again"),
        ("Chain", found["rpc_url"]),
        ("Block", unknown if found["block"] is None else found["block"]),
        ("Index", unknown if found["indexed"] is None else f"{found['indexed']} ({found['lag']} behind)"),
        ("Process", found["pid"]),
        ("Since", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["started"]))),
        ("Data", found["home"]),
    ]
    if not found["gateway"]:
        rows[1:4] = [("Gateway", "none: the operator has no ETH on this network")]
    terminal.table("What runs here?", ("", ""), rows)
