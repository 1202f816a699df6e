# SPDX-License-Identifier: Apache-2.0
"""A keeper as a process: opens chain, keys and book, and serves until it is told to stop.

``python -m koinon.data.keeper_process CONFIG``; the file is JSON: ``network`` (file), optionally ``rpc_url``,
``key`` (keystore), ``password_file``, ``data_dir``, and the fields of `KeeperOptions`. Standard output
carries one JSON document a line: ready, stopped or failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon import process, serving
from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.data.keeper_answers import ComplaintDesk
from koinon.data.keeper_book import KeeperBook
from koinon.data.keeper_server import Keeper, KeeperApp
from koinon.data.process_config import read_config
from koinon.data.sealed_box import BoxKey
from koinon.errors import KeyFault, KoinonError, SetupError
from koinon.process import MISREAD, Say

BOX_FILE: Final = "box.key"
BOOK_FILE: Final = "keeper.sqlite"
CONNECTIONS: Final = 512
DRAIN_S: Final = 5


@dataclass(frozen=True)
class KeeperOptions:
    """How to serve: ``port`` 0 takes a free one, ``depth`` as for `Keeper`, ``certificate`` and
    ``private_key`` PEM files for https, ``each_minute`` requests of one host or grantee, ``look_s`` seconds
    between two looks for complaints on chain (0: never; answers cost gas)."""

    host: str = "127.0.0.1"
    port: int = 0
    depth: int = 0
    each_minute: int = 120
    certificate: str | None = None
    private_key: str | None = None
    look_s: float = 30.0


def box_key(data_dir: Path) -> BoxKey:
    """The keeper's sealing key, made on first use. Without this file its shares are lost: back it up."""
    path = data_dir / BOX_FILE
    if not path.exists():
        write_private(path, BoxKey.generate().secret)
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFault(
                f"{path} can be read by other users.", hint=f"Run: chmod 600 {path}", code="key.permissions"
            )
        return BoxKey.from_secret(path.read_bytes())
    except (OSError, ValueError) as error:
        raise KeyFault(
            f"The keeper's sealing key {path} cannot be read.",
            hint="Restore it from your backup.",
            code="data.box_file",
        ) from error


async def serve(
    chain: Chain,
    account: Account,
    data_dir: Path,
    options: KeeperOptions,
    say: Say,
    *,
    make: Callable[..., Keeper] = Keeper,
) -> None:
    """Serve until SIGINT or SIGTERM. ``say`` is told when it is ready. SetupError when the port is taken."""
    listener = _listen(options)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    book = KeeperBook(data_dir / BOOK_FILE)
    keeper = make(chain, account, box_key(data_dir), book, depth=options.depth)
    server = serving.http_server(
        KeeperApp(keeper, each_minute=options.each_minute),
        connections=CONNECTIONS,
        drain_s=DRAIN_S,
        certificate=options.certificate,
        private_key=options.private_key,
    )
    serving.stop_on_signals(server)
    url = serving.url_of(options.host, listener, https=bool(options.certificate))
    try:
        say({"event": "ready", "url": url, **keeper.about()})
        desk = ComplaintDesk(chain, keeper, options.depth)
        stop = asyncio.Event()
        looking = asyncio.create_task(_answer_complaints(desk, options.look_s, stop, say))
        if options.look_s > 0:  # a keeper that can no longer look must not seem to keep
            looking.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server._serve([listener])
        finally:
            stop.set()
            await looking
    finally:
        book.close()
    say({"event": "stopped"})


async def _answer_complaints(desk: ComplaintDesk, look_s: float, stop: asyncio.Event, say: Say) -> None:
    """Look for complaints until told to stop; a fault is told once, and the next look goes on."""
    told: str | None = None
    while look_s > 0 and not stop.is_set():
        try:
            for grant_id in await asyncio.to_thread(desk.answer):
                say({"event": "answered", "grant_id": grant_id})
            trouble = desk.trouble
        except KoinonError as error:
            trouble = error
        if trouble is not None and trouble.code != told:
            say({"event": "not answered", **trouble.problem()})
        told = None if trouble is None else trouble.code
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), look_s)


def run_config(path: Path, *, make: Callable[..., Keeper] = Keeper) -> int:
    """Run the keeper that a file describes; the exit status."""

    def run_described() -> None:
        config = read_config(path)
        key = Key.load(config.pop("key"), Path(config.pop("password_file")).read_text().strip())
        data_dir = Path(config.pop("data_dir"))
        with Chain.open(config.pop("network"), rpc_url=config.pop("rpc_url", None)) as chain:
            asyncio.run(serve(chain, key, data_dir, KeeperOptions(**config), process.say, make=make))

    return process.exit_status(run_described, misread=(*MISREAD, OSError))


def _listen(options: KeeperOptions) -> socket.socket:
    try:
        return serving.listen(options.host, options.port)
    except OSError as error:
        raise SetupError(
            f"The keeper cannot listen on {options.host}:{options.port} ({error.strerror}).",
            hint="Choose another port, or 0 for any free one.",
            code="data.port",
        ) from error


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[1])))
