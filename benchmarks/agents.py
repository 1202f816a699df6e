# SPDX-License-Identifier: Apache-2.0
"""How many messages a second agents exchange: in one process, and between two.

The peer is Fetch.ai's uAgents in the same run, in an environment of its own (`tools/setup.sh uagents`): two
agents, the same messages, 64 under way. Within a process uAgents do not sign, so for the same work each of
their messages passes their own envelope, signed and checked by their own code; how they do without is printed
too. Ours sign and check always. ``agents.durable`` has every message on the disk before it is handled.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks._agents import DOMAIN, Answerer, Caller
from koinon.agents.runtime import Runtime
from koinon.chain.keys import Key
from koinon.serving import loop_factory

ROOT: Final = Path(__file__).resolve().parent.parent
THEIRS: Final = ROOT / ".venv-uagents" / "bin" / "python"
SCRIPT: Final = ROOT / "benchmarks" / "_uagents" / "ping.py"
ROUNDS: Final = 3
WINDOW: Final = 64
MESSAGES: Final = 10_000
SIGNED_MESSAGES: Final = 600
PATIENCE_S: Final = 300.0


def run() -> Iterator[dict[str, Any]]:
    """The figures."""
    ours, durable, signed, unsigned = 0.0, 0.0, 0.0, 0.0
    for _ in range(ROUNDS):
        ours = max(ours, _ours(None))
        signed = max(signed, _theirs(SIGNED_MESSAGES, "signed"))
        unsigned = max(unsigned, _theirs(MESSAGES, "unsigned"))
        with tempfile.TemporaryDirectory() as folder:
            durable = max(durable, _ours(Path(folder) / "mailboxes.sqlite"))
    yield _figure("agents.vs_uagents", ours, signed, "signed and checked on both sides", 4.0)
    yield _figure("agents.vs_uagents_unsigned", ours, unsigned, "uAgents without signatures", None)
    yield _figure("agents.durable", durable, signed, "ours on the disk too, uAgents signed", None)
    between = max(_between() for _ in range(ROUNDS))
    yield {
        "name": "agents.between_processes_per_s",
        "ours": round(between),
        "peer": None,
        "ratio": None,
        "unit": "messages per second between two processes, durable on both sides",
        "target": 500,
        "ok": between >= 500,
    }


def _figure(name: str, ours: float, peer: float, what: str, target: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours),
        "peer": round(peer),
        "ratio": round(ours / peer, 2),
        "unit": f"messages per second in one process ({what})",
        "target": target,
        "ok": target is None or ours / peer >= target,
    }


def _ours(path: Path | None) -> float:
    async def exchange() -> float:
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        runtime = Runtime(DOMAIN, path)
        answerer = runtime.add(Answerer(), Key.generate())
        runtime.add(Caller(answerer, MESSAGES // 2, WINDOW, done.set_result), Key.generate())
        async with runtime:
            return await asyncio.wait_for(done, PATIENCE_S)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(exchange())


def _theirs(messages: int, how: str) -> float:
    done = subprocess.run(
        [THEIRS, SCRIPT, str(messages), str(WINDOW), how],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return float(done.stdout.split()[-1])


def _between() -> float:
    ports = [_free_port(), _free_port()]
    with tempfile.TemporaryDirectory() as folder:

        def start(role: str, mine: int, other: int) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "benchmarks._agents",
                    role,
                    f"{folder}/{role}",
                    *map(str, (mine, other, MESSAGES)),
                ],
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )

        answerer = start("answerer", ports[1], ports[0])
        caller = start("caller", ports[0], ports[1])
        try:
            assert caller.stdout is not None
            return float(caller.stdout.readline())
        finally:
            for process in (caller, answerer):
                process.terminate()
                process.communicate(timeout=PATIENCE_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
