# SPDX-License-Identifier: Apache-2.0
"""What forms about Works say: which Work, which use, how much, how many days, and who asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from koinon.errors import BadInput, KeyFault
from koinon.web import Fields, Unit, Visitor, amount_text, gettext
from koinon.web import marked as _
from koinon.works.ground import Ground
from koinon.works.terms import Use

USES: Final[Mapping[int, str]] = {
    Use.DOWNLOAD: _("download it"),
    Use.COMPUTE: _("compute on it"),
    Use.TRAIN: _("train with it"),
    Use.CALL: _("call it"),
    Use.REMIX: _("make new Works from it"),
}
"""Use → what one may do, as a message id."""

DAY_S: Final = 86_400
MOST_DAYS: Final = 36_500
_ID_DIGITS: Final = 15
_THOUSANDS: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")


def whole_number(text: str, digits: int = _ID_DIGITS) -> int | None:
    """A whole number of at most so many decimal digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def work_id_of(fields: Fields) -> int:
    """The Work that a form speaks of; `BadInput` otherwise."""
    return work_ids_of(fields.get("work_id", ""))[0]


def work_ids_of(text: str) -> list[int]:
    """Works named with commas between them, each once; `BadInput` where one is none."""
    found = [whole_number(each.strip()) for each in text.split(",")]
    works = [each for each in found if each is not None]
    if len(works) != len(found):
        raise BadInput(gettext("The form names no Work."), code="works.form")
    return list(dict.fromkeys(works))


def use_of(fields: Fields) -> int:
    """The use that a form speaks of; `BadInput` otherwise."""
    use = whole_number(fields.get("use", ""))
    if use is None or use not in USES:
        raise BadInput(gettext("The form names no use."), code="works.use")
    return use


def days_of(fields: Fields) -> int:
    """How many days a grant lasts, 0 for ever; `BadInput` otherwise."""
    days = whole_number(fields.get("days", "").strip() or "0")
    if days is None or days > MOST_DAYS:
        raise BadInput(gettext("Days are a whole number; 0 is for ever."), code="works.days")
    return days


def coin_unit(ground: Ground) -> Unit:
    """What the network's coin is counted in."""
    coin = ground.chain.coin
    return Unit(str(coin.call("symbol")), int(coin.call("decimals")))


def without_commas(text: str) -> str:
    """A number without the commas between its thousands; nothing where they stand elsewhere: to many people
    1,5 is one and a half."""
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) or "," not in text else ""


def read_amount(text: str, unit: Unit, what: str) -> int:
    """An amount of coins as people type it, in the smallest unit; `BadInput` otherwise."""
    cleaned = without_commas(text.strip())
    whole, dot, part = cleaned.partition(".")
    digits = (whole or "0") + part
    fits = (
        cleaned and digits.isascii() and digits.isdigit() and len(part) <= unit.decimals and len(whole) < 20
    )
    if not fits or (dot and not part):
        raise BadInput(
            gettext("%(what)s is not an amount of %(symbol)s.", what=what, symbol=unit.symbol),
            hint=gettext("Write it like 0.25, with at most %(digits)s decimals.", digits=unit.decimals),
            code="works.amount",
        )
    return int(digits + "0" * (unit.decimals - len(part)))


def money(units: int, unit: Unit) -> str:
    """An amount with its unit."""
    return f"{amount_text(units, unit)} {unit.symbol}"


def acting(visitor: Visitor) -> str:
    """The visitor's address; `KeyFault` for nobody."""
    if visitor.address is None:
        raise KeyFault(gettext("Nobody has come in."), hint=gettext("Come in first."), code="web.nobody")
    return visitor.address
