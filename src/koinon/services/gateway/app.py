# SPDX-License-Identifier: Apache-2.0
"""The gateway: one raw ASGI application that serves many services and is paid for every call.

    POST /services/ID            a call: JSON in, {"result": ..., "evidence": ...} out
    GET  /services/ID            what it is, what it takes and gives, its price
    POST /services/ID/headroom   a voucher ahead of calls and streams; a token for calls without one
    GET, POST /services/ID/refund   x402's cooperative refund of a channel
    GET  /sealing                the key that sealed calls are sealed to (see `sealed_door`)
    GET  /services, /health, /.well-known/agent-registration.json
    GET  /blocks/CID             a Work's registration file, for whoever has no copy
    /mcp, /a2a, agent cards      the same services for clients of MCP and A2A, see `doors`
    /facilitator/verify, settle, supported   other people's x402 payments, where it is told to
    POST /settle                 for the owner: claim and settle now (bearer token from the data directory)

Errors are RFC 9457 problems. No framework: a paid call costs some 200 microseconds, most of them in the
signature check, and a framework would double that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.errors import KoinonError, NotFound
from koinon.services.doors.site import Doors, endpoints
from koinon.services.facilitator.app import FacilitatorApp
from koinon.services.facilitator.payments import Facilitator
from koinon.services.gateway.asgi import (
    JSON,
    Headers,
    Receive,
    RequestProblem,
    Scope,
    Send,
    header,
    read_body,
    respond,
    respond_error,
)
from koinon.services.gateway.calls import Calls
from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.free import FreeCalls, free_domain
from koinon.services.gateway.gas_floor import GasFloor
from koinon.services.gateway.gas_policy import GasPolicy
from koinon.services.gateway.offer import Offer, open_offer, open_pledge
from koinon.services.gateway.paying_door import PayingDoor
from koinon.services.gateway.registry import Registry
from koinon.services.gateway.settlement import Settlement
from koinon.services.sealing.door import SealedDoor
from koinon.services.sealing.keys import SealingKeys

FILE_HEADERS: Final[Headers] = [JSON, (b"cache-control", b"public, max-age=31536000, immutable")]
"""Of a block, which never changes: its address is its digest."""


class Gateway:
    """The ASGI application. Call `open` before serving and `close` after.

    Parameters
    ----------
    cashier : Cashier
    registry : Registry
    url : str
        How buyers reach it, without a slash at the end.
    token : str
        Bearer token of the owner's requests.
    settle_every_s : float
        How often it settles by itself what is worth its gas; 0 only when asked, and what cannot wait.
    settle_at : int
        It also does so once channels owe this much in all, in the coin's smallest unit; 0 never.
    policy : GasPolicy, optional
        What gas is worth; by default nothing.
    facilitate_from : int
        Settle other people's x402 payments of at least so much at /facilitator; 0 for nobody's.
    watch_every_s : float
        How often it looks for changed services and for announced withdrawals.
    blocks : callable, optional
        CID → bytes of a registration file that may be given out; NotFound, BadInput (see `PublicFiles`).
    sealing : SealingKeys, optional
        Keys for sealed calls; without them calls are taken in the open only.
    """

    def __init__(
        self,
        cashier: Cashier,
        registry: Registry,
        *,
        url: str,
        token: str,
        settle_every_s: float = 60.0,
        settle_at: int = 0,
        minimum_claim: int = 1,
        policy: GasPolicy | None = None,
        facilitate_from: int = 0,
        watch_every_s: float = 5.0,
        blocks: Callable[[str], bytes] | None = None,
        sealing: SealingKeys | None = None,
    ) -> None:
        self._blocks = blocks
        self._sealed = None if sealing is None else SealedDoor(self, sealing)
        self.url = url.rstrip("/")
        self.cashier = cashier
        if policy is not None:
            cashier.gas = GasFloor(policy)
        self.settlement = Settlement(cashier, minimum=minimum_claim, tills=self._tills)
        self._registry = registry
        self._token = token.encode()
        self._settle_every_s = settle_every_s
        self._settle_at = settle_at
        self._watch_every_s = watch_every_s
        self._version: tuple[int, int] | None = None
        self._services: dict[str, Offer] = {}
        works = cashier.chain.chain.network.address("Works")
        domain = free_domain(cashier.chain.chain.chain_id, works)
        self.calls = Calls(cashier, FreeCalls(cashier.journal, domain, cashier.authorizer))
        self._paying = PayingDoor(cashier, self.calls, self._token)
        self._facilitator = None
        if facilitate_from:
            facilitator = Facilitator(cashier.chain, cashier.transfers, cashier.run, minimum=facilitate_from)
            self._facilitator = FacilitatorApp(facilitator, root="/facilitator")
        self._doors = Doors(self, self.url, self._services)
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self.faults: dict[int, str] = {}

    async def open(self) -> None:
        """Load every service and every channel's state; start watching. A service that cannot be loaded is
        reported in `faults` and answers 503; the others are served."""
        if self.cashier.channels:
            await self.cashier.refresh(list(self.cashier.channels))
        await self._price_gas()
        await self.reload()
        self._task = asyncio.create_task(self._watch())

    def drain(self) -> None:
        """Take no new paid calls, and let streams end at their next part; those that run go on."""
        self._paying.drain()

    async def close(self) -> None:
        """Stop watching, end the workers, close the journal. Does not settle."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._doors.close()
        leaving = list(self._leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        for offer in self._services.values():
            await offer.close()
        self.cashier.close()

    async def reload(self) -> None:
        """Read the registry again if it changed."""
        version = self._registry.version()
        if version == self._version:
            return
        self._version = version
        wanted = self._registry.all()
        for path, offer in list(self._services.items()):
            if offer.service.work_id not in wanted:
                self._let_leave(self._services.pop(path))
        for work_id, service in wanted.items():
            path = f"/services/{work_id}"
            before = self._services.get(path)
            if before is not None and before.service == service:
                continue
            try:
                offer = await open_offer(service, self.cashier.chain, self.url)
                offer.ask_deposit(self.cashier.gas.least_deposit)
                self._services[path] = offer  # what stood there answers until now
                offer.pledge = open_pledge(self._registry.path.parent, service, self.cashier.chain)
                self.faults.pop(work_id, None)
                if offer.fault:
                    self.faults[work_id] = offer.fault
            except KoinonError as error:
                self.faults[work_id] = error.message
                if self._services.get(path) is before:
                    self._services.pop(path, None)
            if before is not None:
                self._let_leave(before)

    async def _price_gas(self) -> None:
        """Look at what gas costs, where that matters, and ask for deposits that are worth it."""
        gas = self.cashier.gas
        if gas.policy.coins_per_ether and gas.look(await self.cashier.run(self.cashier.chain.gas_price)):
            for offer in self._services.values():
                offer.ask_deposit(gas.least_deposit)

    def _let_leave(self, offer: Offer) -> None:
        """Calls that run finish with what they began with; nobody new comes to it."""
        task = asyncio.create_task(offer.leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            offer = self._services.get(scope["path"])
            if self._facilitator is not None and self._facilitator.takes(scope["path"]):
                await self._facilitator(scope, receive, send)
            elif self._sealed is not None and self._sealed.takes(scope):
                await self._sealed(scope, receive, send)
            elif offer is not None and scope["method"] == "POST":
                await self._paying.call(offer, scope, receive, send)
            elif offer is None and self._doors.takes(scope["path"]):
                await self._doors(scope, receive, send)
            else:
                await self._other(offer, scope, receive, send)
        except KoinonError as error:
            await respond_error(send, error)

    async def _other(self, offer: Offer | None, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method in ("GET", "HEAD") and offer is not None:
            await respond(send, 200, [JSON], offer.description)
        elif (
            method == "POST"
            and path.endswith("/headroom")
            and (offer := self._services.get(path.removesuffix("/headroom")))
        ):
            await self._paying.sign_ahead(offer, scope, receive, send)
        elif path.endswith("/refund") and (offer := self._services.get(path.removesuffix("/refund"))):
            await self._paying.refund(offer, scope, receive, send)
        elif method == "POST" and path == "/settle":
            await read_body(receive)
            self._authorize(scope)
            report = await self.settlement.settle(everything=True)
            await respond(send, 200, [JSON], orjson.dumps(report.to_dict()))
        elif method not in ("GET", "HEAD"):
            raise RequestProblem(
                405,
                "This address takes no such request.",
                "GET /services lists what it offers.",
                "service.method",
            )
        elif path == "/services":
            items = b",".join(offer.description for offer in self._services.values())
            await respond(send, 200, [JSON], b'{"services":[' + items + b"]}")
        elif path == "/health":
            await respond(send, 200, [JSON], orjson.dumps(self.health()))
        elif path == "/.well-known/agent-registration.json":
            await respond(send, 200, [JSON], orjson.dumps(self.agent_registration()))
        elif path.startswith("/blocks/") and self._blocks is not None:
            cid = path.removeprefix("/blocks/")
            data = await asyncio.get_running_loop().run_in_executor(None, self._blocks, cid)
            await respond(send, 200, FILE_HEADERS, data)
        else:
            raise self._missing(path)

    def _tills(self) -> list[str]:
        return [offer.service.till for offer in self._services.values()]

    def health(self) -> dict[str, Any]:
        """How the gateway is doing; amounts in the coin's smallest unit."""
        return {
            "status": "stopping" if self._paying.stopping else "degraded" if self.faults else "ok",
            "services": len(self._services),
            "faults": {str(work_id): fault for work_id, fault in self.faults.items()},
            "channels": len(self.cashier.channels),
            "owed": self.settlement.owed(),
            "chain_id": self.cashier.chain.chain.chain_id,
            "authorizer": self.cashier.authorizer,
        }

    def agent_registration(self) -> dict[str, Any]:
        """The domain proof of ERC-8004: which registry entries this host speaks for, and how to call them."""
        chain = self.cashier.chain.chain
        registry = f"eip155:{chain.chain_id}:{chain.network.address('Works')}"
        return {
            "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
            "name": "Koinon gateway",
            "description": "Services that are called for money; every payment goes to the Work's till.",
            "services": [
                *endpoints(self.url),
                *(
                    {"name": offer.service.name, "endpoint": offer.url, "version": "1"}
                    for offer in self._services.values()
                ),
            ],
            "x402Support": True,
            "active": True,
            "registrations": [
                {"agentId": offer.service.work_id, "agentRegistry": registry}
                for offer in self._services.values()
            ],
        }

    def _authorize(self, scope: Scope) -> None:
        given = header(scope, b"authorization")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            raise RequestProblem(
                401,
                "Only the gateway's owner may do this.",
                "Send the token from its data directory.",
                "service.owner",
            )

    def _missing(self, path: str) -> KoinonError:
        work_id = path.removeprefix("/services/")
        fault = next((self.faults[each] for each in self.faults if str(each) == work_id), "")
        if fault:
            return RequestProblem(
                503,
                f"This service cannot be served: {fault}",
                "Tell its owner.",
                "service.fault",
            )
        return NotFound("There is nothing at this address.", hint="GET /services lists what there is.")

    async def _watch(self) -> None:
        """Pick up changed services, see announced withdrawals, settle when it is time. Faults are kept for
        /health and tried again: a gateway outlives its node's restart."""
        loop = asyncio.get_running_loop()
        settled_at = looked_at = loop.time()
        while True:
            await asyncio.sleep(min(1.0, self._watch_every_s))
            try:
                await self.reload()
                now = loop.time()
                ripe = bool(self._settle_every_s) and now - settled_at >= self._settle_every_s
                ripe = ripe or 0 < self._settle_at <= self.settlement.owed()
                if ripe:
                    settled_at = now
                if ripe or now - looked_at >= self._watch_every_s:
                    looked_at = now
                    await self._price_gas()
                    await self.cashier.refresh()
                    await self.settlement.settle_due(ripe=ripe)
                self.faults.pop(0, None)
            except KoinonError as error:
                self.faults[0] = error.message


if __name__ == "__main__":
    import sys

    from koinon.services.gateway.serve import run_config

    sys.exit(run_config(Path(sys.argv[1])))
