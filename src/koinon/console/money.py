# SPDX-License-Identifier: Apache-2.0
"""An account's money: earned, waiting, in channels; and what the node's gateway holds in vouchers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, KoinonError
from koinon.services.buying.pocket import POCKET_COINS, give_coins, gives_coins
from koinon.services.buying.transport import Http
from koinon.services.counter import open_counter, open_shelf
from koinon.web import (
    Action,
    Fields,
    Outcome,
    Review,
    Router,
    Say,
    Unit,
    Visitor,
    gettext,
    node,
    render,
    visitor,
)
from koinon.web.pictures import draw_river
from koinon.works.exits import channel_fields, other_unit
from koinon.works.forms import acting, coin_unit, money
from koinon.works.hall import Hall
from koinon.works.pages import hall
from koinon.works.pictured import account_river
from koinon.works.purse import OpenChannel
from koinon.works.vouchers import ChannelConfig

_PATIENCE_S: Final = 3.0


@dataclass(frozen=True)
class ChannelLine:
    """A channel on the page, with the hidden fields of its forms; ``ready`` when an exit can be finished.
    ``unit`` of its amounts where it holds another token than the coin."""

    channel: OpenChannel
    work_id: int | None
    fields: dict[str, str]
    ready: bool
    unit: Unit | None


def _prepare_settle(ground: Any, visitor: Visitor, _fields: Fields) -> Review:
    if visitor.kind != "operator":
        raise KeyFault(gettext("Only the operator settles this node's vouchers."), code="money.operator_only")
    owed = vouchers_owed(ground)
    return Review(
        title=gettext("Bring the vouchers onto the chain?"),
        button=gettext("Settle"),
        changes=(gettext("What buyers signed is claimed and sent to the tills of the Works they used."),),
        costs=(gettext("Gas, paid by the gateway's own account."),),
        result={gettext("Signed and not claimed"): money(owed or 0, coin_unit(ground))},
    )


def _run_settle(ground: Any, account: Account, _fields: Fields, say: Say) -> Outcome:
    if account.address != ground.operator.address:
        raise KeyFault(gettext("Only the operator settles this node's vouchers."), code="money.operator_only")
    say(gettext("Claiming and settling"))
    report = open_counter(ground).settle()
    unit = coin_unit(ground)
    return Outcome(
        gettext(
            "%(claimed)s were claimed and %(settled)s went to tills.",
            claimed=money(int(report["claimed"]), unit),
            settled=money(sum(report["settled"].values()), unit),
        ),
        "/money",
    )


def _prepare_coins(ground: Any, visitor: Visitor, _fields: Fields) -> Review:
    acting(visitor)
    if not gives_coins(ground):
        raise BadInput(
            gettext("Coins are given away only where money is test money."), code="money.not_given"
        )
    unit = coin_unit(ground)
    return Review(
        title=gettext("Take some test coins?"),
        button=gettext("Take them"),
        changes=(
            gettext(
                "%(amount)s come to your account, and gas for its transactions.",
                amount=money(POCKET_COINS * 10**unit.decimals, unit),
            ),
        ),
        costs=(gettext("Nothing: they are worth nothing."),),
    )


def _run_coins(ground: Any, account: Account, _fields: Fields, say: Say) -> Outcome:
    say(gettext("Giving test coins"))
    given = give_coins(ground, account.address)
    return Outcome(gettext("You were given %(amount)s.", amount=money(given, coin_unit(ground))), "/money")


router: Final = Router(
    "console",
    actions=[
        Action("money.settle", _prepare_settle, _run_settle, back="/money"),
        Action("money.coins", _prepare_coins, _run_coins, back="/money"),
    ],
)


@router.page("/money")
def money_page(request: Request) -> Response:
    """What this visitor earned, what waits, what lies in channels."""
    who, here, ground = visitor(request), hall(request), node(request)
    if who.address is None:
        return render(request, "money.html", purse=None, section="money")
    works = [*here.directory.of_owner(who.address), *here.directory.of_payee(who.address)]
    purse = here.purses.of(who.address, works)
    gathering = here.purses.gather(who.address, works)
    now = ground.chain.timestamp()
    tills = here.family.works_of(purse.by_till)
    known = {part.work_id for part in purse.parts} | set(tills.values())
    names = here.directory.names(sorted(known))
    unit = request.app.state.contribute.coin
    return render(
        request,
        "money.html",
        purse=purse,
        gathering=gathering,
        picture=draw_river(account_river(purse, tills.get, names, unit)) if known else None,
        names=names,
        balance=int(ground.chain.coin.call("balanceOf", who.address)),
        gives=gives_coins(ground),
        paying=[_line(here, channel, now) for channel in here.purses.channels(who.address)],
        owed=vouchers_owed(ground) if who.kind == "operator" else None,
        section="money",
    )


def vouchers_owed(ground: Any) -> int | None:
    """What buyers signed to this node's gateway and is not claimed yet; None where no gateway runs."""
    try:
        running = open_shelf(ground).running()
    except KoinonError:
        return None
    if running is None:
        return None
    http = Http(_PATIENCE_S)
    try:
        return int(orjson.loads(http.request("GET", f"{running}/health").body)["owed"])
    except (KoinonError, ValueError, KeyError, TypeError):
        return None
    finally:
        http.close()


def _line(here: Hall, channel: OpenChannel, now: int) -> ChannelLine:
    config = ChannelConfig(
        payer=channel.payer,
        payer_authorizer=channel.payer_authorizer,
        receiver=channel.receiver,
        receiver_authorizer=channel.receiver_authorizer,
        token=channel.token,
        withdraw_delay_s=channel.withdraw_delay_s,
        salt=bytes.fromhex(channel.salt.removeprefix("0x")),
    )
    ready = bool(channel.exit_amount) and channel.exit_after <= now
    unit = None if channel.token == here.chain.coin.address else other_unit(channel.token)
    return ChannelLine(channel, here.family.work_of(channel.receiver), channel_fields(config), ready, unit)
