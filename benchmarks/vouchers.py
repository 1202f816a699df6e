# SPDX-License-Identifier: Apache-2.0
"""What a paid call costs the gateway, beside x402's own server taking `exact` payments on the same node.

Both figures are calls per CPU second of the serving process, so that a busy machine blurs them less. The
gateway has its journal on and answers an inline function; 64 buyers call at once over keep-alive connections
from a second process, each call with a new voucher. The peer is x402's FastAPI middleware with its
facilitator in the same process, paid by its own httpx client.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from koinon.chain.keys import Key
from koinon.node import Node
from koinon.services.api import Services
from koinon.services.buying.transport import Http
from koinon.services.gateway.registry import Registry, Service
from koinon.services.prices import to_units
from koinon.settings import Settings
from koinon.works.channels import Channels
from koinon.works.payments import ChannelPayment, encode_header

CHANNELS = 64
CALLS = 150
ROUNDS = 3
PEER_CALLS = 30
PRICE = "0.001"
PASSWORD = secrets.token_hex(8)
FUNCTION = "def score(income: float, age: int = 40) -> float:\n    return income / 1000 + age\n"
BODY = b'{"income": 5000.0, "age": 37}'


def run() -> Iterator[dict[str, Any]]:
    """The two figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Node.open(Settings.load({"HOME": folder}, home=home)) as node:
            ours = max(_vouchers(node, home))
            peer = _exact(node, home)
    yield {
        "name": "vouchers.calls_per_s_core",
        "ours": round(ours),
        "peer": None,
        "ratio": None,
        "unit": "verified paid calls per CPU second of the gateway",
        "target": 3000,
        "ok": ours >= 3000,
    }
    yield {
        "name": "vouchers.vs_x402_exact",
        "ours": round(ours),
        "peer": round(peer, 1),
        "ratio": round(ours / peer, 1),
        "unit": "paid calls per CPU second of the server",
        "target": 150,
        "ok": ours / peer >= 150,
    }


def _vouchers(node: Node, home: Path) -> Iterator[float]:
    key = Key.generate()
    node.fund(key.address)
    (home / "app.py").write_text(FUNCTION)
    services = Services(node.chain, node.store, home / "gateway", node.operator, gateway_key=key)
    listing = services.publish(f"{home / 'app.py'}:score", PRICE)
    registry = Registry(home / "gateway")
    fields = registry.get(listing.work_id).to_dict() | {"inline": True}
    registry.add(Service(**fields))
    config = _gateway_config(home, key)
    with _process("-m", "koinon.services.gateway.app", str(config)) as gateway:
        url = _next_line(gateway)["url"]
        requests = _requests(node, f"{url}/services/{listing.work_id}", listing.till, key)
        file = home / "requests.json"
        for start in range(0, ROUNDS * CALLS, CALLS):
            part = [each[start : start + CALLS] for each in requests]
            file.write_text(json.dumps([[text.decode() for text in each] for each in part]))
            before = _cpu_seconds(gateway.pid)
            port = url.rsplit(":", 1)[1]
            subprocess.run([sys.executable, "-m", "benchmarks.vouchers", "load", port, str(file)], check=True)
            yield CHANNELS * CALLS / (_cpu_seconds(gateway.pid) - before)


def _gateway_config(home: Path, key: Key) -> Path:
    key.save(home / "gateway.key", PASSWORD, derivation="pbkdf2")
    (home / "gateway.password").write_text(PASSWORD)
    config = {
        "network": str(home / "network.json"),
        "key": str(home / "gateway.key"),
        "password_file": str(home / "gateway.password"),
        "data_dir": str(home / "gateway"),
        "settle_every_s": 0,
    }
    (home / "gateway.json").write_text(json.dumps(config))
    return home / "gateway.json"


def _requests(node: Node, url: str, till: str, gateway: Key) -> list[list[bytes]]:
    """For each of the buyers its calls as raw HTTP, with every voucher signed beforehand."""
    http = Http()
    unpaid = http.request("POST", url, b"{}")
    http.close()
    accepted = json.loads(base64.b64decode(unpaid.headers["payment-required"]))["accepts"][0]
    price, deposit = int(accepted["amount"]), ROUNDS * CALLS * int(accepted["amount"])
    channels, coin = Channels(node.chain), node.chain.coin
    sender = node.chain.sender(node.operator)
    buyers = [Key.generate() for _ in range(CHANNELS)]
    sender.send_all([coin.transaction("mint", buyer.address, deposit) for buyer in buyers])
    opened = []
    for buyer in buyers:
        config = channels.config(buyer.address, till, gateway.address, payer_authorizer=buyer.address)
        authorization = channels.authorize_deposit(buyer, config, deposit, valid_before=2**40, salt=1)
        arguments = channels._deposit_arguments(config, authorization)
        opened.append((buyer, config, channels.contract.transaction("deposit", *arguments)))
    sender.send_all([call for _, _, call in opened])
    path = "/" + url.split("/", 3)[3]
    requests = []
    for buyer, config, _ in opened:
        channel_id = channels.digests.channel_id(config)
        calls = []
        for number in range(1, ROUNDS * CALLS + 1):
            voucher = channels.digests.sign(buyer, channel_id, number * price)
            header = encode_header(ChannelPayment("voucher", config, voucher), accepted)
            calls.append(
                f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
                f"PAYMENT-SIGNATURE: {header.decode()}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
                + BODY
            )
        requests.append(calls)
    return requests


def _exact(node: Node, home: Path) -> float:
    """x402's server and client: calls per CPU second of the server."""
    facilitator, buyer = Key.generate(), Key.generate()
    node.fund(facilitator.address)
    coin = node.chain.coin
    price = to_units(PRICE, int(coin.call("decimals")))
    node.chain.sender(node.operator).send(coin.transaction("mint", buyer.address, 2 * PEER_CALLS * price))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "port": port,
        "rpc_url": node.chain.rpc.url,
        "network": f"eip155:{node.chain.chain_id}",
        "asset": coin.address,
        "price": str(price),
        "pay_to": Key.generate().address,
        "key": _secret(facilitator),
    }
    (home / "peer.json").write_text(json.dumps(config))
    with _process("-m", "benchmarks.vouchers", "peer", str(home / "peer.json")) as server:
        _next_line(server)
        asyncio.run(_pay_peer(config, _secret(buyer), 3))
        before = _cpu_seconds(server.pid)
        asyncio.run(_pay_peer(config, _secret(buyer), PEER_CALLS))
        spent = _cpu_seconds(server.pid) - before
    if coin.call("balanceOf", config["pay_to"]) != (3 + PEER_CALLS) * price:
        raise RuntimeError("the peer was not paid")
    return PEER_CALLS / spent


async def _pay_peer(config: dict[str, Any], secret: str, calls: int) -> None:
    from eth_account import Account  # noqa: PLC0415  (the peer's own)
    from x402 import x402Client  # noqa: PLC0415
    from x402.http.clients.httpx import x402HttpxClient  # noqa: PLC0415
    from x402.mechanisms.evm.exact import ExactEvmScheme  # noqa: PLC0415
    from x402.mechanisms.evm.signers import EthAccountSigner  # noqa: PLC0415

    client = x402Client()
    client.register(config["network"], ExactEvmScheme(EthAccountSigner(Account.from_key(secret))))
    client.set_spend_controls({"allowed_assets": [{"network": config["network"], "asset": config["asset"]}]})
    async with x402HttpxClient(client, timeout=120) as http:
        for _ in range(calls):
            url = f"http://127.0.0.1:{config['port']}/score"
            answer = await http.post(url, content=BODY, headers={"Content-Type": "application/json"})
            answer.raise_for_status()


def _serve_peer(config: dict[str, Any]) -> None:
    """x402's FastAPI middleware before the same function, its facilitator in the same process."""
    import uvicorn  # noqa: PLC0415
    from fastapi import FastAPI  # noqa: PLC0415
    from x402 import x402Facilitator, x402ResourceServer  # noqa: PLC0415
    from x402.http.middleware.fastapi import PaymentMiddlewareASGI  # noqa: PLC0415
    from x402.http.types import PaymentOption, RouteConfig  # noqa: PLC0415
    from x402.mechanisms.evm import FacilitatorWeb3Signer  # noqa: PLC0415
    from x402.mechanisms.evm.exact import (  # noqa: PLC0415
        register_exact_evm_facilitator,
        register_exact_evm_server,
    )
    from x402.schemas import AssetAmount  # noqa: PLC0415

    facilitator = x402Facilitator()
    signer = FacilitatorWeb3Signer(config["key"], config["rpc_url"])
    register_exact_evm_facilitator(facilitator, signer, config["network"])
    server = x402ResourceServer(facilitator)
    register_exact_evm_server(server, config["network"])
    price = AssetAmount(
        amount=config["price"], asset=config["asset"], extra={"name": "Koinon test dollar", "version": "1"}
    )
    option = PaymentOption(scheme="exact", pay_to=config["pay_to"], price=price, network=config["network"])
    app = FastAPI()
    app.add_middleware(PaymentMiddlewareASGI, routes={"POST /score": RouteConfig(option)}, server=server)

    async def score(row: dict[str, float]) -> dict[str, float]:
        return {"result": row["income"] / 1000 + row["age"]}

    app.add_api_route("/score", score, methods=["POST"])

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(json.dumps({"event": "ready"}), flush=True)

    Server(uvicorn.Config(app, port=config["port"], access_log=False, log_level="error")).run()


class _Caller(asyncio.Protocol):
    """One connection that sends its requests one after the other."""

    def __init__(self, requests: list[bytes], done: asyncio.Future[None]) -> None:
        self._requests = iter(requests)
        self._done = done
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._done.set_exception(RuntimeError(f"a call was refused: {self._received!r}"))
            self._transport.close()
            return
        self._received = b""
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self._done.set_result(None)
        else:
            self._transport.write(request)


async def _load(port: int, file: Path) -> None:
    loop = asyncio.get_running_loop()
    finished = []
    for texts in json.loads(file.read_text()):
        done: asyncio.Future[None] = loop.create_future()
        finished.append(done)
        caller = partial(_Caller, [text.encode() for text in texts], done)
        await loop.create_connection(caller, "127.0.0.1", port)
    await asyncio.gather(*finished)


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    if process.stdout is None:
        raise RuntimeError("the process has no output")
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def _cpu_seconds(process_id: int) -> float:
    """CPU time of a process and its threads so far (Linux)."""
    time.sleep(0.05)
    fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _secret(key: Key) -> str:
    """In the clear for the peer, which has no keystore; a key made for this run."""
    return "0x" + key._private.secret.hex()


if __name__ == "__main__":
    if sys.argv[1] == "load":
        import uvloop

        uvloop.run(_load(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        _serve_peer(json.loads(Path(sys.argv[2]).read_text()))
