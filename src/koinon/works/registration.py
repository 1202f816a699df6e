# SPDX-License-Identifier: Apache-2.0
"""A Work's registration file: ERC-8004's ``registration-v1`` JSON with a card that must be there, signed.

The card says what a Work is, what it was made from, how good it is beside a baseline, where it ends and how
to contest it. The file's bytes are canonical (UTF-8, sorted keys, no spaces), so its CID names one content.

Source: ERC-8004, "Agent URI and Agent Registration File".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import verify
from koinon.errors import IntegrityError
from koinon.works.json_fields import JsonFields, as_number, malformed
from koinon.works.shares import ShareTable

TYPE: Final = "https://eips.ethereum.org/EIPS/eip-8004#registration-v1"
MAX_BYTES: Final = 262_144
_SIGNED: Final = TypedStruct("Registration(bytes32 contentHash)")


@dataclass(frozen=True)
class Metric:
    """How good a Work is, on data it was not made from.

    ``value`` and ``baseline`` in the metric's own unit, ``interval`` of the value at ``confidence``,
    ``held_out`` which data, ``samples`` how many cases.
    """

    name: str
    value: float
    interval: tuple[float, float]
    baseline: float
    baseline_name: str
    held_out: str
    samples: int
    confidence: float = 0.95
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        _texts(self, "name", "baseline_name", "held_out")
        numbers = (self.value, *self.interval, self.baseline, self.confidence)
        if not all(math.isfinite(number) for number in numbers):
            raise malformed("The metric's numbers must be finite.")
        low, high = self.interval
        if not low <= self.value <= high:
            raise malformed("The metric's value must lie in its interval.")
        if not 0 < self.confidence < 1:
            raise malformed("The metric's confidence must lie between 0 and 1.")
        if self.samples < 1:
            raise malformed("The metric needs at least one held-out sample.")


@dataclass(frozen=True)
class Card:
    """What everyone must be told about a Work.

    ``kind`` dataset, model, service …; ``summary`` what it is; ``data`` what it was made from; ``metric`` the
    held-out figure, or None with the reason in ``unmeasured``; ``limits`` where it must not be trusted, at
    least one; ``contest`` how to object, and to whom.
    """

    kind: str
    summary: str
    data: str
    limits: tuple[str, ...]
    contest: str
    metric: Metric | None = None
    unmeasured: str = ""

    def __post_init__(self) -> None:
        _texts(self, "kind", "summary", "data", "contest")
        if not self.limits or not all(limit.strip() for limit in self.limits):
            raise malformed("A card names at least one limit.", "Say where the Work must not be trusted.")
        if (self.metric is None) == (not self.unmeasured.strip()):
            raise malformed(
                "A card has a held-out metric, or says why there is none.",
                "Give either metric or unmeasured, not both.",
            )


@dataclass(frozen=True)
class Service:
    """Where a Work is reached: ERC-8004's ``services`` entry (name: web, A2A, MCP, x402 …)."""

    name: str
    endpoint: str
    version: str = ""

    def __post_init__(self) -> None:
        _texts(self, "name", "endpoint")


@dataclass(frozen=True)
class Content:
    """A file that belongs to the Work, by CID; ``size`` in bytes, ``sealed`` when it is encrypted."""

    name: str
    cid: str
    size: int
    media_type: str
    sealed: bool = False

    def __post_init__(self) -> None:
        _texts(self, "name", "cid", "media_type")
        if self.size < 0:
            raise malformed("A file's size is not negative.")


@dataclass(frozen=True)
class Registration:
    """Everything a registration file says.

    ``registrations`` are (agent id, registry as ``eip155:<chain>:<address>``) where the Work is known
    already; ``shares`` the table behind the till's root (None: all to the owner); ``about`` what the Work's
    own domain says of it, by topic: an object each, which its domain reads and checks.
    """

    name: str
    description: str
    card: Card
    image: str = ""
    services: tuple[Service, ...] = ()
    contents: tuple[Content, ...] = ()
    shares: ShareTable | None = None
    x402_support: bool = False
    active: bool = True
    supported_trust: tuple[str, ...] = ("reputation",)
    registrations: tuple[tuple[int, str], ...] = field(default=())
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _texts(self, "name", "description")

    def to_json(self) -> dict[str, Any]:
        """The file's fields, as ERC-8004 names them; Koinon's own under ``koinon``."""
        own: dict[str, Any] = {"card": _plain(self.card)}
        if self.contents:
            own["contents"] = [_plain(content) for content in self.contents]
        if self.shares is not None:
            own["shares"] = self.shares.to_json()
        if self.about:
            own["about"] = {topic: dict(said) for topic, said in self.about.items()}
        return {
            "type": TYPE,
            "name": self.name,
            "description": self.description,
            "image": self.image,
            "services": [_plain(service) for service in self.services],
            "x402Support": self.x402_support,
            "active": self.active,
            "registrations": [
                {"agentId": agent_id, "agentRegistry": registry} for agent_id, registry in self.registrations
            ],
            "supportedTrust": list(self.supported_trust),
            "koinon": own,
        }

    @property
    def content_hash(self) -> bytes:
        """keccak256 of the canonical bytes without the signature: 32 bytes."""
        return keccak256(_canonical(self.to_json()))

    def sign(self, account: Account, domain: Domain) -> SignedRegistration:
        """Signed by an account, for one registry (see `registration_domain`)."""
        signature = account.sign_typed(domain, _SIGNED, self.content_hash)
        return SignedRegistration(self, account.address, signature)

    def _digest(self, domain: Domain) -> bytes:
        return digest(domain, _SIGNED.hash(self.content_hash))


@dataclass(frozen=True)
class SignedRegistration:
    """A registration file as it is stored: content, who signed, the 65-byte signature."""

    registration: Registration
    signer: str
    signature: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """The canonical file.

        Raises
        ------
        BadInput
            It is longer than 256 KiB.
        """
        fields = self.registration.to_json()
        fields["koinon"]["signer"] = self.signer
        fields["koinon"]["signature"] = "0x" + self.signature.hex()
        content = _canonical(fields)
        if len(content) > MAX_BYTES:
            raise malformed(
                f"The registration file has {len(content)} bytes, more than {MAX_BYTES}.",
                "Put long texts into a file of their own and name it in contents.",
            )
        return content

    def check(self, domain: Domain) -> None:
        """Make sure that the stated signer signed this content for this registry.

        Raises
        ------
        IntegrityError
            It did not.
        """
        if not verify(self.registration._digest(domain), self.signature, self.signer):
            raise IntegrityError(
                f"The registration file of {self.registration.name!r} was not signed by {self.signer}.",
                hint="It was changed, or made for another network; do not trust it.",
                code="works.registration_signature",
            )

    @classmethod
    def from_bytes(cls, content: bytes) -> SignedRegistration:
        """Read a file.

        Raises
        ------
        BadInput
            It is not a signed registration file; the message names the field.
        """
        if len(content) > MAX_BYTES:
            raise malformed(f"A registration file has at most {MAX_BYTES} bytes.")
        try:
            fields = orjson.loads(content)
        except ValueError:
            raise malformed("The registration file is not JSON.") from None
        reader = JsonFields(fields, "")
        if reader.text("type") != TYPE:
            raise malformed(f"The registration file's type is not {TYPE}.")
        own = reader.child("koinon")
        shares = own.mapping("shares") if "shares" in own.fields else None
        registration = Registration(
            name=reader.text("name"),
            description=reader.text("description"),
            card=read_card(own.child("card")),
            image=reader.text("image", ""),
            services=reader.each("services", _read_service),
            contents=own.each("contents", _read_content),
            shares=None if shares is None else ShareTable(shares),
            x402_support=reader.flag("x402Support", False),
            active=reader.flag("active", True),
            supported_trust=reader.texts("supportedTrust"),
            registrations=reader.each("registrations", _read_agent),
            about=_read_about(own),
        )
        signature = own.text("signature")
        try:
            raw = bytes.fromhex(signature.removeprefix("0x"))
        except ValueError:
            raise malformed("The registration file's koinon.signature is not hexadecimal.") from None
        signed = cls(registration, checksum(own.text("signer")), raw)
        if signed.to_bytes() != content:
            raise malformed("The registration file is not canonical or has fields nobody knows.")
        return signed


def registration_domain(chain_id: int, registry: str) -> Domain:
    """What registration files are signed for: one Works on one chain."""
    return Domain("Koinon registration", "1", chain_id, registry)


def read_card(reader: JsonFields) -> Card:
    """A card from its JSON object; BadInput names the field that is wrong."""
    metric = reader.fields.get("metric")
    return Card(
        kind=reader.text("kind"),
        summary=reader.text("summary"),
        data=reader.text("data"),
        limits=reader.texts("limits"),
        contest=reader.text("contest"),
        metric=None if metric is None else _read_metric(reader.child("metric")),
        unmeasured=reader.text("unmeasured", ""),
    )


def _read_metric(reader: JsonFields) -> Metric:
    interval = reader.fields.get("interval")
    if not isinstance(interval, list) or len(interval) != 2:
        raise reader.wrong("interval", "two numbers")
    low, high = (as_number(bound) for bound in interval)
    if low is None or high is None:
        raise reader.wrong("interval", "two numbers")
    return Metric(
        name=reader.text("name"),
        value=reader.number("value"),
        interval=(low, high),
        baseline=reader.number("baseline"),
        baseline_name=reader.text("baseline_name"),
        held_out=reader.text("held_out"),
        samples=reader.integer("samples"),
        confidence=reader.number("confidence"),
        higher_is_better=reader.flag("higher_is_better", True),
    )


def _read_service(reader: JsonFields) -> Service:
    return Service(reader.text("name"), reader.text("endpoint"), reader.text("version", ""))


def _read_content(reader: JsonFields) -> Content:
    return Content(
        name=reader.text("name"),
        cid=reader.text("cid"),
        size=reader.integer("size"),
        media_type=reader.text("media_type"),
        sealed=reader.flag("sealed", False),
    )


def _read_agent(reader: JsonFields) -> tuple[int, str]:
    return reader.integer("agentId"), reader.text("agentRegistry")


def _read_about(own: JsonFields) -> dict[str, Mapping[str, Any]]:
    about = own.child("about") if "about" in own.fields else JsonFields({}, "")
    return {topic: about.child(topic).fields for topic in about.fields}


def _plain(part: Any) -> dict[str, Any]:
    """A dataclass as JSON fields, without what is empty."""
    fields = asdict(part)
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _canonical(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half of a surrogate pair, or a whole number of more than 64 bits
        raise malformed("The registration file has a text or number that JSON cannot carry.") from None


def _texts(part: object, *names: str) -> None:
    for name in names:
        if not getattr(part, name).strip():
            raise malformed(f"{type(part).__name__} needs a {name.replace('_', ' ')}.")
