# SPDX-License-Identifier: Apache-2.0
"""Other systems' descriptions of a service: A2A agent cards, ERC-8004 registrations, SingularityNET metadata.

All are strangers' documents: every field is checked, cut to a length, or left out.
"""

from __future__ import annotations

from typing import Any, Final

from koinon.services.adopting.found import MOST_SERVICES, Found, malformed, text, web_address
from koinon.works.registration import Service

_MOST_ITEMS: Final = 100


def read_card(source: str, document: Any) -> Found:
    """An A2A agent card (0.x: ``url``; 1.0: ``supportedInterfaces``).

    Raises
    ------
    BadInput
        It is no card: no name, or nowhere to reach the agent.
    """
    card = _object(document)
    places = [web_address(card.get("url"))]
    places += [web_address(_object(each).get("url")) for each in _list(card.get("supportedInterfaces"))]
    places += [web_address(_object(each).get("url")) for each in _list(card.get("additionalInterfaces"))]
    places = list(dict.fromkeys(place for place in places if place))
    name = text(card.get("name"))
    if not name or not places:
        raise malformed(source, "it is no A2A agent card: a name or an address is missing")
    skills = [text(_object(each).get("name")) for each in _list(card.get("skills"))]
    return Found(
        "a2a",
        source,
        name[:200],
        text(card.get("description"), f"The agent {name}.")[:2_000],
        (
            Service("A2A", source, text(card.get("protocolVersion"), "1.0")[:40]),
            *(Service("web", place) for place in places[:MOST_SERVICES]),
        ),
        details={
            "skills": [skill[:100] for skill in skills if skill],
            "version": text(card.get("version"))[:40],
        },
    )


def read_agent(source: str, document: Any) -> Found:
    """An ERC-8004 registration file, with ``services`` or what was ``endpoints``; BadInput without a name."""
    file = _object(document)
    name = text(file.get("name"))
    if not name:
        raise malformed(source, "its registration file has no name")
    listed = _list(file.get("services")) or _list(file.get("endpoints"))
    services = []
    for each in map(_object, listed):
        kind, place = text(each.get("name"))[:60], text(each.get("endpoint"))[:2_000]
        if kind and place and place.isprintable():
            services.append(Service(kind, place, text(each.get("version"))[:40]))
    return Found(
        "erc8004",
        source,
        name[:200],
        text(file.get("description"), f"The agent {name}.")[:2_000],
        tuple(services[:MOST_SERVICES]),
        details={"active": file.get("active") is not False, "x402Support": file.get("x402Support") is True},
    )


def read_snet(service: Any, organization: Any = None) -> Found:
    """A SingularityNET service from its ``service_metadata.json`` and, optionally, its organization's file.

    ``details`` holds its groups: name, id, endpoints, pricing (in cogs, 10⁻⁸ AGIX), free calls, and the
    payment address that the organization's group of the same id names.

    Raises
    ------
    BadInput
        It has no name, no group with an endpoint, or groups that the organization does not have.
    """
    meta, org = _object(service), _object(organization)
    name = text(meta.get("display_name"))
    accounts = {
        text(_object(each).get("group_id")): text(
            _object(_object(each).get("payment")).get("payment_address")
        )
        for each in _list(org.get("groups"))
    }
    groups: list[dict[str, Any]] = []
    for each in map(_object, _list(meta.get("groups"))):
        identity = text(each.get("group_id"))[:100]
        places = [place for place in map(web_address, _list(each.get("endpoints"))) if place]
        if org and identity not in accounts:
            raise malformed(name or "The service", f"its organization has no group {identity}")
        if places:
            groups.append(
                {
                    "name": text(each.get("group_name"))[:100],
                    "id": identity,
                    "endpoints": places[:MOST_SERVICES],
                    "pricing": [_price(price) for price in map(_object, _list(each.get("pricing")))],
                    "free_calls": _count(each.get("free_calls")),
                    "payment_address": accounts.get(identity, "")[:42],
                }
            )
    if not name or not groups:
        raise malformed("This file", "it is no SingularityNET service: a name or an endpoint is missing")
    described = _object(meta.get("service_description"))
    place = groups[0]["endpoints"][0]
    return Found(
        "snet",
        place,
        name[:200],
        text(described.get("description") or described.get("short_description"), f"The service {name}.")[
            :2_000
        ],
        tuple(
            Service("snet", each, text(meta.get("service_type"), "grpc")[:40])
            for group in groups
            for each in group["endpoints"]
        )[:MOST_SERVICES],
        details={
            "organization": text(org.get("org_id") or org.get("org_name"))[:100],
            "encoding": text(meta.get("encoding"), "proto")[:40],
            "api": text(meta.get("service_api_source") or meta.get("model_ipfs_hash"))[:200],
            "escrow": text(meta.get("mpe_address"))[:42],
            "groups": groups[:_MOST_ITEMS],
        },
    )


def is_card(document: Any) -> bool:
    """Whether a document looks like an A2A card."""
    return {"skills", "capabilities"} <= _object(document).keys()


def is_snet(document: Any) -> bool:
    """Whether a document looks like SingularityNET's metadata of a service."""
    return {"display_name", "service_type", "groups"} <= _object(document).keys()


def _price(price: dict[str, Any]) -> dict[str, Any]:
    """``price_in_cogs`` as a text of a whole number; ``details`` where it goes by method."""
    found: dict[str, Any] = {"model": text(price.get("price_model"), "fixed_price")[:40]}
    if (cogs := _count(price.get("price_in_cogs"))) or found["model"] == "fixed_price":
        found["cogs"] = str(cogs)
    methods: dict[str, str] = {}
    for detail in map(_object, _list(price.get("details"))):
        package = text(detail.get("service_name"))[:100]
        for method in map(_object, _list(detail.get("method_pricing"))):
            methods[f"{package}.{text(method.get('method_name'))[:100]}"] = str(
                _count(method.get("price_in_cogs"))
            )
    if methods:
        found["methods"] = dict(list(methods.items())[:_MOST_ITEMS])
    return found


def _count(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 10**30 else 0


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:_MOST_ITEMS] if isinstance(value, list) else []
