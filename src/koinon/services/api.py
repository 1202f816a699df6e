# SPDX-License-Identifier: Apache-2.0
"""The front door: publish anything callable, sell it by the call, and collect what it earned."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.compute.sandbox.driver import Sandbox
from koinon.errors import NotFound, PeerError
from koinon.process import Say
from koinon.services.buying.transport import Http
from koinon.services.gateway import registry, serve
from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.files import Blocks as LocalBlocks
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_lock import in_use
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Registry
from koinon.services.gateway.releases import next_version
from koinon.services.gateway.settlement import Settlement
from koinon.services.jobs.api import Jobs
from koinon.services.jobs.deliverable import ROOM
from koinon.services.models.files.prints import fingerprints_of, keep_probes
from koinon.services.prices import to_text, to_units
from koinon.services.selling.drafts import Words, endpoint_draft, function_draft, model_draft
from koinon.services.selling.listing import Listing, card_evidence, share_table
from koinon.services.selling.promises import Promises
from koinon.services.selling.publication import Publication
from koinon.services.selling.versions import Versions
from koinon.services.targets.publishing import Standing
from koinon.serving import loop_factory
from koinon.works.api import Parent, Works
from koinon.works.catalogue import Blocks
from koinon.works.registration import Card

if TYPE_CHECKING:
    from koinon.services.finding.found import Filters, Found
    from koinon.services.finding.market import Market
    from koinon.services.verification.checking import Bonded, BondPlan, Checking
    from koinon.services.verification.verdicts import Verdict

JOURNAL = "journal.sqlite"
ADDRESS = "http://127.0.0.1:8402"
_SEEN_WITHIN_S = 10.0


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
    gateway_account : str, optional
        The gateway's account, where its key is not at hand: calls of new Works are sealed to it.
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
        gateway_account: str = "",
        url: str = ADDRESS,
    ) -> None:
        self.chain = chain
        self.data_dir = data_dir
        self.url = url.rstrip("/")
        self._key = key
        self._gateway_key = gateway_key or key
        self._works = Works(chain, store, key)
        self._registry = Registry(data_dir)
        sealed_to = gateway_account if gateway_key is None else gateway_key.address
        self._publication = Publication(self._works, self.url, key.address, sealed_to)
        self.versions = Versions(self._registry, self._publication)

    @cached_property
    def jobs(self) -> Jobs:
        """Commissioned work, for the owner."""
        return Jobs(self.chain, self._works.store, self.data_dir.parent / ROOM, self._key)

    @cached_property
    def checking(self) -> Checking:
        """Staking on answers of what is sold here, and verdicts on anybody's."""
        from koinon.services.verification.checking import Checking  # noqa: PLC0415  (few stake)

        return Checking(self.chain, self.data_dir)

    def bond(self, work_id: int, plan: BondPlan) -> Bonded:
        """Stake on the answers of a Work that is sold here; errors as in `Checking.bond`."""
        return self.checking.bond(self._key, self._gateway_key.address, work_id, plan)

    def verdicts(self, work_id: int) -> list[Verdict]:
        """What contracts of this network found out about a Work's answers, the oldest first."""
        return self.checking.verdicts(work_id)

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
        promises: Promises | None = None,
        version_of: int | None = None,
        version: str = "",
    ) -> Listing:
        """Make a function a Work that is sold by the call.

        Parameters
        ----------
        target : str
            ``path/to/file.py:function`` or ``module:function``; every parameter and the result need type
            hints.
        price : str
            For one call, or for one unit of `Promises.unit`, in coins: ``"0.001"``.
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
        promises : Promises, optional
            Limits, rule of comparison, units, free calls, trust.
        version_of : int, optional
            A Work sold here that this is a newer version of. Without ``shares`` it is staged as another
            version of the same Work (see `versions`; price and promises stay); with them it becomes a Work of
            its own with that one as its parent, which names it as its successor.
        version : str
            Its name as a version; the next number by default.

        Raises
        ------
        BadInput
            The function cannot be served, or the price or shares are wrong; nothing was registered.
        NotFound
            ``version_of`` is not sold here.
        """
        draft = function_draft(
            target,
            to_units(price, self._decimals),
            Words(name, description, card_evidence(card)),
            promises or Promises(),
            base=base or Path.cwd(),
            workers=workers,
            timeout_s=timeout_s,
        )
        return self._sell(draft, card, shares, version_of=version_of, version=version)

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
        promises: Promises | None = None,
        version_of: int | None = None,
        version: str = "",
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
        draft = endpoint_draft(
            endpoint,
            to_units(price, self._decimals),
            Words(name, description, card_evidence(card)),
            promises or Promises(),
            example=example or {},
            timeout_s=timeout_s,
        )
        return self._sell(draft, card, shares, version_of=version_of, version=version)

    def publish_standing(
        self,
        standing: Standing,
        price: str,
        *,
        shares: Mapping[str, Fraction] | None = None,
        card: Card | None = None,
        timeout_s: float = 30.0,
        unit: str = "",
        most_units: int = 1,
        promises: Promises | None = None,
    ) -> Listing:
        """Make a tool of an MCP server, or a model behind an OpenAI-compatible endpoint, a Work that is sold.

        Parameters
        ----------
        standing : Standing
            As `tools_at` or `model_at` found it; where it stands, buyers never see.
        unit, most_units : str, int
            What is counted where a call has no one price, as in `registry.Service`.

        Others as in `publish`.

        Raises
        ------
        BadInput
            The price or shares are wrong; nothing was registered.
        """
        given = promises or Promises()
        if unit:
            given = replace(given, unit=unit, most_units=most_units)
        draft = registry.Service(
            work_id=0,
            till="",
            name=standing.name,
            description=standing.description,
            price=to_units(price, self._decimals),
            kind="endpoint",
            target=str(standing.address),
            timeout_s=timeout_s,
            card=card_evidence(card),
            example=dict(standing.example),
            schema=standing.signature.to_dict(),
            **given.fields(),
        )
        return self._sell(draft, card, shares)

    def publish_model(
        self,
        model_file: Path,
        price: str,
        *,
        name: str = "",
        description: str = "",
        shares: Mapping[str, Fraction] | None = None,
        card: Card | None = None,
        workers: int = 1,
        timeout_s: float = 30.0,
        promises: Promises | None = None,
        version_of: int | None = None,
        version: str = "",
        sandbox: Sandbox | None = None,
    ) -> Listing:
        """Make a model file a Work that is sold by the call, with its fingerprints; others as in `publish`.

        Parameters
        ----------
        model_file : Path
            ``.npz`` (see `models`), ``.onnx``, or scikit-learn's ``.joblib`` and ``.pkl``, torch's ``.pt2``,
            which are opened in the sandbox only (see `models.files`).
        sandbox : Sandbox, optional
            Where pickles are opened; bubblewrap by default.

        Raises
        ------
        BadInput
            The file is no such model, or the price or shares are wrong; nothing was registered.
        SetupError
            This machine lacks what the file needs.
        """
        draft = model_draft(
            model_file,
            to_units(price, self._decimals),
            Words(name, description, card_evidence(card)),
            promises or Promises(),
            data_dir=self.data_dir,
            sandbox=sandbox,
            workers=workers,
            timeout_s=timeout_s,
        )
        return self._sell(draft, card, shares, version_of=version_of, version=version)

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
        """Sell a Work that exists already, by a model file (see `models.files`); ``example`` are inputs for
        buyers to start from.

        Raises BadInput when the file is no such model, NotFound when there is no such Work.
        """
        draft = model_draft(
            model_file,
            to_units(price, self._decimals),
            Words(name, description, card_evidence(card)),
            Promises(),
            data_dir=self.data_dir,
        )
        self._works.owner_of(work_id)
        if example:
            draft = replace(draft, example={"features": dict(example)})
        return self._list(replace(draft, work_id=work_id, till=self._works.till_of(work_id)))

    def global_id(self, work_id: int) -> str:
        """A Work's id that other networks can read: ``eip155:<chain>:<register>/<id>``."""
        return f"{self._publication.domain}/{work_id}"

    def withdraw(self, work_id: int) -> None:
        """Stop selling a Work here. What it earned stays collectable."""
        self._registry.remove(work_id)

    def listings(self) -> list[Listing]:
        """Everything that is sold here."""
        return [self._listing(service) for service in self._registry.all().values()]

    def sells(self, work_id: int) -> bool:
        """Whether a Work is sold here."""
        return work_id in self._registry.all()

    def find(
        self,
        market: Market,
        words: str = "",
        filters: Filters | None = None,
        *,
        readers: Sequence[str] = (),
        trusted: Sequence[str] = (),
        limit: int = 24,
    ) -> Found:
        """Find anybody's services, ranked for this owner (see `Market.find`).

        ``readers`` are the owner's other accounts, ``trusted`` accounts it believes here and now.
        """
        trust = market.trust([self._key.address, *readers], trusted)
        return market.find(words, filters, trust=trust, sold_here=self._registry.all().keys(), limit=limit)

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

    def serve(self, options: serve.GatewayOptions, say: Say) -> None:
        """Run the gateway until SIGINT or SIGTERM; it settles before it ends."""
        store = self._works.store if isinstance(self._works.store, LocalBlocks) else None
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve.run(self.chain, self._gateway_key, self.data_dir, options, say, store=store))

    async def _settle_here(self) -> dict[str, Any]:
        cashier = Cashier(OnChain(self.chain, self._gateway_key), Journal(self.data_dir / JOURNAL))
        tills = [service.till for service in self._registry.all().values()]
        try:
            report = await Settlement(cashier, tills=lambda: tills).settle(everything=True)
        finally:
            cashier.close()
        return report.to_dict()

    def _sell(
        self,
        draft: registry.Service,
        card: Card | None,
        shares: Mapping[str, Fraction] | None,
        *,
        version_of: int | None = None,
        version: str = "",
    ) -> Listing:
        """List a draft: as a new Work, or as a version of one (see `publish`)."""
        table = share_table(shares or {})
        if version_of is None:
            prints, probes = fingerprints_of(draft)
            service = self._publication.register(draft, card, table, fingerprints=prints)
            keep_probes(self.data_dir, service.work_id, probes)
            return self._list(service)
        before = self._registry.get(version_of)
        if not shares:
            return self._listing(self.versions.stage(version_of, draft, version))
        newer = replace(draft, version=version or next_version(before.version))
        service = self._publication.register(newer, card, table, parents=(Parent(version_of, 0),))
        listing = self._list(service)
        self.versions.supersede(version_of, service.work_id)
        return listing

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
            unit=service.unit or "call",
        )


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
