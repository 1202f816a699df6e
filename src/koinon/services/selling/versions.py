# SPDX-License-Identifier: Apache-2.0
"""Versions of what is sold here: stage one, try it on some payers, promote it or go back, retire."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from koinon.errors import BadInput, UsageError
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.releases import WHOLE_BPS, Release, next_version, not_staged
from koinon.services.selling.publication import Publication

_RELEASED: Final = (
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


class Versions:
    """The versions of one owner's services; NotFound for a Work that is not sold here."""

    def __init__(self, registry: Registry, publication: Publication) -> None:
        self._registry = registry
        self._publication = publication

    def stage(self, work_id: int, draft: Service, version: str = "") -> Service:
        """Keep another version of a service, which answers nobody yet.

        ``draft`` is the new version as it would be published; of it only what runs is taken: price, shares
        and promises stay.

        Raises
        ------
        BadInput
            What callers send now would not fit the new version (``service.version_schema``).
        UsageError
            The service is retired, or another version is staged already (``service.staged``).
        """

        def edit(service: Service) -> Service:
            _on_sale(service)
            if service.staged is not None:
                raise UsageError(
                    f"Version {service.staged.version} of Work {work_id} is staged already.",
                    hint=f"First: koinon service rollout {work_id} --promote, or --back.",
                    code="service.staged",
                )
            _fits(service, draft)
            parts = {name: getattr(draft, name) for name in _RELEASED}
            parts["version"] = version or next_version(service.version)
            if parts["version"] == service.version:
                raise BadInput(
                    f"Work {work_id} is at version {service.version} already.",
                    hint="Give the new one another name.",
                    code="service.version",
                )
            return replace(service, staged=Release(**parts))

        return self._registry.change(work_id, edit)

    def roll_out(self, work_id: int, share: Fraction) -> Service:
        """Let the staged version answer a share of the payers, from 0 to 1.

        UsageError (``verification.staged``) where somebody staked on the answers of the present version: who
        gets unsigned ones would have bought without a promise. Promote it, and stake again.
        """
        if not 0 <= share <= 1:
            raise BadInput(
                f"{float(share):.4%} is no share of the payers.",
                hint="Write it like 10%.",
                code="service.rollout_share",
            )

        def edit(service: Service) -> Service:
            if service.staged is None:
                raise not_staged(work_id)
            if share:
                self._refuse_promised(service)
            return replace(service, staged=replace(service.staged, share_bps=int(share * WHOLE_BPS)))

        return self._registry.change(work_id, edit)

    def promote(self, work_id: int) -> Service:
        """Let the staged version answer everyone, and say so in the Work's file. Interrupted, call it again:
        a file that lags behind is written where the version is promoted already."""

        def edit(service: Service) -> Service:
            if service.staged is None:
                raise not_staged(work_id)
            return replace(service, **_parts(service.staged), staged=None)

        return self._announced(self._registry.change(work_id, edit))

    def roll_back(self, work_id: int) -> Service:
        """Drop the staged version; calls it answers come to their end."""

        def edit(service: Service) -> Service:
            if service.staged is None:
                raise not_staged(work_id)
            return replace(service, staged=None)

        return self._registry.change(work_id, edit)

    def retire(self, work_id: int, replaced_by: str = "") -> Service:
        """Take no new calls, finish those that run, name what callers should use instead. The service stays
        readable and its channels are refunded."""
        retired = self._registry.change(
            work_id, lambda service: replace(service, retired=True, replaced_by=replaced_by, staged=None)
        )
        return self._announced(retired)

    def supersede(self, work_id: int, successor: int) -> Service:
        """Name a newer Work with other shares as what callers should use; this one stays on sale."""
        newer = f"{self._publication.domain}/{successor}"
        return self._announced(
            self._registry.change(work_id, lambda service: replace(service, replaced_by=newer))
        )

    def _refuse_promised(self, service: Service) -> None:
        from koinon.services.verification.pledge import read_pledges  # noqa: PLC0415  (pledges know services)

        record = read_pledges(self._registry.path.parent).get(service.work_id)
        if record is not None and record.version in ("", service.version):
            raise UsageError(
                f"Bond {record.bond_id} stands behind version {service.version} of Work {service.work_id}; "
                "answers of another would not be signed.",
                hint=f"Promote it for everybody (koinon service rollout {service.work_id} --promote), then "
                f"stake again (koinon service bond {service.work_id}).",
                code="verification.staged",
            )

    def _announced(self, service: Service) -> Service:
        written = self._publication.announce_again(service)
        return self._registry.change(
            service.work_id, lambda found: replace(found, registration=written.registration)
        )


def _parts(release: Release) -> dict[str, Any]:
    return {name: getattr(release, name) for name in _RELEASED}


def _on_sale(service: Service) -> None:
    if service.retired:
        raise UsageError(
            f"Work {service.work_id} is retired.",
            hint="Publish a new service; name the old one's successor with `koinon service retire`.",
            code="service.is_retired",
        )


def _fits(service: Service, draft: Service) -> None:
    """Whoever calls the present version must be able to call the new one the same way."""
    before, after = service.schema, draft.schema
    if not before or not after:
        return
    old, new = before.get("input", {}), after.get("input", {})
    known = set(old.get("properties", {}))
    missing = set(new.get("required", ())) - known
    gone = set() if new.get("additionalProperties") is True else known - set(new.get("properties", {}))
    streams = bool(before.get("streams")) != bool(after.get("streams"))
    if missing or gone or streams:
        named = ", ".join(sorted(missing | gone)) or "a stream instead of one answer, or the other way round"
        raise BadInput(
            f"What callers of Work {service.work_id} send now would not fit the new version: {named}.",
            hint="Give new inputs a default and keep the old ones, or publish it as a service of its own.",
            code="service.version_schema",
        )
