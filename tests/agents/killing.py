# SPDX-License-Identifier: Apache-2.0
"""Two hosts, one of which is killed (SIGKILL) at each of its commits in turn; what becomes of the money.

``python killing.py FOLDER``: the payer or the payee is killed inside its n-th transaction or after it, for
n = 1, 2, … until a run needs fewer. Each run is two processes of their own, forked from this one, which has
loaded everything once. One JSON line a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import uvicorn

from koinon.agents import Address, Agent, Context, message, on
from koinon.agents import handling as handling_module
from koinon.agents import lane as lane_module
from koinon.agents.door import Door
from koinon.agents.limits import Limits
from koinon.agents.reach import Known
from koinon.agents.runtime import Runtime, agents_domain
from koinon.chain.keys import Key

DOMAIN = agents_domain(31_337, "0x" + "11" * 20)
KEYS = {"payer": Key.from_bytes(bytes(31) + b"\x01"), "payee": Key.from_bytes(bytes(31) + b"\x02")}
ADDRESSES = {role: Address(0, key.address) for role, key in KEYS.items()}
PAYMENTS, AMOUNT, BALANCE = 1, 10, 100
PATIENCE_S = 60.0


@message
class Pay:
    amount: int


@message
class Receipt:
    amount: int


class Payer(Agent):
    """Pays from its balance, the next once the last is receipted."""

    def startup(self, context: Context) -> None:
        if "balance" not in context.memory:
            context.memory["balance"], context.memory["receipts"] = BALANCE, 0
            self._pay(context)

    @on(Receipt)
    def receipt(self, receipt: Receipt, context: Context) -> None:
        context.memory["receipts"] += 1
        if context.memory["receipts"] < PAYMENTS:
            self._pay(context)

    @staticmethod
    def _pay(context: Context) -> None:
        context.memory["balance"] -= AMOUNT
        context.send(ADDRESSES["payee"], Pay(AMOUNT))


class Payee(Agent):
    """Keeps what it is paid."""

    @on(Pay)
    def pay(self, pay: Pay, context: Context) -> Receipt:
        context.memory["balance"] = context.memory.get("balance", 0) + pay.amount
        return Receipt(pay.amount)


class Deadly(sqlite3.Connection):
    """Ends its process at a commit."""

    left = 0
    moment = ""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql != "COMMIT" or not self.moment:
            return super().execute(sql, *parameters)
        self.left -= 1
        if self.left == 0 and self.moment == "inside":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = super().execute(sql, *parameters)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor


def remembered(file: Path, role: str) -> dict[str, Any]:
    """What an agent has on the disk."""
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file, timeout=30)) as database:
        try:
            rows = database.execute("SELECT key, value FROM memory WHERE agent = ?", (str(ADDRESSES[role]),))
            return {key: json.loads(value) for key, value in rows}
        except sqlite3.OperationalError:
            return {}  # killed before there was a table


def waiting(file: Path) -> int:
    """Messages that are still to be handled or delivered, and dead letters."""
    with closing(sqlite3.connect(file, timeout=30)) as database:
        return sum(
            int(database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608  (our own names)
            for table in ("inbox WHERE done IS NULL", "outbox WHERE done IS NULL", "dead")
        )


async def host(role: str, file: Path, ports: dict[str, int], kill_at: int, moment: str) -> None:
    """One host until SIGTERM."""
    other = "payee" if role == "payer" else "payer"
    reach = Known({ADDRESSES[other]: f"http://127.0.0.1:{ports[other]}"})
    runtime = Runtime(DOMAIN, file, reach=reach)
    runtime.add(Payer() if role == "payer" else Payee(), KEYS[role])
    if kill_at:
        runtime._boxes.database.close()
        deadly = sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Deadly)
        deadly.left, deadly.moment = kill_at, moment
        runtime._boxes.database = deadly
    door = Door(runtime, DOMAIN, f"http://127.0.0.1:{ports[role]}", time.time, Limits())
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", ports[role]))
    listener.listen(16)
    server = uvicorn.Server(
        uvicorn.Config(door, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    )
    async with runtime:
        await server.serve([listener])


def started(role: str, *rest: Any) -> int:
    """A host in a process of its own; its id."""
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(host(role, *rest))
            os._exit(0)
        except BaseException as error:  # whatever it is, the parent process is not to go on here
            print(f"{role}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def ended(pid: int, block: bool = False) -> int | None:
    """Its exit status (negative: the signal) if it has ended."""
    done, status = os.waitpid(pid, 0 if block else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for ever."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the hosts did not get there")
        time.sleep(0.005)


def one_run(folder: Path, victim: str, moment: str, kill_at: int) -> dict[str, Any]:
    """Pay with one kill; what both have in the end."""
    folder.mkdir()
    files = {role: folder / f"{role}.sqlite" for role in KEYS}
    ports = {role: free_port() for role in KEYS}
    pids = {
        role: started(role, files[role], ports, kill_at if role == victim else 0, moment) for role in KEYS
    }
    killed = False

    def settled() -> bool:
        nonlocal killed
        for role, pid in pids.items():
            status = ended(pid)
            if status == -signal.SIGKILL and role == victim and not killed:
                killed = True
                pids[role] = started(role, files[role], ports, 0, "")
            elif status is not None:
                raise RuntimeError(f"the {role} ended with {status}")
        return remembered(files["payer"], "payer").get("receipts") == PAYMENTS and not any(
            waiting(file) for file in files.values()
        )

    try:
        until(settled)
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGTERM)
        for pid in pids.values():
            ended(pid, block=True)
    return {
        "victim": victim,
        "moment": moment,
        "killed": killed,
        "paid": BALANCE - remembered(files["payer"], "payer")["balance"],
        "received": remembered(files["payee"], "payee")["balance"],
        "left": sum(waiting(file) for file in files.values()),
    }


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(folder: Path, victim: str, moment: str) -> None:
    """Kill at every commit there is."""
    lane_module.FIRST_PAUSE_S = 0.01  # type: ignore[misc]
    handling_module.FIRST_PAUSE_S = 0.01  # type: ignore[misc]
    number = 0
    killed = True
    while killed:
        number += 1
        outcome = one_run(folder / f"{victim}-{moment}-{number}", victim, moment, number)
        killed = outcome["killed"]
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    for each in KEYS:
        for when in ("inside", "after"):
            main(Path(sys.argv[1]), each, when)
