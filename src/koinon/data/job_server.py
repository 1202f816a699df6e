# SPDX-License-Identifier: Apache-2.0
"""A dataset's node as a process: answers buyers over HTTP, runs their jobs, tells how they ended.

    GET  /compute            who computes here, on what, on which terms
    POST /checks             {"work_id", "buyer", "program", "schema", "blocks", "max_seconds"} → a quote
    POST /jobs               {"request": signed, "program", "schema"} → where the job stands
    GET  /jobs/ID            where it stands
    GET  /jobs/ID/result     the result, sealed to its buyer

``python -m koinon.data.job_server CONFIG``; the file is JSON: ``network`` (file), optionally ``rpc_url``,
``key`` (keystore), ``password_file``, ``data_dir`` (with ``datasets``), ``works`` (ids), optionally
``python`` (the interpreter for programs), and the fields of `ServerOptions`. Standard output carries one JSON
document a line: ready, stopped or failed.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import orjson

from koinon import process, serving
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.compute.sandbox import BubblewrapSandbox, Sandbox
from koinon.data.job_admission import Admission
from koinon.data.job_desk import JobDesk
from koinon.data.job_door import JobDoor
from koinon.data.job_journal import JobJournal
from koinon.data.job_runner import JobRunner
from koinon.data.process_config import read_config
from koinon.data.shelf import LOOK_EVERY_S, Shelf
from koinon.errors import KoinonError, SetupError
from koinon.process import MISREAD, Say

DATASETS: Final = "datasets"
JOURNAL: Final = "jobs.sqlite"
SERVER: Final = "server.json"
LOCK: Final = "serving.lock"
LOCK_TRIES: Final = 10
PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 10.0
CONNECTIONS: Final = 256
DRAIN_S: Final = 5


@dataclass(frozen=True)
class ServerOptions:
    """How to serve: ``port`` 0 takes a free one, ``certificate`` and ``private_key`` PEM files for https,
    ``each_minute`` requests of one host, ``url`` where buyers reach it when that is another address."""

    host: str = "127.0.0.1"
    port: int = 0
    each_minute: int = 240
    certificate: str | None = None
    private_key: str | None = None
    url: str = ""


async def serve(  # noqa: PLR0917  (what a node is made of)
    chain: Chain,
    operator: Key,
    data_dir: Path,
    works: Iterable[int],
    options: ServerOptions,
    say: Say,
    *,
    sandbox: Sandbox | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM: ``works``, or without any whatever is for sale here, from when it is.
    Other terms are taken up as they are written. ``say`` is told when it is ready, what it serves from then
    on, and of trouble.

    Raises
    ------
    NotFound, IntegrityError, BadInput
        A dataset of ``works`` is not here, is another one on this network, or sells no computing.
    SetupError
        The port is taken, another process serves from this folder, or the account may not act for one of
        ``works``.
    """
    shelf = Shelf(chain, operator.address, data_dir / DATASETS, works, say)
    with _alone(data_dir), _listen(options) as listener:
        await asyncio.to_thread(shelf.look)
        journal = JobJournal(data_dir / JOURNAL)
        admission = Admission(
            chain, operator.address, shelf.datasets, journal, sandbox or BubblewrapSandbox()
        )

        def keep_up() -> None:
            if shelf.look():
                admission.datasets = shelf.datasets
                say({"event": "serving", "works": sorted(shelf.datasets)})

        desk = JobDesk(chain, admission, journal)
        runner = JobRunner(chain, operator, admission, journal)
        server = serving.http_server(
            JobDoor(desk, each_minute=options.each_minute),
            connections=CONNECTIONS,
            drain_s=DRAIN_S,
            certificate=options.certificate,
            private_key=options.private_key,
        )
        serving.stop_on_signals(server)
        url = options.url or serving.url_of(options.host, listener, https=bool(options.certificate))
        about = await asyncio.to_thread(desk.about)
        write_private(data_dir / SERVER, orjson.dumps({"url": url, "account": operator.address}))
        stop = threading.Event()
        threads = [
            threading.Thread(target=_repeat, args=(step, stop, say, pause_s), daemon=True)
            for step, pause_s in (
                (runner.run_next, PAUSE_S),
                (runner.tell_due, PAUSE_S),
                (keep_up, LOOK_EVERY_S),
            )
        ]
        try:
            for thread in threads:
                thread.start()
            say({"event": "ready", "url": url, **about})
            await server._serve([listener])
        finally:
            stop.set()
            (data_dir / SERVER).unlink(missing_ok=True)
            await asyncio.to_thread(threads[1].join, 10)
    say({"event": "stopped"})


def _repeat(step: Callable[[], Any], stop: threading.Event, say: Say, pause_s: float = PAUSE_S) -> None:
    """Do a step for ever; trouble is told once and tried again ever more slowly."""
    pause, told = pause_s, ""
    while not stop.is_set():
        try:
            busy = step()
            pause, told = pause_s, ""
            if busy:
                continue
        except Exception as error:  # a full disk, say: whatever it is, the node goes on when it is over
            fault = error if isinstance(error, KoinonError) else _unforeseen(error)
            if fault.code != told:
                say({"event": "trouble", "code": fault.code, "title": fault.message})
            pause, told = min(2 * pause, LONGEST_PAUSE_S), fault.code
        stop.wait(pause)


def _unforeseen(error: Exception) -> KoinonError:
    return SetupError(f"The node is in trouble: {type(error).__name__}: {error}", code="data.node_trouble")


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One process a folder: two would run every job twice."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data_dir / LOCK).open("ab") as lock:
        if not any(_locked(lock) for _try in range(LOCK_TRIES)):
            raise SetupError(
                f"Another process serves the datasets in {data_dir} already.",
                hint="End it first, or serve all datasets from one.",
                code="data.serving",
            )
        yield


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(PAUSE_S)  # it may be somebody who only looks
        return False
    return True


def address_in(data_dir: Path) -> str:
    """Where the process that serves a folder's datasets answers; '' where none does."""
    try:
        with (data_dir / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return str(orjson.loads((data_dir / SERVER).read_bytes())["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
    except OSError:
        return ""
    return ""


def _listen(options: ServerOptions) -> socket.socket:
    try:
        return serving.listen(options.host, options.port)
    except OSError as error:
        raise SetupError(
            f"The datasets' node cannot listen on {options.host}:{options.port} ({error.strerror}).",
            hint="Choose another port, or 0 for any free one.",
            code="data.port",
        ) from error


def run_config(path: Path) -> int:
    """Run the node that a file describes; the exit status."""

    def run_described() -> None:
        config = read_config(path)
        key = Key.load(config.pop("key"), Path(config.pop("password_file")).read_text().strip())
        data_dir, works = Path(config.pop("data_dir")), [int(each) for each in config.pop("works")]
        python = config.pop("python", None)
        sandbox = BubblewrapSandbox(python=Path(python) if python else None)
        with Chain.open(config.pop("network"), rpc_url=config.pop("rpc_url", None)) as chain:
            options = ServerOptions(**config)
            asyncio.run(serve(chain, key, data_dir, works, options, process.say, sandbox=sandbox))

    return process.exit_status(run_described, misread=(*MISREAD, ValueError, OSError))


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[1])))
