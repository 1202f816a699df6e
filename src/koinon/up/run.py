# SPDX-License-Identifier: Apache-2.0
"""Everything a node runs, in one process and one child: chain, index, console; gateway.

The chain comes first and goes last. What dies comes back: the chain by its supervisor, the gateway and the
console by a thread each, the index by its own loop. A killed `koinon up` leaves nothing that blocks the next:
its children end with it (see `koinon.chain.child`), its lock is the kernel's to release.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from koinon.console.app import create_app
from koinon.console.operator import OperatorLink, operator_link
from koinon.errors import KoinonError
from koinon.node import Node
from koinon.resume import resume_interrupted
from koinon.settings import Settings
from koinon.up.gateway import Gateway, end_leftover
from koinon.up.pages import Pages, free_port, listen, names
from koinon.up.record import Running

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ready:
    """What is told once everything runs."""

    running: Running
    link: OperatorLink
    read_only: bool


def run(settings: Settings, say: Say, ready: Callable[[Ready], None]) -> None:
    """Run until SIGINT or SIGTERM; the caller holds the data directory's lock (see `record.alone`).

    Raises what `Node.open` raises, and SetupError where a port that somebody chose is taken.
    """
    before = Running.last(settings.home)
    if before is not None:
        end_leftover(before.gateway_pid)
    pages_before, gateway_before = (before.console, before.gateway) if before is not None else ("", "")
    with ExitStack() as stack:
        listener = listen(settings.host, settings.console_port, setting="console_port", last=pages_before)
        stack.callback(listener.close)
        port = free_port(settings.host, settings.port, setting="port", last=gateway_before)
        node = stack.enter_context(Node.open(settings))
        stack.callback(_follow(node, say))
        if not node.read_only:
            resume_interrupted(node, say)
        record = Running(
            pid=os.getpid(),
            console=settings.console_url or f"http://{settings.host}:{listener.getsockname()[1]}",
            rpc_url=node.rpc_url,
            network=str(settings.network),
            gateway=f"http://{settings.host}:{port}",
            gateway_pid=0,
            started=int(time.time()),
        )
        pages = Pages(create_app(node, hosts=names(settings)), listener, say)
        pages.start()
        stack.callback(pages.stop)
        gateway = Gateway(
            settings, port, say, lambda pid: replace(record, gateway_pid=pid).save(settings.home)
        )
        if node.read_only:
            say("The operator has no ETH on this network: it can be read, and nothing is sold here.")
            record = replace(record, gateway="")
        else:
            stack.callback(gateway.stop)
            if not gateway.start():
                say(f"The gateway is not ready yet; see {settings.home / 'gateway.log'}.")
        record = replace(record, gateway_pid=gateway.pid)
        record.save(settings.home)
        found = Ready(record, operator_link(settings, record.console), node.read_only)
        node.wait(lambda: ready(found))
        say("Stopping: the gateway settles what it holds.")


def _follow(node: Node, say: Say) -> Callable[[], None]:
    """Keep the index up with the chain in a thread; returns what ends it."""
    stop = threading.Event()

    def keep() -> None:
        while not stop.is_set():
            try:
                node.index.follow(stop)
            except KoinonError as fault:
                say(f"The index stands still: {fault.message} {fault.hint}".rstrip())
            except Exception:
                logging.getLogger("koinon").exception("the index failed")
            stop.wait(5)

    thread = threading.Thread(target=keep, name="index", daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(15)

    return end
