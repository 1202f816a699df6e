# SPDX-License-Identifier: Apache-2.0
"""A host of agents as a process: runs them, takes envelopes by HTTP, opens their doors for stock clients.

``python -m koinon.agents.host CONFIG``; the file is JSON: ``network`` (file), optionally ``rpc_url``,
``blocks`` (folder of registration files), ``data_dir``, ``agents`` (a list of `AgentConfig`'s fields), and
the fields of `HostOptions`. Standard output carries one JSON document a line: ready, stopped or failed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon import process, serving
from koinon.agents.behaviour import Agent
from koinon.agents.client import Hosts
from koinon.agents.directory import ChainReach, Directory
from koinon.agents.door import Door
from koinon.agents.limits import Limits
from koinon.agents.loading import load_agent
from koinon.agents.purse import Purse, open_purse
from koinon.agents.reach import Reach
from koinon.agents.runtime import Runtime
from koinon.chain.eip712 import Domain
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.errors import BadInput, SetupError
from koinon.process import Say
from koinon.services.buying.allowance import Limit
from koinon.services.gateway.serve import read_config
from koinon.services.mandates.book import MandateBook
from koinon.store import BlockStore

MAILBOXES: Final = "mailboxes.sqlite"
HOST_FILE: Final = "host.json"
PORT: Final = 8406
CONNECTIONS: Final = 1_024
KEEP_ALIVE_S: Final = 75
DRAIN_S: Final = 5
_LOOK_S: Final = 1.0
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class HostOptions:
    """How to serve: ``port`` 0 takes a free one; ``url`` where others reach the host, its own address by
    default; ``certificate`` and ``private_key`` PEM files for https."""

    host: str = "127.0.0.1"
    port: int = PORT
    url: str = ""
    certificate: str | None = None
    private_key: str | None = None


@dataclass(frozen=True)
class AgentConfig:
    """One agent: its Work (0 for none), ``target`` as `load_agent` takes it with the class's ``arguments``,
    and the keystore of its account with the file of its password. ``home``: the data directory whose mandates
    it spends under; without one it spends nothing."""

    work_id: int
    target: str
    key: str
    password_file: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    home: str = ""

    def open(self) -> tuple[Agent, Key, int]:
        """Load it; errors as `load_agent` and `Key.load`."""
        key = Key.load(self.key, Path(self.password_file).read_text().strip())
        return load_agent(self.target, self.arguments), key, self.work_id

    def purse(self, chain: Chain, key: Key) -> Purse:
        """What the agent has to spend."""
        if not self.home:
            return Purse(chain, key, Limit(0))
        return open_purse(chain, key, MandateBook(chain, Path(self.home)))


async def serve(
    agents: Sequence[tuple[Agent, Key, int]],
    domain: Domain,
    data_dir: Path,
    options: HostOptions,
    say: Say,
    *,
    reach: Reach | None = None,
    limits: Limits | None = None,
    over: Callable[[], bool] = lambda: False,
) -> None:
    """Run agents (each with its key and its Work's id) until SIGINT or SIGTERM, or until ``over()`` is true.

    Raises
    ------
    SetupError
        The port is taken, another process runs from this folder, or nothing can be written any more.
    """
    with _listen(options) as listener:
        bounds = limits or Limits()
        hosts = Hosts(private=options.host in _LOOPBACK)
        runtime = Runtime(
            domain, data_dir / MAILBOXES, reach=reach, hand_in=hosts.hand_in, limits=bounds, clock=time.time
        )
        addresses = [runtime.add(*each) for each in agents]
        https = bool(options.certificate)
        url = (options.url or serving.url_of(options.host, listener, https=https)).rstrip("/")
        door = Door(runtime, domain, url, time.time, bounds)
        server = serving.http_server(
            door,
            connections=CONNECTIONS,
            drain_s=DRAIN_S,
            certificate=options.certificate,
            private_key=options.private_key,
            keep_alive_s=KEEP_ALIVE_S,
        )
        serving.stop_on_signals(server)
        file = data_dir / HOST_FILE
        try:
            async with runtime:
                write_private(file, orjson.dumps({"url": url, "pid": os.getpid()}))
                say({"event": "ready", "url": url, "agents": [str(each) for each in addresses]})
                answering = asyncio.ensure_future(server._serve([listener]))
                failing = asyncio.ensure_future(runtime.failed())
                while not over():
                    done, _ = await asyncio.wait(
                        {answering, failing}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
                    )
                    if done:
                        break
                server.should_exit = True
                await answering
                failed = failing.done()
                failing.cancel()
                await door.close()
                if failed:
                    failing.result()
        finally:
            with suppress(OSError):
                file.unlink(missing_ok=True)
            await hosts.close()
    say({"event": "stopped"})


def run_config(path: Path) -> int:
    """Run the host that a file describes; the exit status."""

    def run_described() -> None:
        try:
            _run(path)
        except (TypeError, KeyError, ValueError, OSError) as error:
            raise BadInput(f"The configuration is wrong: {error}", code="agents.config") from error

    return process.exit_status(run_described)


def _run(path: Path) -> None:
    config = read_config(path)
    configs = [AgentConfig(**each) for each in config.pop("agents")]
    agents = [each.open() for each in configs]
    if not agents:
        raise BadInput(f"{path} names no agent.", code="agents.config")
    data_dir, store = Path(config.pop("data_dir")), BlockStore(Path(config.pop("blocks")))
    with Chain.open(config.pop("network"), rpc_url=config.pop("rpc_url", None)) as chain:
        directory, options = Directory(chain, store), HostOptions(**config)
        for each, (agent, key, _work_id) in zip(configs, agents, strict=True):
            agent.equip(each.purse(chain, key))
        reach = ChainReach(directory)
        with asyncio.Runner(loop_factory=serving.loop_factory()) as runner:
            runner.run(serve(agents, directory.domain, data_dir, options, process.say, reach=reach))


def _listen(options: HostOptions) -> socket.socket:
    try:
        return serving.listen(options.host, options.port)
    except OSError as error:
        raise SetupError(
            f"The agents' host cannot listen on {options.host}:{options.port} ({error.strerror}).",
            hint="Choose another port, or 0 for any free one.",
            code="agents.port",
        ) from error


if __name__ == "__main__":
    sys.exit(run_config(Path(sys.argv[1])))
