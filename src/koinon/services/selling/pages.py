# SPDX-License-Identifier: Apache-2.0
"""Publishing a service from a page: a function in a file, a model file, or an endpoint that stands already.

A function is code that runs on this machine, and an endpoint is an address that this machine asks: only the
node's operator publishes either.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.keys import write_private
from koinon.errors import BadInput, KeyFault
from koinon.services.counter import open_shelf
from koinon.services.gateway.endpoint import check_address
from koinon.services.models.exact import features_of
from koinon.services.prices import to_units
from koinon.services.selling.listing import Listing, share_table
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.arguments import read_shares

SOURCES: Final = "services"
"""Folder of the data directory where published sources and models are kept."""

LARGEST: Final = 32 << 20
_KINDS: Final = ("function", "model", "endpoint")


def must_operate(visitor: Visitor) -> None:
    """`KeyFault` unless the visitor operates this node."""
    if visitor.kind != "operator":
        raise KeyFault(
            gettext("Only the operator of this node publishes what it runs."),
            hint=gettext("Open the link that “koinon up” printed, or run a node of your own."),
            code="service.operator_only",
        )


def keep_source(node: Any, visitor: Visitor, name: str, content: bytes) -> str:
    """Keep an uploaded source or model under its digest; its path."""
    must_operate(visitor)
    suffix = Path(name).suffix
    if suffix not in (".py", ".npz") or not content or len(content) > LARGEST:
        raise BadInput(
            gettext("Give a Python file (.py) or a model file (.npz) of at most 32 MiB."),
            code="service.source",
        )
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = Path(node.settings.home) / SOURCES / digest / f"service{suffix}"
    write_private(path, content)
    return str(path)


def _read(ground: Any, fields: Fields) -> tuple[str, int, dict[str, Fraction]]:
    kind = fields.get("kind", "")
    if kind not in _KINDS:
        raise BadInput(gettext("The form names no kind of service."), code="service.form")
    decimals = int(ground.chain.coin.call("decimals"))
    price = to_units(fields.get("price", "").strip(), decimals)
    shares = read_shares([line.strip() for line in fields.get("shares", "").splitlines() if line.strip()])
    share_table(shares)
    return kind, price, shares


def _source(ground: Any, fields: Fields, suffix: str) -> Path:
    folder = (Path(ground.settings.home) / SOURCES).resolve()
    try:
        path = Path(fields.get("source", "")).resolve()
        kept = path.suffix == suffix and path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        kept = False
    if not kept:
        raise BadInput(
            gettext("There is no file of the kind %(suffix)s with this form.", suffix=suffix),
            hint=gettext("Choose a file and send the form again."),
            code="service.source",
        )
    return path


def _example(fields: Fields) -> dict[str, Any]:
    try:
        found = orjson.loads(fields.get("example", "").strip() or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput(gettext("The example is not a JSON object."), code="service.example")
    return found


def _prepare(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    must_operate(visitor)
    kind, _price, shares = _read(ground, fields)
    result = {gettext("Price of a call"): fields.get("price", "")}
    risks = [gettext("Who has bought a call may ask for it at any time while the gateway runs.")]
    if kind == "function":
        name = fields.get("function", "").strip()
        if not name.isidentifier():
            raise BadInput(gettext("Name the function in the file."), code="service.function")
        _source(ground, fields, ".py")
        result[gettext("Function")] = name
        risks.append(gettext("Its code runs on this machine, as you, whenever somebody pays for a call."))
    elif kind == "model":
        result[gettext("Inputs")] = ", ".join(features_of(_source(ground, fields, ".npz")))[:300]
    else:
        result[gettext("Endpoint")] = check_address(fields.get("endpoint", "").strip())
        _example(fields)
        risks.append(gettext("This machine asks that address for every paid call."))
    for payee, share in shares.items():
        result[gettext("%(account)s gets", account=payee)] = f"{float(share):.2%}"
    return Review(
        title=gettext("Publish this service?"),
        button=gettext("Publish and sell"),
        changes=(
            gettext("It becomes a Work of yours with a till of its own, sold by this node's gateway."),
            gettext("Who shares in its income is fixed for ever."),
        ),
        costs=(gettext("Gas for up to three transactions."),),
        risks=tuple(risks),
        result=result,
    )


def _run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    if account.address != ground.operator.address:
        raise KeyFault(
            gettext("Only the operator of this node publishes what it runs."), code="service.operator_only"
        )
    kind, _price, shares = _read(ground, fields)
    name, description = fields.get("name", "").strip(), fields.get("description", "").strip()
    price = fields.get("price", "").strip()
    services = open_shelf(ground)
    say(gettext("Publishing"))
    listing: Listing
    if kind == "function":
        target = f"{_source(ground, fields, '.py')}:{fields.get('function', '').strip()}"
        listing = services.publish(target, price, shares=shares, name=name, description=description)
    elif kind == "model":
        listing = services.publish_model(
            _source(ground, fields, ".npz"),
            price,
            name=name or gettext("A model"),
            description=description,
            shares=shares,
        )
    else:
        listing = services.publish_endpoint(
            fields.get("endpoint", "").strip(),
            price,
            name=name or gettext("A service"),
            description=description,
            example=_example(fields),
            shares=shares,
        )
    return Outcome(
        gettext("“%(name)s” is Work %(id)s and sold by the call.", name=listing.name, id=listing.work_id),
        f"/works/{listing.work_id}/call",
        {gettext("Address"): listing.url, gettext("From a shell"): listing.command},
    )


PUBLISH: Final = Action("services.publish", _prepare, _run, back="/publish/service")
