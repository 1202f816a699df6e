# SPDX-License-Identifier: Apache-2.0
"""The gateway: one raw ASGI application that serves many services and is paid for every call.

    POST /services/ID            a call: JSON in, {"result": ..., "evidence": ...} out
    GET  /services/ID            what it is, what it takes and gives, its price
    GET, POST /services/ID/refund   x402's cooperative refund of a channel
    GET  /services, /health, /.well-known/agent-registration.json
    GET  /blocks/CID             a Work's registration file, for whoever has no copy
    POST /settle                 for the owner: claim and settle now (bearer token from the data directory)

Errors are RFC 9457 problems. No framework: a paid call costs some 200 microseconds, most of them in the
signature check, and a framework would double that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from koinon.errors import BadInput, KoinonError, NotFound
from koinon.services.asgi import (
    BODY_LIMIT,
    JSON,
    PROBLEM,
    Headers,
    Receive,
    RequestProblem,
    Scope,
    Send,
    header,
    is_json,
    problem_of,
    read_body,
    read_rest,
    respond,
    too_large,
)
from koinon.services.cashier import Cashier
from koinon.services.channel import ChannelRefused
from koinon.services.endpoint import Endpoint
from koinon.services.executor import Inline, Runner, Workers
from koinon.services.headers import HeaderReader
from koinon.services.journal import CallRecord
from koinon.services.ledger import Refused
from koinon.services.prices import to_text
from koinon.services.registry import Registry, Service
from koinon.services.settlement import Settlement
from koinon.services.x402 import (
    BATCH,
    BatchPayment,
    Terms,
    TransferPayment,
    encode,
    payment_required,
)

ANSWERS_KEPT: Final = 4096
ANSWER_KEPT_LIMIT: Final = 65_536
KEY_LIMIT: Final = 64
FILE_HEADERS: Final[Headers] = [JSON, (b"cache-control", b"public, max-age=31536000, immutable")]
"""Of a block, which never changes: its address is its digest."""


@dataclass
class Open:
    """A service as the gateway holds it: its runner, its terms, and what never changes in its answers."""

    service: Service
    runner: Runner
    terms: Terms
    url: str
    description: bytes
    evidence_head: bytes
    unpaid: bytes
    headers: HeaderReader


class Answer(NamedTuple):
    """What a paid call got, kept for a retry of the same call."""

    input_digest: bytes
    headers: Headers
    body: bytes


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
        How often it settles by itself; 0 only when asked.
    settle_at : int
        It also settles once channels owe this much in all, in the coin's smallest unit; 0 never.
    watch_every_s : float
        How often it looks for changed services and for announced withdrawals.
    blocks : callable, optional
        CID → bytes of a registration file that may be given out; NotFound, BadInput (see `PublicFiles`).
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
        watch_every_s: float = 5.0,
        blocks: Callable[[str], bytes] | None = None,
    ) -> None:
        self._blocks = blocks
        self.url = url.rstrip("/")
        self.cashier = cashier
        self.settlement = Settlement(cashier, minimum=minimum_claim, tills=self._tills)
        self._registry = registry
        self._token = token.encode()
        self._settle_every_s = settle_every_s
        self._settle_at = settle_at
        self._watch_every_s = watch_every_s
        self._version: tuple[int, int] | None = None
        self._services: dict[str, Open] = {}
        self._answers: OrderedDict[tuple[bytes, bytes], asyncio.Future[Answer]] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self.faults: dict[int, str] = {}

    async def open(self) -> None:
        """Load every service and every channel's state; start watching. A service that cannot be loaded is
        reported in `faults` and answers 503; the others are served."""
        if self.cashier.channels:
            await self.cashier.refresh(list(self.cashier.channels))
        await self.reload()
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching, end the workers, close the journal. Does not settle."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for opened in self._services.values():
            await opened.runner.close()
        self.cashier.close()

    async def reload(self) -> None:
        """Read the registry again if it changed."""
        version = self._registry.version()
        if version == self._version:
            return
        self._version = version
        wanted = self._registry.all()
        held = {opened.service.work_id: (path, opened) for path, opened in self._services.items()}
        for work_id, (path, opened) in held.items():
            if wanted.get(work_id) != opened.service:
                del self._services[path]
                await opened.runner.close()
        for work_id, service in wanted.items():
            path = f"/services/{work_id}"
            if path in self._services:
                continue
            try:
                self._services[path] = await self._open_service(service)
                self.faults.pop(work_id, None)
            except KoinonError as error:
                self.faults[work_id] = error.message

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            opened = self._services.get(scope["path"])
            if opened is not None and scope["method"] == "POST":
                await self._call(opened, scope, receive, send)
            else:
                await self._other(opened, scope, receive, send)
        except RequestProblem as error:
            await respond(
                send, error.status, [PROBLEM, (b"connection", b"close")], orjson.dumps(error.problem())
            )
        except KoinonError as error:
            await respond(send, error.http_status, [PROBLEM], orjson.dumps(problem_of(error)))

    async def _call(self, opened: Open, scope: Scope, receive: Receive, send: Send) -> None:
        payment_header = call_key = content_type = length = b""
        for name, value in scope["headers"]:
            if name == b"payment-signature":
                payment_header = value
            elif name == b"idempotency-key":
                call_key = value
            elif name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = value
        if length and (not length.isdigit() or int(length) > BODY_LIMIT):
            raise too_large()
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body = message.get("body", b"")
        else:
            body = await read_rest(receive, message)
        if not payment_header:
            await respond(send, 402, [PROBLEM, (b"payment-required", opened.unpaid)], _UNPAID)
            return
        payment = opened.headers.read(payment_header)
        if isinstance(payment, BatchPayment) and payment.kind == "refund":
            await self._refund(opened, payment, send)
            return
        if content_type != b"application/json" and not is_json(content_type):
            raise RequestProblem(
                415, "The body is not JSON.", "Send content-type: application/json.", "service.content_type"
            )
        if len(call_key) > KEY_LIMIT:
            raise BadInput("The idempotency key is too long.", hint=f"At most {KEY_LIMIT} bytes.")
        input_digest = hashlib.sha256(body).digest()
        try:
            if isinstance(payment, TransferPayment):
                await self._by_transfer(opened, payment, body, input_digest, send)
            else:
                answer = await self._by_channel(opened, payment, body, input_digest, call_key)
                await respond(send, 200, answer.headers, answer.body)
        except Refused as refused:
            await self._refuse(opened, refused, send)

    async def _by_channel(
        self, opened: Open, payment: BatchPayment, body: bytes, input_digest: bytes, call_key: bytes
    ) -> Answer:
        runner, terms, work_id = opened.runner, opened.terms, opened.service.work_id
        pay = self.cashier.pay_by_deposit if payment.kind == "deposit" else self.cashier.pay_by_voucher
        if not call_key:
            result, response = await pay(terms, work_id, payment, None, lambda: runner.call(body))
            return self._answer(opened, input_digest, result, response)
        known = (payment.voucher.channel_id, call_key)
        record = CallRecord(call_key, input_digest)
        pending: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        mine = self._answers.setdefault(known, pending) is pending
        try:
            result, response = await pay(terms, work_id, payment, record, lambda: runner.call(body))
        except BaseException as error:
            if mine:
                self._answers.pop(known, None)
                pending.cancel()
            if isinstance(error, ChannelRefused):
                again = await self._again(opened, payment, body, record, mine)
                if again is not None:
                    return again
            raise
        answer = self._answer(opened, input_digest, result, response)
        if len(answer.body) > ANSWER_KEPT_LIMIT:
            self._answers.pop(known, None)
        if not pending.done():
            pending.set_result(answer)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return answer

    async def _again(
        self, opened: Open, payment: BatchPayment, body: bytes, record: CallRecord, mine: bool
    ) -> Answer | None:
        """The answer to a call that this voucher already paid: kept, still being computed, or computed
        again."""
        channel_id = payment.voucher.channel_id
        known = (channel_id, record.call_key)
        self.cashier.authenticate(payment)
        kept = None if mine else self._answers.get(known)
        if kept is not None:
            try:
                answer = await asyncio.shield(kept)
            except asyncio.CancelledError:
                return None
            return answer if answer.input_digest == record.input_digest else None
        paid = self.cashier.paid_before(channel_id, record.call_key)
        if paid is None or paid.input_digest != record.input_digest:
            return None
        result = await opened.runner.call(body)
        answer = self._answer(
            opened, record.input_digest, result, self.cashier.acknowledge(opened.terms, channel_id)
        )
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        done.set_result(answer)
        self._answers[known] = done
        return answer

    async def _by_transfer(
        self, opened: Open, payment: TransferPayment, body: bytes, input_digest: bytes, send: Send
    ) -> None:
        result, response, record = await self.cashier.transfers.pay(
            opened.terms, opened.service.work_id, payment, input_digest, lambda: opened.runner.call(body)
        )
        answer = self._answer(opened, input_digest, result, response)
        await respond(send, 200, answer.headers, answer.body)
        self.cashier.transfers.answered(record, response["transaction"])

    def _answer(self, opened: Open, input_digest: bytes, result: bytes, response: dict[str, Any]) -> Answer:
        body = b"".join((b'{"result":', result, opened.evidence_head, input_digest.hex().encode(), b'"}}'))
        return Answer(input_digest, [JSON, (b"payment-response", encode(response))], body)

    async def _refuse(self, opened: Open, refused: Refused, send: Send) -> None:
        state = voucher = None
        if isinstance(refused, ChannelRefused):
            state, voucher = refused.channel_state, refused.voucher_state
        required = encode(
            payment_required(
                opened.terms,
                opened.url,
                opened.service.description,
                error=refused.reason,
                channel_state=state,
                voucher_state=voucher,
            )
        )
        body = orjson.dumps(refused.problem() | {"reason": refused.reason})
        await respond(send, 402, [PROBLEM, (b"payment-required", required)], body)

    async def _refund(self, opened: Open, payment: BatchPayment, send: Send) -> None:
        try:
            response = await self.cashier.refund(opened.terms, opened.service.work_id, payment)
        except Refused as refused:
            await self._refuse(opened, refused, send)
            return
        body = orjson.dumps({"refunded": response["amount"], "transaction": response["transaction"]})
        await respond(send, 200, [JSON, (b"payment-response", encode(response))], body)

    async def _other(self, opened: Open | None, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method in ("GET", "HEAD") and opened is not None:
            await respond(send, 200, [JSON], opened.description)
        elif path.endswith("/refund") and (opened := self._services.get(path.removesuffix("/refund"))):
            await read_body(receive)
            signed = header(scope, b"payment-signature")
            if not signed:
                await respond(send, 402, [PROBLEM, (b"payment-required", opened.unpaid)], _UNPAID)
                return
            payment = opened.headers.read(signed)
            if not isinstance(payment, BatchPayment) or payment.kind != "refund":
                raise BadInput(
                    "This address only refunds.", hint="Send a refund payload.", code="payment.not_a_refund"
                )
            await self._refund(opened, payment, send)
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
            items = b",".join(opened.description for opened in self._services.values())
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
        return [opened.service.till for opened in self._services.values()]

    def health(self) -> dict[str, Any]:
        """How the gateway is doing; amounts in the coin's smallest unit."""
        return {
            "status": "degraded" if self.faults else "ok",
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
                {"name": opened.service.name, "endpoint": opened.url, "version": "1"}
                for opened in self._services.values()
            ],
            "x402Support": True,
            "active": True,
            "registrations": [
                {"agentId": opened.service.work_id, "agentRegistry": registry}
                for opened in self._services.values()
            ],
        }

    async def _open_service(self, service: Service) -> Open:
        runner = await _runner(service)
        chain = self.cashier.chain
        url = f"{self.url}/services/{service.work_id}"
        terms = Terms(
            chain.chain.chain_id,
            chain.coin,
            chain.coin_name,
            chain.coin_version,
            service.till,
            service.price,
            self.cashier.authorizer,
            minimum_deposit=10 * service.price,
        )
        registry = chain.chain.network.address("Works")
        evidence = {
            "work": f"eip155:{terms.chain_id}:{registry}/{service.work_id}",
            "work_id": service.work_id,
            "card": service.card,
            "validation": "none",
        }
        description = {
            "work_id": service.work_id,
            "work": evidence["work"],
            "name": service.name,
            "description": service.description,
            "url": url,
            "method": "POST",
            "price": {
                "amount": str(service.price),
                "decimal": to_text(service.price, chain.decimals),
                "symbol": chain.coin_symbol,
                "asset": chain.coin,
                "decimals": chain.decimals,
            },
            "schema": runner.signature.to_dict(),
            "example": service.example,
            "card": service.card,
            "registration": service.registration,
            "x402": {"version": 2, "accepts": [terms.requirements(BATCH), terms.requirements("exact")]},
        }
        return Open(
            service,
            runner,
            terms,
            url,
            orjson.dumps(description),
            b',"evidence":' + orjson.dumps(evidence)[:-1] + b',"input_digest":"0x',
            encode(payment_required(terms, url, service.description)),
            HeaderReader(terms),
        )

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
        if work_id.isdigit() and int(work_id) in self.faults:
            return RequestProblem(
                503,
                f"This service cannot be served: {self.faults[int(work_id)]}",
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
                due = bool(self._settle_every_s) and now - settled_at >= self._settle_every_s
                due = due or 0 < self._settle_at <= self.settlement.owed()
                if now - looked_at >= self._watch_every_s and self.cashier.channels:
                    looked_at = now
                    leaving = await self.cashier.refresh()
                    due = due or any(channel.account.unclaimed for channel in leaving)
                if due:
                    settled_at = now
                    if self.settlement.owed():
                        await self.settlement.settle()
                self.faults.pop(0, None)
            except KoinonError as error:
                self.faults[0] = error.message


async def _runner(service: Service) -> Runner:
    if service.kind == "model":
        from koinon.services import models  # noqa: PLC0415  (only who serves a model needs numpy)

        return models.ModelRunner(models.load(Path(service.target)), service.name, service.description)
    if service.kind == "endpoint":
        return Endpoint(
            service.target,
            service.name,
            service.description,
            example=service.example,
            timeout_s=service.timeout_s,
        )
    if service.inline:
        from koinon.services import schema  # noqa: PLC0415  (workers bring their own pydantic)

        return Inline(schema.load(service.target))
    workers = Workers(service.target, count=service.workers, timeout_s=service.timeout_s)
    await workers.start()
    return workers


_UNPAID: Final = orjson.dumps(
    {
        "type": "urn:koinon:error:payment.required",
        "title": "This call must be paid.",
        "status": 402,
        "detail": "The PAYMENT-REQUIRED header says how (x402 version 2).",
        "code": "payment.required",
    }
)


if __name__ == "__main__":
    import sys

    from koinon.services.serve import run_config

    sys.exit(run_config(Path(sys.argv[1])))
