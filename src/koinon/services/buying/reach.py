# SPDX-License-Identifier: Apache-2.0
"""Which gateways this node asks on behalf of whom.

A Work's registration file names the gateway that sells it, and anyone may publish a Work. So for a visitor
this node would ask any address that a stranger wrote down, from where it stands: inside its owner's network.
That is why

- only http and https are asked, redirects are never followed, an answer has a size limit and one time limit
  for all of it, and nothing of it is shown but the fields of a service's description;
- this node's own gateway and what its operator asks for are not restricted;
- for everybody else link-local addresses (where clouds keep their machines' secrets) and everything that is
  not an ordinary host are refused, and private and loopback addresses too, unless the console is reached
  from this machine alone: who is on this machine could ask them without the console.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import NotFound
from koinon.services.buying.transport import Http
from koinon.services.counter import open_shelf
from koinon.services.finding.measured import Measurements, TimedHttp
from koinon.web import gettext
from koinon.works.api import Works

PATIENCE_S: Final = 5.0
"""For asking a gateway what it sells, all in all."""

DESCRIPTION_LIMIT: Final = 256 << 10
"""Bytes of a service's description."""

CALL_S: Final = 60.0
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    """Where a Work is called. ``own`` where that is this node's gateway."""

    url: str
    own: bool


def place_of(ground: Any, work_id: int) -> Place:
    """Where a Work is called: at this node's gateway, or where its registration file says.

    Raises
    ------
    NotFound
        It is no service, or its file is not on this node.
    """
    services = open_shelf(ground)
    if services.sells(work_id):
        return Place(f"{services.running() or services.url}/services/{work_id}", own=True)
    file = Works(ground.chain, ground.store).registration_of(work_id).registration
    for service in file.services:
        if service.name == "x402":
            return Place(f"{service.endpoint.rstrip('/')}/{work_id}", own=False)
    raise NotFound(
        gettext("Work %(id)s is not sold by the call.", id=work_id),
        hint=gettext("See its terms on its own page."),
        code="service.not_called",
    )


def asking(ground: Any, place: Place, *, operator: bool) -> Http:
    """Connections for a description."""
    return Http(
        PATIENCE_S,
        whole_s=PATIENCE_S,
        answer_limit=DESCRIPTION_LIMIT,
        allowed=_allowed(ground, place, operator=operator),
    )


def calling(ground: Any, place: Place, *, operator: bool) -> Http:
    """Connections for a paid call, which is timed."""
    allowed = _allowed(ground, place, operator=operator)
    return TimedHttp(Measurements(ground.settings.home), CALL_S, whole_s=CALL_S, allowed=allowed)


def is_ordinary(address: str, *, private: bool) -> bool:
    """Whether an IP address is an ordinary host's; ``private`` lets private networks and loopback pass."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inside = getattr(found, "ipv4_mapped", None)
    if inside is not None:
        return is_ordinary(str(inside), private=private)
    strange = found.is_link_local or found.is_multicast or found.is_unspecified
    strange = strange or (found.is_reserved and not found.is_loopback)
    if strange or any(found in network for network in _TUNNELS):
        return False
    return found.is_global or (private and found.is_private and str(found) not in _METADATA)


_TUNNELS: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "2002::/16", "2001::/32")))
"""IPv6 addresses that stand for an IPv4 address somewhere else."""

_METADATA: Final = ("fd00:ec2::254",)
"""Where a cloud keeps its machines' secrets at a private address."""


def _allowed(ground: Any, place: Place, *, operator: bool) -> Callable[[str], bool] | None:
    if place.own or operator:
        return None
    settings = ground.settings
    private = settings.host in _LOOPBACK and settings.console_url is None
    return lambda address: is_ordinary(address, private=private)
