# SPDX-License-Identifier: Apache-2.0
"""A service as its gateway holds it: what runs it, what it asks for, and what never changes in its
answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from koinon.errors import KoinonError, PeerError
from koinon.services.gateway.admission import Admission
from koinon.services.gateway.executor import Inline, MeteredRunner, Runner, Workers
from koinon.services.gateway.free import free_terms
from koinon.services.gateway.headers import HeaderReader
from koinon.services.gateway.metering import Measured, count
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Service
from koinon.services.gateway.releases import Release, Retired
from koinon.services.gateway.x402 import Terms, encode, payment_required
from koinon.services.prices import to_text
from koinon.services.selling.signature import Signature
from koinon.services.targets.opening import open_target

if TYPE_CHECKING:
    from koinon.services.verification.pledge import Pledge

ENDPOINT_CONNECTIONS: Final = 8
DEPOSIT_CALLS: Final = 10
"""How many calls' worth a deposit is asked to be; fewer are taken where gas allows it."""
PLEDGES: Final = "pledges.json"
LEAVE_S: Final = 30.0
"""Beyond the time of one call: what a waiting call or a stream has when its offer is replaced."""


@dataclass
class Offer:
    """One service that is served.

    ``description`` answers a GET, ``unpaid`` is the PAYMENT-REQUIRED header, ``evidence_head`` what stands
    between a result and its input's digest. ``staged`` is the release that a share of the payers is answered
    by, and ``fault`` why there is none though one is wanted. ``pledge`` is the promise that its provider
    staked on, if any.
    """

    service: Service
    runner: Runner
    terms: Terms
    url: str
    description: bytes
    evidence_head: bytes
    unpaid: bytes
    headers: HeaderReader
    admission: Admission
    staged: Offer | None = None
    fault: str = ""
    pledge: Pledge | None = None
    _running: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, payer: str) -> Offer:
        """The offer that answers a payer: the staged release, for its share of them, or this one."""
        release = self.service.staged
        if self.staged is None or release is None or not release.answers(self.service.work_id, payer):
            return self
        return self.staged

    def ask_deposit(self, least: int) -> None:
        """State that a deposit must be at least this much, in the coin's smallest unit, besides ten calls."""
        self.terms = replace(self.terms, minimum_deposit=max(DEPOSIT_CALLS * self.terms.price, least))
        required = payment_required(self.terms, self.url, self.service.description)
        self.unpaid = encode(required)
        self.description = orjson.dumps(
            orjson.loads(self.description) | {"x402": {"version": 2, "accepts": required["accepts"]}}
        )
        if self.staged is not None:
            self.staged.ask_deposit(least)

    def refuse_retired(self) -> None:
        """`Retired` where the service is not sold any more."""
        if self.service.retired:
            raise Retired(self.service.name, self.service.replaced_by)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """While a call or stream runs, `leave` waits."""
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def leave(self) -> None:
        """Let what runs come to its end, each within its time, and end the runners; at once if cancelled."""
        try:
            for each in (self, *([self.staged] if self.staged is not None else [])):
                if each._running:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(each.service.timeout_s + LEAVE_S):
                            await each._idle.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the runners now."""
        await self.runner.close()
        if self.pledge is not None:
            self.pledge.close()
        if self.staged is not None:
            await self.staged.runner.close()

    @property
    def streams(self) -> bool:
        """Whether its answers come in parts."""
        return self.runner.signature.streams

    async def run(self, payer: str, body: bytes) -> tuple[bytes, int]:
        """The result of a call and what it costs; errors of `Admission.enter`, of the runner, and of
        `Pledge.admit`."""
        if self.pledge is not None:
            self.pledge.admit(self.terms.price)
        with self.busy():
            if self.admission.free:
                return await self._run(body)
            async with self.admission.enter(payer):
                return await self._run(body)

    async def _run(self, body: bytes) -> tuple[bytes, int]:
        if not self.terms.unit:
            result, cost = await self.runner.call(body), self.terms.price
        else:
            began = time.monotonic()
            runner = self.runner
            measured = (
                await runner.measure(body)
                if isinstance(runner, MeteredRunner)
                else Measured(await runner.call(body), None)
            )
            result = measured.body
            units = count(self.terms.unit, measured, time.monotonic() - began)
            cost = min(self.terms.price, units * self.terms.unit_price)
        if len(result) > self.service.limits.answer_bytes:
            raise PeerError(
                "The answer is longer than this service may give.",
                hint="Nothing was charged; ask for less.",
                code="service.answer_too_large",
            )
        return result, cost


async def open_offer(service: Service, chain: OnChain, gateway_url: str) -> Offer:
    """Load what runs a service; errors of the runner say why it cannot be served. A staged release that
    cannot be loaded is left out, with the reason in `Offer.fault`."""
    offer = await _open(service, chain, gateway_url)
    if service.staged is None or service.retired:
        return offer
    try:
        offer.staged = await _open(_released(service, service.staged), chain, gateway_url)
    except KoinonError as error:
        offer.fault = f"Version {service.staged.version} is left out: {error.message}"
    except asyncio.CancelledError:
        await offer.close()
        raise
    return offer


async def _open(service: Service, chain: OnChain, gateway_url: str) -> Offer:
    runner = await _runner(service)
    url = f"{gateway_url}/services/{service.work_id}"
    terms = Terms(
        chain.chain.chain_id,
        chain.coin,
        chain.coin_name,
        chain.coin_version,
        service.till,
        service.price * service.most_units,
        chain.key.address,
        minimum_deposit=DEPOSIT_CALLS * service.price * service.most_units,
        unit=service.unit,
        unit_price=service.price,
    )
    required = payment_required(terms, url, service.description)
    registry = chain.chain.network.address("Works")
    evidence = {
        "work": f"eip155:{terms.chain_id}:{registry}/{service.work_id}",
        "work_id": service.work_id,
        "version": service.version,
        "card": service.card,
        "validation": "none",
    }
    description: dict[str, Any] = {
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
            "unit": service.unit or "call",
            **({"most_units": service.most_units} if service.unit else {}),
        },
        "limits": {**service.limits.to_json(), "timeout_s": service.timeout_s},
        "schema": runner.signature.to_dict(),
        "example": service.example,
        "card": service.card,
        "registration": service.registration,
        "x402": {"version": 2, "accepts": required["accepts"]},
    }
    description |= _states(service)
    if service.free_calls:
        description["free"] = free_terms(service, terms)
    return Offer(
        service,
        runner,
        terms,
        url,
        orjson.dumps(description),
        b',"evidence":' + orjson.dumps(evidence)[:-1] + b',"input_digest":"0x',
        encode(required),
        HeaderReader(terms),
        _admission(service),
    )


def open_pledge(data_dir: Path, service: Service, chain: OnChain) -> Pledge | None:
    """The promise about a service that is noted in a gateway's data directory; None without one."""
    if service.retired or not (data_dir / PLEDGES).exists():
        return None
    from koinon.services.verification import pledge  # noqa: PLC0415  (only who staked on answers needs it)

    return pledge.open_pledge(data_dir, service, chain)


def _states(service: Service) -> dict[str, Any]:
    """Version, promises, what else is staged, and whether it is retired and for what."""
    found: dict[str, Any] = {"version": service.version, "supported_trust": list(service.supported_trust)}
    if service.comparison:
        found["comparison"] = service.comparison
    if service.staged is not None:
        found["staged"] = {"version": service.staged.version, "share_bps": service.staged.share_bps}
    if service.retired or service.replaced_by:
        found["retired"] = service.retired
        found["replaced_by"] = service.replaced_by
    return found


def _released(service: Service, release: Release) -> Service:
    """The service as a release of it runs."""
    own = {
        name: getattr(release, name)
        for name in (
            "version",
            "kind",
            "target",
            "workers",
            "timeout_s",
            "inline",
            "card",
            "schema",
            "example",
        )
    }
    return replace(service, **own, staged=None)


class _Gone:
    """Runs nothing: a retired service, which is still described."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.signature = (
            Signature.from_dict(service.schema)
            if service.schema
            else Signature(service.name, service.description, {}, {})
        )

    async def call(self, _body: bytes) -> bytes:
        raise Retired(self._service.name, self._service.replaced_by)

    async def close(self) -> None:
        """Nothing to release."""


def _admission(service: Service) -> Admission:
    limits = service.limits
    room = 0
    if _in_workers(service):
        room = service.workers
    elif service.kind == "endpoint":
        room = ENDPOINT_CONNECTIONS
    return Admission(
        at_once=min(limits.at_once, room) if limits.at_once and room else limits.at_once or room,
        of_one_payer=limits.of_one_payer,
        waiting=limits.waiting,
        wait_s=service.timeout_s,
        calls_per_minute=limits.calls_per_minute,
    )


def _in_workers(service: Service) -> bool:
    """Whether processes of its own answer: functions, and graphs, which native code computes."""
    graph = service.kind == "model" and service.target.endswith(".onnx")
    return graph or (service.kind == "function" and not service.inline)


async def _runner(service: Service) -> Runner:
    if service.retired:
        return _Gone(service)
    if _in_workers(service):
        workers = Workers(service.target, count=service.workers, timeout_s=service.timeout_s)
        await workers.start()
        return workers
    if service.kind == "model":
        from koinon.services.models import exact as exact_models  # noqa: PLC0415  (only who serves a model needs numpy)

        return exact_models.open_runner(Path(service.target), service.name, service.description)
    if service.kind == "endpoint":
        return open_target(service)
    from koinon.services.selling import schema  # noqa: PLC0415  (workers bring their own pydantic)

    return Inline(schema.load(service.target))
