# SPDX-License-Identifier: Apache-2.0
"""Starts a gateway: wires chain, journal, cashier and application together and runs it on uvicorn."""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, write_private
from koinon.errors import BadInput, KoinonError, SetupError
from koinon.services.cashier import Cashier
from koinon.services.files import Blocks, PublicFiles
from koinon.services.gateway import Gateway
from koinon.services.journal import Journal
from koinon.services.onchain import OnChain
from koinon.services.registry import Registry
from koinon.store import BlockStore

OWNER_FILE = "owner.token"
ADDRESS_FILE = "gateway.json"
CONNECTIONS = 2048


@dataclass(frozen=True)
class GatewayOptions:
    """How to serve.

    ``port`` 0 takes a free one; ``url`` how buyers reach the gateway (its own address by default);
    ``settle_at`` and ``minimum_claim`` in the coin's smallest unit, see `Gateway`; ``certificate`` and
    ``private_key`` PEM files for https.
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
    say: Callable[[dict[str, Any]], None],
    *,
    store: Blocks | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then settle. ``say`` is told when it is ready and what the end settled.
    Registration files in ``store`` are given to whoever asks.

    Raises SetupError when the port is taken.
    """
    listener = _listen(options)
    port = listener.getsockname()[1]
    scheme = "https" if options.certificate else "http"
    url = options.url or f"{scheme}://{options.host}:{port}"
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
        blocks=None if store is None else PublicFiles(chain, store),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            gateway,
            http="httptools",
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
            ssl_certfile=options.certificate,
            ssl_keyfile=options.private_key,
        )
    )
    address_file = data_dir / ADDRESS_FILE
    try:
        _stop_on_signals(server)
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


def _stop_on_signals(server: uvicorn.Server) -> None:
    """Signal handlers of our own: uvicorn's would raise the signal again once it has stopped."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def check_place(options: GatewayOptions) -> None:
    """SetupError when a gateway could not listen there now."""
    _listen(options).close()


def _listen(options: GatewayOptions) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        listener.close()
        raise SetupError(
            f"The gateway cannot listen on {options.host}:{options.port} ({error.strerror}).",
            hint="Set KOINON_PORT to another port, or to 0 for any free one.",
            code="service.port",
        ) from error
    listener.listen(1024)
    return listener


def run_config(path: Path) -> int:
    """Run the gateway that a JSON file describes; the exit status.

    Fields: ``network`` (file), ``key`` (keystore), ``password_file``, ``data_dir``, optionally ``rpc_url``,
    ``blocks`` (the content store's folder) and the fields of `GatewayOptions`. Standard output carries one
    JSON document a line: ready, settled, stopped.
    """

    def say(event: dict[str, Any]) -> None:
        sys.stdout.write(orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
        sys.stdout.flush()

    try:
        config = read_config(path)
        data_dir = Path(config.pop("data_dir"))
        blocks = config.pop("blocks", None)
        store = None if blocks is None else BlockStore(Path(blocks))
        with open_chain(config) as chain:
            key = open_key(config)
            options = GatewayOptions(**config)
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(run(chain, key, data_dir, options, say, store=store))
    except KoinonError as error:
        say({"event": "failed", **error.problem()})
        return error.exit_status
    except (TypeError, KeyError) as error:
        say({"event": "failed", "title": f"The configuration is wrong: {error}"})
        return 2
    return 0


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415  (not on every system)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


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
