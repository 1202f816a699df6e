# SPDX-License-Identifier: Apache-2.0
"""The gateway as it is used: what a paid call costs, what it adds to the time, and what a kill loses.

`gateway.calls_per_s_core` is a published function in its own worker process, its input and output checked
against the schema, with an idempotency key, a rate and a bound for each payer, and the journal on; CPU
seconds are the gateway's and the worker's together. x402's own server with `exact` payments is measured
beside it.

`gateway.signed_calls_per_s_core` is the same with a bond behind the service, so that every answer is signed
and kept; measured beside it without, by turns.

`gateway.p99_ms` is what the gateway adds at 500 calls a second: the 99th percentile of paid calls less that
of the same function behind the same HTTP server without any of it, sent at fixed times whether or not answers
came (so that waiting is counted), by turns; the median of the rounds.

`gateway.crash` kills the gateway under load (see `_gateway_crash`).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import vouchers
from benchmarks._gateway_crash import CrashTest
from benchmarks.vouchers import BODY, CHANNELS, FUNCTION, PRICE
from koinon.chain.keys import Key
from koinon.node import Node
from koinon.services.api import Services
from koinon.services.gateway.limits import Limits
from koinon.services.gateway.registry import Registry, Service
from koinon.services.verification.checking import BondPlan
from koinon.settings import Settings

RATE = 500
SECONDS = 4
CALLS = 150
ROUNDS = 3
KILLS = 20
CALLS_TARGET, SIGNED_TARGET, P99_TARGET_MS = 1_500, 1_000, 5.0


def run() -> Iterator[dict[str, Any]]:
    """The four figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Node.open(Settings.load({"HOME": folder}, home=home)) as node:
            core, added, raw = _measured(node, home)
            signed, unsigned = _signing(node, home)
            peer = vouchers._exact(node, home)
    yield {
        "name": "gateway.calls_per_s_core",
        "ours": round(core),
        "peer": round(peer, 1),
        "ratio": round(core / peer, 1),
        "unit": "paid calls per CPU second of gateway and worker, schema checked (peer: x402 exact)",
        "target": CALLS_TARGET,
        "ok": core >= CALLS_TARGET,
    }
    yield {
        "name": "gateway.signed_calls_per_s_core",
        "ours": round(signed),
        "peer": round(unsigned),
        "ratio": round(signed / unsigned, 2),
        "unit": "the same with every answer signed and kept (peer: unsigned)",
        "target": SIGNED_TARGET,
        "ok": signed >= SIGNED_TARGET,
    }
    yield {
        "name": "gateway.p99_ms",
        "ours": round(added, 2),
        "peer": round(raw, 2),
        "ratio": None,
        "unit": f"ms added to the 99th percentile at {RATE} calls/s (peer: p99 without payment)",
        "target": P99_TARGET_MS,
        "ok": added < P99_TARGET_MS,
    }
    with tempfile.TemporaryDirectory() as folder, CrashTest(Path(folder)) as test:
        for _ in range(KILLS):
            test.kill_once()
        answered = test.check()
    yield {
        "name": "gateway.crash",
        "ours": KILLS,
        "peer": None,
        "ratio": None,
        "unit": f"kills -9 under load without a lost voucher ({answered} answered calls and parts)",
        "target": KILLS,
        "ok": True,
    }


def _measured(node: Node, home: Path) -> tuple[float, float, float]:
    """Calls per CPU second, and in ms what is added at the 99th percentile and what it is without."""
    key = Key.generate()
    node.fund(key.address)
    (home / "app.py").write_text(FUNCTION)
    services = Services(node.chain, node.store, home / "gateway", node.operator, gateway_key=key)
    listing = services.publish(f"{home / 'app.py'}:score", PRICE)
    registry = Registry(home / "gateway")
    served = registry.get(listing.work_id)
    limits = Limits(calls_per_minute=1_000_000, of_one_payer=16)
    registry.add(Service(**(served.__dict__ | {"limits": limits})))
    config = vouchers._gateway_config(home, key)
    raw = [str(home / "app.py")]
    file = home / "requests.json"
    with (
        vouchers._process("-m", "koinon.services.gateway.app", str(config)) as gateway,
        vouchers._process("-m", "benchmarks.gateway", "raw", *raw) as bare,
    ):
        url = vouchers._next_line(gateway)["url"]
        bare_port = str(vouchers._next_line(bare)["port"])
        signed = vouchers._requests(node, f"{url}/services/{listing.work_id}", listing.till, key)
        requests = [[_keyed(text, number) for number, text in enumerate(each)] for each in signed]
        port = url.rsplit(":", 1)[1]
        paced = RATE * SECONDS // CHANNELS
        used = ROUNDS * paced
        pairs = []
        for number in range(ROUNDS):
            part = [each[number * paced : (number + 1) * paced] for each in requests]
            paid = _paced(port, file, part)
            pairs.append((paid, _paced(bare_port, file, [[_plain()] * paced] * CHANNELS)))
        best = 0.0
        for start in range(used, used + 2 * CALLS, CALLS):
            part = [each[start : start + CALLS] for each in requests]
            file.write_text(json.dumps([[text.decode() for text in each] for each in part]))
            before = _cpu_of_all(gateway.pid)
            command = [sys.executable, "-m", "benchmarks.vouchers", "load", port, str(file)]
            subprocess.run(command, check=True)
            best = max(best, CHANNELS * len(part[0]) / (_cpu_of_all(gateway.pid) - before))
    added = median(paid - bare for paid, bare in pairs)
    return best, added, median(bare for _, bare in pairs)


def _signing(node: Node, home: Path) -> tuple[float, float]:
    """Calls per CPU second of gateway and worker, of a service with a bond and of one without, by turns."""
    key = Key.generate()
    node.fund(key.address)
    place = home / "signing"
    place.mkdir()
    services = Services(node.chain, node.store, place / "gateway", node.operator, gateway_key=key)
    registry, limits = Registry(place / "gateway"), Limits(calls_per_minute=1_000_000, of_one_payer=16)
    works = []
    for _ in range(2):
        listing = services.publish(f"{home / 'app.py'}:score", PRICE)
        registry.add(replace(registry.get(listing.work_id), limits=limits))
        works.append(listing)
    signed, plain = works
    answers = 4 * vouchers.ROUNDS * vouchers.CALLS * CHANNELS
    stake = services.checking.least_stake(signed.work_id, 0.5, answers=answers)
    coin = node.chain.coin
    limit = int(coin.call("mintLimit"))
    mints = [coin.transaction("mint", node.operator.address, limit)] * (stake // limit + 1)
    node.chain.sender(node.operator).send_all(mints)
    services.bond(signed.work_id, BondPlan(stake, 0.5, 3600, "http://127.0.0.1:1"))
    (place / "network.json").write_bytes((home / "network.json").read_bytes())
    best = dict.fromkeys((signed.work_id, plain.work_id), 0.0)
    with vouchers._process(
        "-m", "koinon.services.gateway.app", str(vouchers._gateway_config(place, key))
    ) as gateway:
        url = vouchers._next_line(gateway)["url"]
        requests = {
            each.work_id: vouchers._requests(node, f"{url}/services/{each.work_id}", each.till, key)
            for each in works
        }
        for start in range(0, ROUNDS * CALLS, CALLS):
            for work_id, calls in requests.items():
                rate = _rate(gateway.pid, url, place, [each[start : start + CALLS] for each in calls])
                best[work_id] = max(best[work_id], rate)
    return best[signed.work_id], best[plain.work_id]


def _rate(process_id: int, url: str, home: Path, part: list[list[bytes]]) -> float:
    """Calls per CPU second of the gateway and its workers, of these requests."""
    file = home / "requests.json"
    file.write_text(json.dumps([[text.decode() for text in each] for each in part]))
    before = _cpu_of_all(process_id)
    command = [sys.executable, "-m", "benchmarks.vouchers", "load", url.rsplit(":", 1)[1], str(file)]
    subprocess.run(command, check=True)
    return CHANNELS * len(part[0]) / (_cpu_of_all(process_id) - before)


def _keyed(request: bytes, number: int) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\nIdempotency-Key: call %d\r\n\r\n" % number + body


def _plain() -> bytes:
    return (
        b"POST / HTTP/1.1\r\nHost: raw\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(BODY), BODY)
    )


def _paced(port: str, file: Path, part: list[list[bytes]]) -> float:
    """The 99th percentile, in ms, of these requests sent at `RATE`."""
    file.write_text(json.dumps([[text.decode() for text in each] for each in part]))
    command = [sys.executable, "-m", "benchmarks.gateway", "paced", port, str(file)]
    times: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return 1000 * quantiles(times, n=100)[98]


def _cpu_of_all(process_id: int) -> float:
    """CPU seconds of a process and its children so far (Linux)."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return vouchers._cpu_seconds(process_id) + sum(vouchers._cpu_seconds(int(child)) for child in children)


class _Timed(asyncio.Protocol):
    """One connection; each request is sent at its time, or as soon as the one before is answered."""

    def __init__(
        self, due: list[tuple[float, bytes]], times: list[float], done: asyncio.Future[None]
    ) -> None:
        self._due = iter(due)
        self._times = times
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._done.set_exception(RuntimeError(f"a call was refused: {self._received!r}"))
            self._transport.close()
            return
        self._received = b""
        self._times.append(self._loop.time() - self._at)
        self._next()

    def _next(self) -> None:
        found = next(self._due, None)
        if found is None:
            self._transport.close()
            self._done.set_result(None)
            return
        self._at, request = found
        self._loop.call_at(self._at, self._transport.write, request)


async def _send_paced(port: int, file: Path) -> list[float]:
    loop = asyncio.get_running_loop()
    parts = [[text.encode() for text in texts] for texts in json.loads(file.read_text())]
    begin, times, finished = loop.time() + 0.5, list[float](), []
    for number, texts in enumerate(parts):
        due = [(begin + (number + place * len(parts)) / RATE, text) for place, text in enumerate(texts)]
        done: asyncio.Future[None] = loop.create_future()
        finished.append(done)
        await loop.create_connection(partial(_Timed, due, times, done), "127.0.0.1", port)
    await asyncio.gather(*finished)
    return times


def _serve_raw(app: Path) -> None:
    """The function behind the gateway's HTTP server, and nothing else."""
    import uvicorn  # noqa: PLC0415

    from koinon.services.gateway.asgi import JSON, Receive, Scope, Send, read_body, respond  # noqa: PLC0415
    from koinon.services.selling.schema import load  # noqa: PLC0415
    from koinon.serving import listen  # noqa: PLC0415

    function = load(f"{app}:score")

    async def answer(_: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, [JSON], function.call(await read_body(receive)))

    listener = listen("127.0.0.1", 0)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    config = uvicorn.Config(answer, http="httptools", lifespan="off", access_log=False, log_level="error")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    if sys.argv[1] == "raw":
        _serve_raw(Path(sys.argv[2]))
    else:
        import uvloop

        print(json.dumps(uvloop.run(_send_paced(int(sys.argv[2]), Path(sys.argv[3])))))
