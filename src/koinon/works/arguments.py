# SPDX-License-Identifier: Apache-2.0
"""What people give on the command line to publish a Work: its card, its parents, who shares in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from koinon.errors import BadInput, NotFound
from koinon.works.api import Parent
from koinon.works.json_fields import JsonFields
from koinon.works.registration import Card, Registration, read_card
from koinon.works.shares import OWNER, WHOLE, parse_share

_Value = TypeVar("_Value")
_FILE_FIELDS: Final = ("name", "description", "card", "image")
_LONGEST_ID: Final = 78
"""Decimal digits of a uint256."""


def read_registration(path: Path) -> Registration:
    """Name, description and card from a JSON file; NotFound, BadInput."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError:
        raise NotFound(f"There is no card at {path}.", code="works.card") from None
    except ValueError as error:
        raise BadInput(f"{path.name} is not JSON: {error}.", code="works.card") from None
    file = JsonFields(content, "")
    card = file.child("card")
    _refuse_strangers(path, file, _FILE_FIELDS)
    _refuse_strangers(path, card, [field.name for field in fields(Card)])
    return Registration(
        name=file.text("name"),
        description=file.text("description"),
        card=read_card(card),
        image=file.text("image", ""),
    )


def read_parents(parents: Sequence[str], permissions: Sequence[str] = ()) -> list[Parent]:
    """``ID=PERCENT`` and ``ID=HEX`` texts as parents; BadInput when one is malformed or named twice."""
    shares = _each_once(parents, _parent, "A parent is named twice.", "Give it one share.")
    signed = _each_once(permissions, _permission, "A permission is given twice.", "Give each parent's once.")
    for work_id in signed:
        if work_id not in shares:
            raise BadInput(
                f"There is a permission for Work {work_id}, which is no parent.",
                hint=f"Add --parent {work_id}=PERCENT.",
                code="works.permission",
            )
    return [Parent(work_id, share, signed.get(work_id, b"")) for work_id, share in shares.items()]


def read_shares(texts: Sequence[str]) -> dict[str, Fraction]:
    """``ADDRESS=PERCENT`` texts; BadInput when one is malformed or an address is named twice."""
    return _each_once(texts, parse_share, "An address is named twice.", "Add its shares up.")


def read_share(text: str) -> int:
    """``20%`` or ``0.2`` as a share in 1e-9."""
    try:
        return int(parse_share(f"{OWNER}={text}")[1] * WHOLE)
    except BadInput:
        raise BadInput(
            f"{text!r} is not a share of income.",
            hint="Write it like 20%: above 0 % and at most 100 %.",
            code="works.share",
        ) from None


def _each_once(
    texts: Sequence[str], read: Callable[[str], tuple[Any, _Value]], twice: str, hint: str
) -> dict[Any, _Value]:
    pairs = [read(text) for text in texts]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadInput(twice, hint=hint, code="works.twice")
    return found


def _refuse_strangers(path: Path, part: JsonFields, known: Sequence[str]) -> None:
    strangers = sorted(set(part.fields) - set(known))
    if strangers:
        raise BadInput(
            f"{path.name} has fields that nobody knows: {', '.join(strangers)}.",
            hint=f"{part.path or 'The file'} may have: {', '.join(known)}.",
            code="works.card",
        )


def _parent(text: str) -> tuple[int, int]:
    work, _, share = text.partition("=")
    if not work.strip().isdecimal() or len(work) > _LONGEST_ID:
        raise BadInput(
            f"{text!r} is not a parent.", hint="Write ID=PERCENT, such as 7=20%.", code="works.parent"
        )
    return int(work), read_share(share)


def _permission(text: str) -> tuple[int, bytes]:
    work, _, signed = text.partition("=")
    try:
        work_id, permission = int(work[:_LONGEST_ID]), bytes.fromhex(signed.strip().removeprefix("0x"))
    except ValueError:
        permission = b""
    if not permission:
        raise BadInput(
            "That is not a permission.",
            hint="Write ID=HEX, as `koinon works permit` printed it for the parent's owner.",
            code="works.permission",
        )
    return work_id, permission
