# SPDX-License-Identifier: Apache-2.0
"""A service's income by day and payer, and what a visitor put into channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.services.market import pictures as market_pictures
from koinon.services.market.pictures import date_of
from koinon.web import Router, Unit, gettext, node, render, visitor
from koinon.works.earnings import Income
from koinon.works.exits import channel_fields, other_unit
from koinon.works.pages import hall
from koinon.works.portrait import portrait
from koinon.works.purse import OpenChannel
from koinon.works.vouchers import ChannelConfig

DAY_S: Final = 86_400
MOST_DAYS: Final = 60
MOST_PAYERS: Final = 50

router: Final = Router("services")


@dataclass(frozen=True)
class Day:
    """Payments of one day, UTC. ``amount`` in the coin's smallest unit; ``count`` of payments as they reached
    the till, several calls in one where a channel was settled."""

    day: str
    timestamp: int
    amount: int
    count: int
    payers: int


@dataclass(frozen=True)
class ChannelLine:
    """A channel on the page, with the hidden fields of its forms; ``ready`` when an exit can be finished;
    ``unit`` where it holds another token than the coin."""

    channel: OpenChannel
    name: str
    work_id: int | None
    fields: dict[str, str]
    ready: bool
    unit: Unit | None


def days_of(income: Income) -> list[Day]:
    """Income by day, the newest first."""
    amounts: dict[int, int] = {}
    counts: dict[int, int] = {}
    payers: dict[int, set[str]] = {}
    for payment in income.payments:
        day = payment.timestamp // DAY_S * DAY_S
        amounts[day] = amounts.get(day, 0) + payment.amount
        counts[day] = counts.get(day, 0) + payment.count
        payers.setdefault(day, set()).add(payment.payer)
    return [
        Day(date_of(day), day, amounts[day], counts[day], len(payers[day]))
        for day in sorted(amounts, reverse=True)
    ]


@router.page("/services/{work_id}/earnings")
def earnings(request: Request, work_id: int) -> Response:
    """What a service earned, by day and by payer, and what of it can be taken out now."""
    here, who = hall(request), visitor(request)
    found = portrait(here, work_id)
    income = here.book.of(work_id)
    days = days_of(income)
    unit: Unit = request.app.state.contribute.coin
    return render(
        request,
        "services/earnings.html",
        work=found,
        income=income,
        days=days[:MOST_DAYS],
        payers=list(income.by_payer.items())[:MOST_PAYERS],
        last_paid=income.last_paid,
        mine=here.ways.gather([work_id], who.address) if who.address else None,
        picture=market_pictures.by_day(((each.timestamp, each.amount) for each in days), unit),
        section="money",
    )


@router.page("/money/channels")
def channels(request: Request) -> Response:
    """What the visitor put into channels, for whom, what is left, and how to take it back."""
    who, here, ground = visitor(request), hall(request), node(request)
    if who.address is None:
        return render(request, "services/channels.html", lines=None, section="money")
    now, coin = ground.chain.timestamp(), ground.chain.coin.address
    found = here.purses.channels(who.address)
    works = {each.receiver: here.family.work_of(each.receiver) for each in found}
    names = here.directory.names([work for work in works.values() if work is not None])

    def name_of(channel: OpenChannel) -> str:
        work = works[channel.receiver]
        return channel.receiver[:10] if work is None else names.get(work, gettext("Work %(id)s", id=work))

    lines = [
        ChannelLine(
            each,
            name_of(each),
            works[each.receiver],
            _fields(each),
            bool(each.exit_amount) and each.exit_after <= now,
            None if each.token == coin else other_unit(each.token),
        )
        for each in found
    ]
    own = [each for each in found if each.token == coin]
    return render(
        request,
        "services/channels.html",
        lines=lines,
        left=sum(each.left for each in own),
        claimed=sum(each.claimed for each in own),
        picture=market_pictures.left_in(own, name_of, request.app.state.contribute.coin),
        section="money",
    )


def _fields(channel: OpenChannel) -> dict[str, str]:
    return channel_fields(
        ChannelConfig(
            payer=channel.payer,
            payer_authorizer=channel.payer_authorizer,
            receiver=channel.receiver,
            receiver_authorizer=channel.receiver_authorizer,
            token=channel.token,
            withdraw_delay_s=channel.withdraw_delay_s,
            salt=bytes.fromhex(channel.salt.removeprefix("0x")),
        )
    )
