# SPDX-License-Identifier: Apache-2.0
"""Numbers, money, addresses and times as people read them, with the exact value one look away.

Everything here returns safe markup. The exact value of what is shortened stands in ``data-exact``, which the
stylesheet shows on hover and focus; an address keeps all its characters, so that copying never cuts it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from babel.dates import format_datetime
from babel.numbers import format_decimal
from markupsafe import Markup, escape

from koinon.web.language import gettext, language, marked, ngettext, url

SHARE_WHOLE: Final = 10**9
"""Shares are counted in 1e-9."""

_KINDS: Final = {
    "dataset": marked("dataset"),
    "model": marked("model"),
    "service": marked("service"),
    "agent": marked("agent"),
    "artwork": marked("artwork"),
    "other": marked("something else"),
}

_LOCALES: Final = {"en": "en", "zh-Hant": "zh_Hant_TW"}
_EXACT: Final = Context(prec=200, rounding=ROUND_HALF_EVEN)
"""Holds every uint256 with its decimals, whatever the thread's own context is."""
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999, with which calendars here end."""
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True)
class Unit:
    """What an amount is counted in: the token's symbol and its decimals."""

    symbol: str
    decimals: int


def kind(name: str) -> str:
    """A Work's kind in the reader's language; kinds that only their publisher knows stay as they are."""
    return gettext(_KINDS[name]) if name in _KINDS else name


def number(value: int) -> str:
    """A whole number with its groups: 12,400."""
    return str(format_decimal(value, locale=_LOCALES[language()]))


def amount_text(units: int, unit: Unit) -> str:
    """An amount with sensible digits: two decimals from 1 on, below that three digits that matter."""
    value = Decimal(units).scaleb(-unit.decimals, _EXACT)
    places = 2
    if value and abs(value) < 1:
        places = min(unit.decimals, max(2, 2 - value.adjusted()))
    rounded = value.quantize(Decimal(1).scaleb(-min(places, unit.decimals)), context=_EXACT)
    text = f"{rounded:,f}"
    if places > 2:
        whole, _, part = text.partition(".")
        text = f"{whole}.{part.rstrip('0').ljust(2, '0')}"
    return text


def amount(units: int, unit: Unit, *, symbol: bool = False) -> Markup:
    """An amount in the token's smallest unit as people read it; the exact integer on hover and focus.

    With ``symbol`` the unit stands behind it; tables say it once in the head instead.
    """
    exact = gettext("exactly %(units)s smallest units", units=f"{int(units):,}")
    shown = amount_text(int(units), unit)
    tail = Markup(' <span class="unit">%s</span>') % unit.symbol if symbol else Markup("")
    said = (int(units), exact, shown, tail)
    return Markup('<data class="amount" value="%s" data-exact="%s" tabindex="0">%s</data>%s') % said


def percent(value: float | Fraction, digits: int = 1) -> str:
    """A fraction of one as percent: 12.5 %."""
    exact = Fraction(value)
    scaled = _EXACT.divide(Decimal(exact.numerator * 100), Decimal(exact.denominator))
    return f"{scaled.quantize(Decimal(1).scaleb(-digits), context=_EXACT):,f} %"


def share(parts: int) -> Markup:
    """A share in 1e-9 as percent; the exact count on hover and focus."""
    value = Fraction(int(parts), SHARE_WHOLE)
    exact = gettext("exactly %(parts)s parts of a billion", parts=f"{int(parts):,}")
    said = (int(parts), exact, percent(value, 2))
    return Markup('<data class="amount" value="%s" data-exact="%s" tabindex="0">%s</data>') % said


def address(account: str, name: str | None = None, *, link: bool = True) -> Markup:
    """An account as its name and a short form that is copied in full; leads to its page on the chain."""
    where = url(f"/chain/address/{account}") if link else None
    return _long(account, 6, 4, name, where)


def digest(value: str | bytes, *, href: str | None = None) -> Markup:
    """A digest, hash or content id, shortened to the eye and whole to the clipboard."""
    text = "0x" + value.hex() if isinstance(value, bytes) else value
    return _long(text, 8, 6, None, href)


def transaction(transaction_hash: str) -> Markup:
    """A transaction's hash, leading to its page."""
    return digest(transaction_hash, href=url(f"/chain/transaction/{transaction_hash}"))


def block(block_number: int) -> Markup:
    """A block's number, leading to its page."""
    return Markup('<a href="{}">{}</a>').format(url(f"/chain/block/{block_number}"), number(block_number))


@lru_cache(8_192)
def _long(text: str, head: int, tail: int, name: str | None, href: str | None) -> Markup:
    if len(text) <= head + tail + 1:
        body = escape(text)
    else:
        parts = (text[:head], text[head:-tail], text[-tail:])
        body = Markup('%s<span class="middle">%s</span>%s') % parts
    code = Markup("<code>%s</code>") % body
    if href is not None:
        code = Markup('<a href="%s" title="%s">%s</a>') % (href, text, code)
    label = Markup('<span class="name">%s</span> ') % name if name else Markup("")
    return Markup('<span class="long">%s%s</span>') % (label, code)


def moment(timestamp: float) -> str:
    """An exact time: 25 Nov 2026, 03:12:55 UTC."""
    if timestamp > _LAST_SECOND:
        return gettext("after the year 9999")
    return _moment(timestamp, _LOCALES[language()])


@lru_cache(8_192)
def _moment(timestamp: float, locale: str) -> str:
    at = datetime.fromtimestamp(timestamp, UTC)
    return f"{format_datetime(at, 'medium', locale=locale)} UTC"


def ago_text(timestamp: float, now: float | None = None) -> str:
    """How long ago, or how far ahead, in one unit."""
    seconds = int((time.time() if now is None else now) - timestamp)
    ahead, seconds = seconds < 0, abs(seconds)
    if seconds < 10:
        return gettext("just now")
    if ahead:
        if seconds < _MINUTE:
            return ngettext("in %(num)s s", "in %(num)s s", seconds)
        if seconds < _HOUR:
            return ngettext("in %(num)s min", "in %(num)s min", seconds // _MINUTE)
        if seconds < _DAY:
            return ngettext("in %(num)s hour", "in %(num)s hours", seconds // _HOUR)
        return ngettext("in %(num)s day", "in %(num)s days", seconds // _DAY)
    if seconds < _MINUTE:
        return ngettext("%(num)s s ago", "%(num)s s ago", seconds)
    if seconds < _HOUR:
        return ngettext("%(num)s min ago", "%(num)s min ago", seconds // _MINUTE)
    if seconds < _DAY:
        return ngettext("%(num)s hour ago", "%(num)s hours ago", seconds // _HOUR)
    return ngettext("%(num)s day ago", "%(num)s days ago", seconds // _DAY)


def ago(timestamp: float, now: float | None = None) -> Markup:
    """A time as "3 min ago", with the exact time on hover and focus. Unix seconds."""
    machine = datetime.fromtimestamp(min(timestamp, _LAST_SECOND), UTC).isoformat().replace("+00:00", "Z")
    said = (machine, moment(timestamp), ago_text(timestamp, now))
    return Markup('<time datetime="%s" data-exact="%s" tabindex="0">%s</time>') % said
