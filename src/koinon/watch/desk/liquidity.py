# SPDX-License-Identifier: Apache-2.0
"""What the page on liquidity shows: pools and vaults that were measured, tails, warnings, and live depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from koinon.errors import KoinonError
from koinon.markets.board import Board
from koinon.markets.forms import board_of
from koinon.markets.past import Points
from koinon.markets.routing.pools import Pool
from koinon.watch.api import Watch
from koinon.watch.liquidity.coverage import SLIPPAGE
from koinon.watch.liquidity.report import SIMULATED
from koinon.web import gettext, ngettext, percent
from koinon.web import marked as _
from koinon.web.pictures import Line, draw_line
from koinon.works.ground import Ground

MOST_POOLS: Final = 6
MOST_DEPTHS: Final = 4

SIGNALS: Final[Mapping[str, str]] = {
    "combined": _("coverage below 1 while withdrawals surge"),
    "coverage": _("coverage below 1"),
    "run": _("the three largest holders can ask for too much"),
    "surge": _("withdrawals beyond the forecast on two of five days"),
    "yesterday": _("a day among the worst twentieth (simple watching)"),
    "value_at_risk": _("value at risk among its highest twentieth"),
}
METHODS: Final[Mapping[str, str]] = {
    "historical": _("past days as they were"),
    "filtered": _("past days, scaled by today's volatility"),
}
WAYS: Final[Mapping[str, str]] = {"trees": _("trees"), "seasonal naive": _("the same weekday")}


@dataclass(frozen=True)
class Depth:
    """How far the price of a token falls when so much of it is sold for another."""

    sold: str
    paid_in: str
    picture: Markup


def shown_liquidity(ground: Ground) -> dict[str, Any]:
    """Everything the page's template is given."""
    with Watch.of(ground) as here:
        pools = here.liquidity.kept("pool")
        tails = here.liquidity.kept("tail")
        told = here.liquidity.kept("warnings")
    depths, fault = _depths(ground)
    return {
        "title": liquidity_title(pools),
        "pools": [(each, _course(each), _sales(each)) for each in pools[:MOST_POOLS]],
        "left_out": max(0, len(pools) - MOST_POOLS),
        "tails": tails,
        "warnings": told[0] if told else None,
        "depths": depths,
        "depth_fault": fault,
        "signals": SIGNALS,
        "methods": METHODS,
        "ways": WAYS,
        "hit": _hit(told[0]) if told else "",
    }


def liquidity_title(pools: Sequence[Mapping[str, Any]]) -> str:
    """Whether all that were measured can pay out what thirty bad days may ask for; simulated ones do not
    count."""
    pools = [each for each in pools if SIMULATED not in each["data"]]
    if not pools:
        return gettext("What can be paid out when many leave at once?")
    red = sum(bool(each["red"]) for each in pools)
    if not red:
        return ngettext(
            "What was measured can pay out what thirty bad days may ask for",
            "All %(num)s that were measured can pay out what thirty bad days may ask for",
            len(pools),
        )
    return ngettext(
        "%(red)s of %(num)s can pay out less than thirty bad days may ask for",
        "%(red)s of %(num)s can pay out less than thirty bad days may ask for",
        len(pools),
        red=red,
    )


def _course(report: Mapping[str, Any]) -> Markup:
    """What could be paid out on the last days, as a share of what is owed now, beside what bad days ask."""
    recent, owed = report["recent"], max(1, report["owed"])
    points = [
        (float(at - len(recent["liquid"]) + 1), each / owed) for at, each in enumerate(recent["liquid"])
    ]
    return draw_line(
        Line(
            gettext("What could be paid out, as a share of what is owed now"),
            points,
            float(report["coverage"]["outflow_share"]),
            gettext("what thirty bad days may ask for"),
            gettext("days until now"),
            shown=_percent,
        ),
        f"course-{_slug(report['name'])}",
    )


def _sales(report: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """The depth curve of each token that it holds and would have to sell."""
    return [
        (
            each["token"],
            _curve(
                [(point["amount"] / max(1, each["amount"]), point["fall"]) for point in each["curve"]],
                gettext("How far the price falls when it sells what it holds"),
                gettext("sold, as a share of what it holds"),
                f"sale-{_slug(report['name'])}-{at}",
            ),
        )
        for at, each in enumerate(report["liquid"]["held"])
        if each["curve"]
    ]


def _depths(ground: Ground) -> tuple[list[Depth], str]:
    """Depth of this node's own pairs now: other tokens sold for the coin along all routes. With a sentence
    where that cannot be told."""
    board = board_of(ground)
    try:
        block, pools = board.pools()
    except KoinonError as fault:
        return [], f"{fault.message} {fault.hint}".strip()
    curves, trouble = board.once("depths", block, lambda: _curves(board, pools))
    asset = board.token(board.chain.coin.address)
    found = []
    for place, (address, points) in enumerate(curves):
        token = board.token(address)
        words = gettext("How far the price of %(token)s falls", token=token.symbol)
        sold = gettext("%(token)s sold", token=token.symbol)
        told = [(amount / 10**token.decimals, fall) for amount, fall in points]
        found.append(Depth(token.symbol, asset.symbol, _curve(told, words, sold, f"depth-{place}")))
    return found, trouble


def _curves(board: Board, pools: Sequence[Pool]) -> tuple[list[tuple[str, Points]], str]:
    """For the tokens that most of the coin stands beside: (amount in smallest units, fall as a share), and a
    sentence where they cannot be told. Seconds of work: kept for the block, its faults with it."""
    from koinon.markets.depth import CURVE, depth_curve  # noqa: PLC0415  (scipy: the page is there without it)

    coin = board.chain.coin.address
    beside: dict[str, int] = defaultdict(int)
    for pool in pools:
        if coin in pool.tokens:
            at = pool.tokens.index(coin)
            beside[pool.tokens[1 - at]] += pool.reserves[at]
    if not beside:
        return [], ""
    others = {token for pool in pools for token in pool.tokens} - {coin}
    found = []
    try:
        for address in sorted(others, key=lambda each: (-beside.get(each, 0), each))[:MOST_DEPTHS]:
            curve = depth_curve(pools, address, coin, CURVE)
            points = [(each.amount, each.fall) for each in curve if each.amount > 0]
            if points:
                found.append((address, points))
    except KoinonError as fault:
        return [], f"{fault.message} {fault.hint}".strip()
    return found, ""


def _curve(points: Sequence[tuple[float, float]], name: str, x_name: str, identity: str) -> Markup:
    return draw_line(
        Line(
            name,
            [(0.0, 0.0), *points],
            SLIPPAGE,
            gettext("as far as is counted on"),
            x_name,
            shown=_percent,
        ),
        identity,
    )


def _hit(document: Mapping[str, Any]) -> str:
    """How often the warning that alarms was right, in a sentence."""
    part = document["simulated"]
    found = next((each for each in part["signals"] if each["name"] == "combined"), None)
    if found is None or not found["events"]:
        return ""
    return gettext(
        "On simulated runs the early warning came before %(hits)s of %(events)s "
        "(%(low)s to %(high)s); the same alarms moved in time came before %(chance)s.",
        hits=found["hits"],
        events=found["events"],
        low=percent(found["low"], 0),
        high=percent(found["high"], 0),
        chance=percent(found["chance"], 0),
    )


def _percent(value: float) -> str:
    return percent(value)


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)[:48]
