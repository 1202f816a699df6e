# SPDX-License-Identifier: Apache-2.0
"""The front door: publish anything callable, sell it by the call, and collect what it earned."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, NotFound, PeerError
from koinon.services import models, registry, schema, serve
from koinon.services.cashier import Cashier
from koinon.services.endpoint import check_address
from koinon.services.executor import Workers
from koinon.services.files import Blocks as LocalBlocks
from koinon.services.journal import Journal, in_use
from koinon.services.onchain import OnChain
from koinon.services.prices import to_text, to_units
from koinon.services.registry import Registry
from koinon.services.settlement import Settlement
from koinon.services.signature import Signature
from koinon.services.transport import Http
from koinon.works.api import Published, Works
from koinon.works.catalogue import Blocks
from koinon.works.registration import Card, Registration, Service
from koinon.works.shares import OWNER, ShareTable

JOURNAL = "journal.sqlite"
ADDRESS = "http://127.0.0.1:8402"
_SEEN_WITHIN_S = 10.0


@dataclass(frozen=True)
class Listing:
    """A service that is sold: its Work, where it is paid, where it is called.

    ``price`` in the coin's smallest unit, ``price_text`` as people write it; ``shares`` payee → share in
    1e-9; ``command`` calls it from a shell.
    """

    work_id: int
    name: str
    till: str
    price: int
    price_text: str
    url: str
    shares: Mapping[str, int]
    command: str


class Services:
    """Services of one owner on one network, with the gateway's data directory.

    Parameters
    ----------
    chain : Chain
    store : Blocks
        Where registration files are put.
    data_dir : Path
        The gateway's: its list of services and its journal.
    key : Account
        Who owns the Works.
    gateway_key : Account, optional
        Who takes payments and pays for settling; ``key`` when not given.
    url : str
        How buyers reach the gateway.
    """

    def __init__(
        self,
        chain: Chain,
        store: Blocks,
        data_dir: Path,
        key: Account,
        *,
        gateway_key: Account | None = None,
        url: str = ADDRESS,
    ) -> None:
        self.chain = chain
        self.data_dir = data_dir
        self.url = url.rstrip("/")
        self._key = key
        self._gateway_key = gateway_key or key
        self._works = Works(chain, store, key)
        self._registry = Registry(data_dir)

    @cached_property
    def _decimals(self) -> int:
        return int(self.chain.coin.call("decimals"))

    @cached_property
    def _symbol(self) -> str:
        return str(self.chain.coin.call("symbol"))

    def publish(
        self,
        target: str,
        price: str,
        *,
        shares: Mapping[str, Fraction] | None = None,
        name: str = "",
        description: str = "",
        card: Card | None = None,
        workers: int = 1,
        timeout_s: float = 30.0,
        base: Path | None = None,
    ) -> Listing:
        """Make a function a Work that is sold by the call.

        Parameters
        ----------
        target : str
            ``path/to/file.py:function`` or ``module:function``; every parameter and the result need type
            hints.
        price : str
            For one call, in coins: ``"0.001"``.
        shares : mapping of address to fraction, optional
            Who gets what of all income; the rest is the owner's.
        name, description : str
            For people; the function's own when not given.
        card : Card, optional
            What it is, how good, where it ends; without one the card says that nothing was measured.
        workers, timeout_s : int, float
            Processes that run it, and seconds a call may take.
        base : Path, optional
            The folder that a relative path starts from; the current one by default.

        Raises
        ------
        BadInput
            The function cannot be served, or the price or shares are wrong; nothing was registered.
        """
        units = to_units(price, self._decimals)
        table = share_table(shares or {})
        place = schema.absolute(target, base or Path.cwd())
        signature = asyncio.run(_signature(place))
        title = name or signature.name
        summary = description or signature.description or f"The function {signature.name}."
        published = self._register(title, summary, card, table)
        return self._list(
            registry.Service(
                work_id=published.work_id,
                name=title,
                description=summary,
                till=published.till,
                price=units,
                kind="function",
                target=place,
                workers=workers,
                timeout_s=timeout_s,
                card=card_evidence(card),
                registration={"uri": published.uri, "shares": table.to_json()},
                example=signature.example(),
            )
        )

    def publish_endpoint(
        self,
        endpoint: str,
        price: str,
        *,
        name: str,
        description: str = "",
        example: Mapping[str, Any] | None = None,
        shares: Mapping[str, Fraction] | None = None,
        card: Card | None = None,
        timeout_s: float = 30.0,
    ) -> Listing:
        """Make an HTTP endpoint a Work that is sold by the call; this gateway asks it (see `endpoint`).

        Parameters
        ----------
        endpoint : str
            An http or https URL that takes JSON by POST and answers JSON; buyers never see it.
        example : mapping, optional
            A body that works, for buyers to start from.

        Others as in `publish`.

        Raises
        ------
        BadInput
            The address, price or shares are wrong; nothing was registered.
        """
        units = to_units(price, self._decimals)
        table = share_table(shares or {})
        place = check_address(endpoint)
        summary = description or f"The service {name}."
        published = self._register(name, summary, card, table)
        return self._list(
            registry.Service(
                work_id=published.work_id,
                name=name,
                description=summary,
                till=published.till,
                price=units,
                kind="endpoint",
                target=place,
                timeout_s=timeout_s,
                card=card_evidence(card),
                registration={"uri": published.uri, "shares": table.to_json()},
                example=dict(example or {}),
            )
        )

    def publish_model(
        self,
        model_file: Path,
        price: str,
        *,
        name: str,
        description: str = "",
        shares: Mapping[str, Fraction] | None = None,
        card: Card | None = None,
    ) -> Listing:
        """Make a model file (see `models`) a Work that is sold by the call; others as in `publish`.

        Raises BadInput when the file is no such model, or the price or shares are wrong.
        """
        to_units(price, self._decimals)
        table = share_table(shares or {})
        models.load(model_file)
        summary = description or f"The model {name}."
        published = self._register(name, summary, card, table)
        return self.offer_model(
            published.work_id, model_file, price, name=name, description=summary, card=card
        )

    def offer_model(
        self,
        work_id: int,
        model_file: Path,
        price: str,
        *,
        name: str,
        description: str,
        card: Card | None = None,
        example: Mapping[str, float] | None = None,
    ) -> Listing:
        """Sell a Work that exists already, by a model file (see `models`); ``example`` are inputs for buyers
        to start from.

        Raises BadInput when the file is no such model, NotFound when there is no such Work.
        """
        units = to_units(price, self._decimals)
        model = models.load(model_file)
        self._works.owner_of(work_id)
        return self._list(
            registry.Service(
                work_id=work_id,
                name=name,
                description=description,
                till=self._works.till_of(work_id),
                price=units,
                kind="model",
                target=str(model_file.resolve()),
                card=card_evidence(card),
                example={"features": dict(example or dict.fromkeys(model.features, 0))},
            )
        )

    def withdraw(self, work_id: int) -> None:
        """Stop selling a Work here. What it earned stays collectable."""
        self._registry.remove(work_id)

    def listings(self) -> list[Listing]:
        """Everything that is sold here."""
        return [self._listing(service) for service in self._registry.all().values()]

    def sells(self, work_id: int) -> bool:
        """Whether a Work is sold here."""
        return work_id in self._registry.all()

    def settle(self) -> dict[str, Any]:
        """Bring all vouchers on chain and the money into the tills; what was claimed and settled.

        Asks the running gateway, or does it here when none runs.
        """
        address = self.running()
        if address is not None:
            token = serve.owner_token(self.data_dir)
            http = Http()
            try:
                response = http.request(
                    "POST", f"{address}/settle", b"", {"Authorization": f"Bearer {token}"}
                )
            finally:
                http.close()
            if response.status != 200:
                raise PeerError(f"The gateway answered with HTTP status {response.status}.")
            report: dict[str, Any] = orjson.loads(response.body)
            return report
        if not (self.data_dir / JOURNAL).exists():
            raise NotFound("No gateway ever ran here.", hint="Start one with `koinon service serve`.")
        return asyncio.run(self._settle_here())

    def running(self) -> str | None:
        """The address of the gateway that runs with this data directory."""
        file = self.data_dir / serve.ADDRESS_FILE
        if not in_use(self.data_dir / JOURNAL) or not file.exists():
            return None
        return str(orjson.loads(file.read_bytes())["url"])

    def serve(self, options: serve.GatewayOptions, say: Callable[[dict[str, Any]], None]) -> None:
        """Run the gateway until SIGINT or SIGTERM; it settles before it ends."""
        store = self._works.store if isinstance(self._works.store, LocalBlocks) else None
        with asyncio.Runner(loop_factory=serve.loop_factory()) as runner:
            runner.run(serve.run(self.chain, self._gateway_key, self.data_dir, options, say, store=store))

    async def _settle_here(self) -> dict[str, Any]:
        cashier = Cashier(OnChain(self.chain, self._gateway_key), Journal(self.data_dir / JOURNAL))
        tills = [service.till for service in self._registry.all().values()]
        try:
            report = await Settlement(cashier, tills=lambda: tills).settle(everything=True)
        finally:
            cashier.close()
        return report.to_dict()

    def _register(self, name: str, summary: str, card: Card | None, table: ShareTable) -> Published:
        return self._works.publish(
            Registration(
                name=name,
                description=summary,
                card=card or _plain_card(summary, self._key.address),
                services=(Service("x402", f"{self.url}/services"),),
                x402_support=True,
            ),
            shares=table,
        )

    def _list(self, service: registry.Service) -> Listing:
        self._registry.add(service)
        listing = self._listing(service)
        if self.running() is not None:
            _await_answer(listing.url)
        return listing

    def _listing(self, service: registry.Service) -> Listing:
        url = f"{self.running() or self.url}/services/{service.work_id}"
        return Listing(
            work_id=service.work_id,
            name=service.name,
            till=service.till,
            price=service.price,
            price_text=f"{to_text(service.price, self._decimals)} {self._symbol}",
            url=url,
            shares=dict(service.registration.get("shares", {})),
            command=f"koinon call {url} {shlex.quote(orjson.dumps(service.example).decode())}",
        )


def card_evidence(card: Card | None) -> dict[str, Any]:
    """What each answer says about quality: the held-out metric beside its baseline, or that there is none."""
    if card is None or card.metric is None:
        return {"metric": None, "unmeasured": card.unmeasured if card else "Its publisher stated no metric."}
    metric = card.metric
    return {
        "metric": metric.name,
        "value": metric.value,
        "interval": list(metric.interval),
        "baseline": metric.baseline,
        "baseline_name": metric.baseline_name,
        "held_out": metric.held_out,
        "samples": metric.samples,
    }


def _await_answer(url: str) -> None:
    """Until the gateway that runs sells a service, so that what is said to be sold is; it looks once a second
    and may first have to start a process. Not for long: it says by itself what it cannot serve."""
    http, end = Http(_SEEN_WITHIN_S), time.monotonic() + _SEEN_WITHIN_S
    try:
        while time.monotonic() < end and http.request("GET", url).status != 200:
            time.sleep(0.1)
    except PeerError:
        return
    finally:
        http.close()


async def _signature(target: str) -> Signature:
    """Load the function as the gateway will: in a process of its own."""
    workers = Workers(target)
    try:
        return await workers.start()
    finally:
        await workers.close()


def share_table(shares: Mapping[str, Fraction]) -> ShareTable:
    """Who shares in a service's income, the rest its owner's; BadInput where it is more than the whole."""
    if not shares:
        return ShareTable.of_owner()
    if sum(shares.values()) > 1:
        raise BadInput(
            f"The shares add up to {float(sum(shares.values())):.4%}.",
            hint="Keep them at 100 % or less; the rest is yours.",
            code="service.share",
        )
    return ShareTable.from_fractions(dict(shares), rest=OWNER)


def _plain_card(summary: str, owner: str) -> Card:
    return Card(
        kind="service",
        summary=summary,
        data="None: a function, not a model trained on data.",
        limits=("Its publisher stated none beyond the input schema.",),
        contest=f"Write to the owner of this Work, {owner}.",
        unmeasured="Its publisher stated no metric.",
    )


def with_url(listing: Listing, gateway_url: str) -> Listing:
    """The listing as reached through another address."""
    url = f"{gateway_url}/services/{listing.work_id}"
    return replace(listing, url=url, command=listing.command.replace(listing.url, url))
