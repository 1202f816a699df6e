# SPDX-License-Identifier: Apache-2.0
"""Runs a facilitator by itself, for other people's services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koinon import process, serving
from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.process import Say
from koinon.services.facilitator.app import FacilitatorApp
from koinon.services.facilitator.payments import Facilitator
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.serve import CONNECTIONS, listen, open_chain, open_key, read_config
from koinon.services.gateway.signers import Signers
from koinon.services.gateway.transfers import Transfers

THREADS = 16


@dataclass(frozen=True)
class FacilitatorOptions:
    """``port`` 0 takes a free one; ``minimum`` of one payment, in the coin's smallest unit."""

    host: str = "127.0.0.1"
    port: int = 0
    minimum: int = 1
    drain_s: int = 30


async def run(
    chain: Chain,
    key: Account,
    data_dir: Path,
    options: FacilitatorOptions,
    say: Say,
) -> None:
    """Serve until SIGINT or SIGTERM; payments that are being settled are finished first.

    Raises SetupError when the port is taken.
    """
    listener = listen(options.host, options.port)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = Journal(data_dir / "facilitator.sqlite")
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="chain")

    async def wait(function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)

    on_chain = OnChain(chain, key)
    facilitator = Facilitator(
        on_chain, Transfers(on_chain, journal, Signers(), wait), wait, minimum=options.minimum
    )
    server = serving.http_server(
        FacilitatorApp(facilitator), connections=CONNECTIONS, drain_s=options.drain_s, date_header=True
    )
    serving.stop_on_signals(server)
    say(
        {
            "event": "ready",
            "url": serving.url_of(options.host, listener),
            "network": facilitator.network,
            "address": key.address,
        }
    )
    try:
        await server._serve([listener])
    finally:
        threads.shutdown()
        journal.close()


def run_config(path: Path) -> int:
    """Run the facilitator that a JSON file describes; the exit status. Fields as in `serve.run_config`, with
    those of `FacilitatorOptions`; standard output carries one JSON document a line: ready."""

    def run_described() -> None:
        config = read_config(path)
        data_dir = Path(config.pop("data_dir"))
        with open_chain(config) as chain:
            key = open_key(config)
            with asyncio.Runner(loop_factory=serving.loop_factory()) as runner:
                runner.run(run(chain, key, data_dir, FacilitatorOptions(**config), process.say))

    return process.exit_status(run_described)
