# SPDX-License-Identifier: Apache-2.0
"""Everything a node runs, in one process and four children: chain, index, console; gateway, datasets' node,
agents, watch.

The chain comes first and goes last. What dies comes back: the chain by its supervisor, the children and the
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
from dataclasses import dataclass

from koinon.agents.kept import ROOM as AGENTS
from koinon.agents.kept import expect_host
from koinon.console.app import create_app
from koinon.console.operator import OperatorLink, operator_link
from koinon.errors import KoinonError
from koinon.node import Node
from koinon.resume import resume_interrupted
from koinon.settings import Settings
from koinon.up.child import end_leftover
from koinon.up.children import agents_host, data_node, gateway, watch
from koinon.up.pages import Pages, listen, names
from koinon.up.record import Kept, Running

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
        end_leftover(before.data_pid)
        end_leftover(before.agents_pid)
        end_leftover(before.watch_pid)
    pages_before, gateway_before, data_before, agents_before = (
        (before.console, before.gateway, before.data, before.agents)
        if before is not None
        else ("", "", "", "")
    )
    with ExitStack() as stack:
        listener = listen(settings.host, settings.console_port, setting="console_port", last=pages_before)
        stack.callback(listener.close)
        with (
            listen(settings.host, settings.port, setting="port", last=gateway_before) as selling_probe,
            listen(settings.host, settings.data_port, setting="data_port", last=data_before) as data_probe,
            listen(
                settings.host, settings.agents_port, setting="agents_port", last=agents_before
            ) as agents_probe,
        ):
            probes = (selling_probe, data_probe, agents_probe)
            port, data_port, agents_port = (int(probe.getsockname()[1]) for probe in probes)
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
            data=f"http://{settings.host}:{data_port}",
            agents=f"http://{settings.host}:{agents_port}",
        )
        kept = Kept(settings.home, record)
        pages = Pages(create_app(node, hosts=names(settings)), listener, say)
        pages.start()
        stack.callback(pages.stop)
        if node.read_only:
            say("The operator has no ETH on this network: it can be read, and nothing is sold here.")
            record = kept.change(gateway="", data="", agents="")
        else:
            selling = gateway(settings, port, say, lambda pid: kept.change(gateway_pid=pid))
            stack.callback(selling.stop)
            if not selling.start():
                say(f"The gateway is not ready yet; see {settings.home / 'gateway.log'}.")
            computing = data_node(settings, data_port, say, lambda pid: kept.change(data_pid=pid))
            stack.callback(computing.stop)
            computing.start(0)
            expect_host(settings.home / AGENTS, record.agents)
            acting = agents_host(settings, agents_port, say, lambda pid: kept.change(agents_pid=pid))
            stack.callback(acting.stop)
            acting.start(0)
            record = kept.change(gateway_pid=selling.pid)
        watching = watch(settings, say, lambda pid: kept.change(watch_pid=pid))
        stack.callback(watching.stop)
        watching.start(0)
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
