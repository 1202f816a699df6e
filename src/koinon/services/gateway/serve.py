# SPDX-License-Identifier: Apache-2.0
"""Starts a gateway: wires chain, journal, cashier and application together and runs it on uvicorn."""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from koinon import process, serving
from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.errors import BadInput, SetupError
from koinon.process import Say
from koinon.services.gateway.app import Gateway
from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.files import Blocks, PublicFiles
from koinon.services.gateway.gas_policy import GasPolicy
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.paying_door import DRAIN_S
from koinon.services.gateway.registry import Registry
from koinon.services.jobs.deliverable import handed_in
from koinon.services.sealing.calls import sealing_domain
from koinon.services.sealing.keys import SealingKeys
from koinon.store import BlockStore

OWNER_FILE = "owner.token"
ADDRESS_FILE = "gateway.json"
CONNECTIONS = 2048
KEEP_ALIVE_S = 75
HEADERS_S = 10.0
"""From a connection's, or a request's, first byte to the end of its headers."""


@dataclass(frozen=True)
class GatewayOptions:
    """How to serve.

    ``port`` 0 takes a free one; ``url`` how buyers reach the gateway (its own address by default);
    ``settle_at`` and ``minimum_claim`` in the coin's smallest unit, see `Gateway`; ``certificate`` and
    ``private_key`` PEM files for https; ``drain_s`` how long calls that run may go on after SIGTERM;
    ``coins_per_ether`` and ``gas_share_percent`` as in `GasPolicy` (test networks' gas costs nothing);
    ``facilitate_from`` as in `Gateway`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    url: str | None = None
    settle_every_s: float = 60.0
    settle_at: int = 0
    minimum_claim: int = 1
    certificate: str | None = None
    private_key: str | None = None
    settle_on_exit: bool = True
    drain_s: int = int(DRAIN_S)
    coins_per_ether: int | None = None
    gas_share_percent: int = 5
    facilitate_from: int = 0


def owner_token(data_dir: Path) -> str:
    """The token of the gateway's owner, made on first use; only the owner's account may read it."""
    path = data_dir / OWNER_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text()


async def run(
    chain: Chain,
    key: Account,
    data_dir: Path,
    options: GatewayOptions,
    say: Say,
    *,
    store: Blocks | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then settle. ``say`` is told when it is ready and what the end settled.
    Registration files in ``store``, and what was handed in for jobs beside ``data_dir``, are given to
    whoever asks.

    Raises SetupError when the port is taken.
    """
    listener = listen(options.host, options.port)
    url = options.url or serving.url_of(options.host, listener, https=bool(options.certificate))
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = Journal(data_dir / "journal.sqlite")
    gateway = Gateway(
        Cashier(OnChain(chain, key), journal),
        Registry(data_dir),
        url=url,
        token=owner_token(data_dir),
        settle_every_s=options.settle_every_s,
        settle_at=options.settle_at,
        minimum_claim=options.minimum_claim,
        policy=GasPolicy(
            0 if chain.network.test_money and options.coins_per_ether is None else options.coins_per_ether,
            options.gas_share_percent,
        ),
        facilitate_from=options.facilitate_from,
        blocks=None if store is None else PublicFiles(chain, store, handed_in(data_dir.parent)),
        sealing=SealingKeys(data_dir, key, sealing_domain(chain)),
    )
    server = serving.http_server(
        gateway,
        connections=CONNECTIONS,
        drain_s=options.drain_s,
        certificate=options.certificate,
        private_key=options.private_key,
        keep_alive_s=KEEP_ALIVE_S,
        protocol=PromptConnection,
    )
    address_file = data_dir / ADDRESS_FILE
    try:
        serving.stop_on_signals(server, gateway.drain)
        await gateway.open()
        write_private(address_file, orjson.dumps({"url": url}))
        services = [{"work_id": path, "url": f"{url}/services/{path}"} for path in Registry(data_dir).all()]
        say({"event": "ready", "url": url, "services": services, "faults": gateway.faults})
        # What lives until the end need not be looked at again and again: a tenth of a busy gateway's time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        await server._serve([listener])
        if options.settle_on_exit:
            report = await gateway.settlement.settle(everything=True)
            say({"event": "settled", **report.to_dict()})
    finally:
        address_file.unlink(missing_ok=True)
        await gateway.close()
    say({"event": "stopped"})


class PromptConnection(HttpToolsProtocol):
    """A connection that is closed where a request's headers are not whole in time: each counts against
    `CONNECTIONS`, and one that says nothing would count for ever."""

    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_headers()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        self._have_headers()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_S, self.transport.close)

    def _have_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None


def check_place(options: GatewayOptions) -> None:
    """SetupError when a gateway could not listen there now."""
    listen(options.host, options.port).close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; SetupError where the port is taken."""
    try:
        return serving.listen(host, port)
    except OSError as error:
        raise SetupError(
            f"The gateway cannot listen on {host}:{port} ({error.strerror}).",
            hint="Set KOINON_PORT to another port, or to 0 for any free one.",
            code="service.port",
        ) from error


def run_config(path: Path) -> int:
    """Run the gateway that a JSON file describes; the exit status.

    Fields: ``network`` (file), ``key`` (keystore), ``password_file``, ``data_dir``, optionally ``rpc_url``,
    ``blocks`` (the content store's folder) and the fields of `GatewayOptions`. Standard output carries one
    JSON document a line: ready, settled, stopped.
    """

    def run_described() -> None:
        config = read_config(path)
        data_dir = Path(config.pop("data_dir"))
        blocks = config.pop("blocks", None)
        store = None if blocks is None else BlockStore(Path(blocks))
        with open_chain(config) as chain:
            key = open_key(config)
            options = GatewayOptions(**config)
            with asyncio.Runner(loop_factory=serving.loop_factory()) as runner:
                runner.run(run(chain, key, data_dir, options, process.say, store=store))

    return process.exit_status(run_described)


def read_config(path: Path) -> dict[str, Any]:
    """A configuration file; BadInput when it is not one JSON object."""
    try:
        config = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not a readable configuration: {error}.", code="service.config") from None
    if not isinstance(config, dict):
        raise BadInput(f"{path} does not hold a JSON object.", code="service.config")
    return config


def open_chain(config: dict[str, Any]) -> Chain:
    """The chain that a configuration names; takes its fields out."""
    return Chain.open(config.pop("network"), rpc_url=config.pop("rpc_url", None))


def open_key(config: dict[str, Any]) -> Key:
    """The key that a configuration names; takes its fields out."""
    password = Path(config.pop("password_file")).read_text().strip()
    return Key.load(config.pop("key"), password)
