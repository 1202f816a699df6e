# SPDX-License-Identifier: Apache-2.0
"""Makes a service a Work: registers it with what it promises, and says so again when it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from koinon.chain.address import to_bytes
from koinon.services.doors.site import endpoints
from koinon.services.gateway import registry
from koinon.services.sealing.calls import METADATA_KEY
from koinon.services.selling.announcement import TOPIC, announce
from koinon.works.api import Parent, Works
from koinon.works.fingerprints.record import TOPIC as FINGERPRINTS
from koinon.works.fingerprints.record import Fingerprints
from koinon.works.registration import Card, Registration, Service
from koinon.works.shares import ShareTable


class Publication:
    """Publishes for one owner.

    Parameters
    ----------
    works : Works
        With the owner's key.
    url : str
        How buyers reach the gateway.
    owner : str
        The owner's account, named where answers can be contested.
    gateway : str, optional
        The gateway's account, which new Works name on chain to be sealed to; calls of streams are not sealed.
    """

    def __init__(self, works: Works, url: str, owner: str, gateway: str = "") -> None:
        self._gateway = gateway
        self._works = works
        self._url = url.rstrip("/")
        self._owner = owner

    @property
    def domain(self) -> str:
        """The register as ``eip155:<chain>:<address>``."""
        chain = self._works.chain
        return f"eip155:{chain.chain_id}:{self._works.contract.address}"

    def register(
        self,
        draft: registry.Service,
        card: Card | None,
        table: ShareTable,
        *,
        parents: Sequence[Parent] = (),
        fingerprints: Fingerprints | None = None,
    ) -> registry.Service:
        """Register a Work for a service that has none yet (``work_id`` 0, no till); the service with it."""
        prints = fingerprints or Fingerprints()
        about = {TOPIC: announce(draft, self._works.chain.coin.address)}
        if prints:
            about[FINGERPRINTS] = prints.to_json()
        published = self._works.publish(
            Registration(
                name=draft.name,
                description=draft.description,
                card=card or plain_card(draft.description, self._owner),
                services=self._endpoints(draft),
                x402_support=True,
                supported_trust=draft.supported_trust,
                about=about,
            ),
            parents=parents,
            shares=self._with_parents(table, parents),
            metadata=[*prints.metadata(), *self._sealing(draft)],
        )
        return replace(
            draft,
            work_id=published.work_id,
            till=published.till,
            registration={"uri": published.uri, "shares": published.shares.to_json()},
        )

    def announce_again(self, service: registry.Service) -> registry.Service:
        """Write a service's present state into its Work's file: version, price, doors, what replaced it."""
        before = self._works.registration_of(service.work_id).registration
        about = {**before.about, TOPIC: announce(service, self._works.chain.coin.address)}
        ours = (service.work_id, self.domain)
        uri = self._works.update(
            service.work_id,
            replace(
                before,
                name=service.name,
                description=service.description,
                services=self._endpoints(service),
                active=not service.retired,
                supported_trust=service.supported_trust,
                registrations=(*(each for each in before.registrations if each != ours), ours),
                about=about,
            ),
        )
        return replace(service, registration={**service.registration, "uri": uri})

    def _sealing(self, draft: registry.Service) -> list[tuple[str, bytes]]:
        if not self._gateway or draft.schema.get("streams"):
            return []
        return [(METADATA_KEY, to_bytes(self._gateway))]

    def _with_parents(self, table: ShareTable, parents: Sequence[Parent]) -> ShareTable:
        """A parent that was promised nothing still needs a leaf: 1e-9 of the income."""
        shares = dict(table)
        for parent in parents:
            till = self._works.till_of(parent.work_id)
            missing = max(1, parent.share) - shares.get(till, 0)
            if missing > 0:
                largest = max(shares, key=shares.__getitem__)
                shares[largest] -= missing
                shares[till] = shares.get(till, 0) + missing
        return ShareTable(shares)

    def _endpoints(self, service: registry.Service) -> tuple[Service, ...]:
        """Where it is reached: before it has an id, by the gateway's list and its common doors."""
        place = f"{self._url}/services"
        door = self._url
        if service.work_id:
            place = door = f"{place}/{service.work_id}"
        return (
            Service("web", place, service.version),
            Service("x402", place, "2"),
            *(Service(each["name"], each["endpoint"], each["version"]) for each in endpoints(door)),
        )


def plain_card(summary: str, owner: str) -> Card:
    """The card of a service whose publisher stated none."""
    return Card(
        kind="service",
        summary=summary,
        data="None: a function, not a model trained on data.",
        limits=("Its publisher stated none beyond the input schema.",),
        contest=f"Write to the owner of this Work, {owner}.",
        unmeasured="Its publisher stated no metric.",
    )
