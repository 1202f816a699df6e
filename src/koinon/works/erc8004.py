# SPDX-License-Identifier: Apache-2.0
"""A Work as any ERC-8004 explorer reads it: its registration file with everything the standard names.

Source: ERC-8004, "Agent URI and Agent Registration File"; `problems` checks a file against its field list.
"""

from __future__ import annotations

import base64
import html
from typing import Any, Final
from urllib.parse import urlsplit

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.works.catalogue import Catalogue
from koinon.works.registration import TYPE

FIELDS: Final = (
    "type",
    "name",
    "description",
    "image",
    "services",
    "x402Support",
    "active",
    "registrations",
    "supportedTrust",
)
"""The standard's, in its order."""

_SCHEMES: Final = ("http", "https", "ipfs", "data")


def export(catalogue: Catalogue, work_id: int) -> dict[str, Any]:
    """The file of a Work with its own registration in it, and a picture where it has none.

    Koinon's own fields are left out: their signature is over the file that the Work points to.

    Raises
    ------
    NotFound
        No such Work, or its file is not in this store.
    """
    fields = catalogue.registration_of(work_id).registration.to_json()
    document = {name: fields[name] for name in FIELDS}
    ours = {
        "agentId": work_id,
        "agentRegistry": f"eip155:{catalogue.chain.chain_id}:{catalogue.contract.address}",
    }
    document["registrations"] = [*(each for each in fields["registrations"] if each != ours), ours]
    document["image"] = fields["image"] or picture(fields["name"], work_id)
    return document


def problems(document: Any) -> list[str]:
    """What keeps a document from being an ERC-8004 registration file, each in a sentence; empty for none."""
    if not isinstance(document, dict):
        return ["It is not an object."]
    found = [] if document.get("type") == TYPE else [f"type is not {TYPE}."]
    for name in ("name", "description"):
        if not isinstance(document.get(name), str) or not document[name].strip():
            found.append(f"{name} is not a text.")
    if not _address(document.get("image")):
        found.append("image is not the address of a picture.")
    for name in ("x402Support", "active"):
        if name in document and not isinstance(document[name], bool):
            found.append(f"{name} is not true or false.")
    found += _each(document, "services", _service, needed=True)
    found += _each(document, "registrations", _registration, needed=True)
    trust = document.get("supportedTrust", [])
    if not isinstance(trust, list) or not all(isinstance(each, str) and each for each in trust):
        found.append("supportedTrust is not a list of words.")
    return found


def picture(name: str, work_id: int) -> str:
    """A plain picture of a Work as a ``data:`` URI: its name and number on a colour of its own."""
    hue = work_id * 137 % 360
    shown = html.escape(name[:24])
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400">'
        f'<rect width="400" height="400" fill="hsl({hue} 45% 30%)"/>'
        '<g fill="#fff" font-family="sans-serif" text-anchor="middle">'
        f'<text x="200" y="210" font-size="26">{shown}</text>'
        f'<text x="200" y="250" font-size="18">#{work_id}</text></g></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _each(document: dict[str, Any], name: str, right: Any, *, needed: bool) -> list[str]:
    value = document.get(name)
    if not isinstance(value, list) or (needed and not value):
        return [f"{name} is not a list with an entry."]
    return [f"{name}[{at}] is not complete." for at, each in enumerate(value) if not right(each)]


def _service(entry: Any) -> bool:
    texts = isinstance(entry, dict) and all(
        isinstance(entry.get(name), str) and entry[name] for name in ("name", "endpoint")
    )
    return texts and isinstance(entry.get("version", ""), str)


def _registration(entry: Any) -> bool:
    if not isinstance(entry, dict) or isinstance(entry.get("agentId"), bool):
        return False
    parts = str(entry.get("agentRegistry", "")).split(":")
    if not isinstance(entry.get("agentId"), int) or entry["agentId"] < 0 or len(parts) != 3:
        return False
    try:
        checksum(parts[2])
    except BadInput:
        return False
    return parts[0] == "eip155" and parts[1].isdigit()


def _address(value: Any) -> bool:
    return isinstance(value, str) and urlsplit(value).scheme in _SCHEMES
