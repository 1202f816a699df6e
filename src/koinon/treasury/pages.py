# SPDX-License-Identifier: Apache-2.0
"""Vaults in the console: what each holds beside its bounds, how its share did, money in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import BadInput, NotFound, SetupError
from koinon.markets.board import REASONS, Board
from koinon.markets.forms import board_of, exact, unit_of
from koinon.treasury import allocating, holding
from koinon.treasury.api import Treasury
from koinon.treasury.forms import UNKNOWN, asset_unit, path_of, share_unit
from koinon.treasury.past import Past, past_of, worth_of
from koinon.treasury.pictured import Weight, draw_report, draw_share, draw_weights, draw_worth
from koinon.treasury.told import (
    WORDS,
    announcement,
    happened,
    last_targets,
    pools_behind,
    reports,
    roles_of,
    waiting,
)
from koinon.treasury.vault import NOBODY, WAD, WHOLE_BPS, Kind, VaultState, vault_at
from koinon.web import NavEntry, Router, gettext, node, paginate, render, visitor
from koinon.web import marked as _

router: Final = Router(
    "treasury",
    nav=[NavEntry("money", "/vaults", _("Vaults"), order=20)],
    actions=(*holding.ACTIONS, *allocating.ACTIONS),
)

PAGE: Final = 10
KINDS: Final = {Kind.TOKEN: _("token"), Kind.SHARES: _("shares of another vault or pool")}


@dataclass(frozen=True)
class Line:
    """A vault in the list: what one share is worth in whole assets, and how many places hold its money.
    ``state`` None where it does not answer."""

    address: str
    state: VaultState | None
    share: float = 0.0
    places: int = 0


@router.page("/vaults")
def vaults(request: Request) -> Response:
    """Every vault of the network, newest first."""
    ground = node(request)
    treasury, board = Treasury.of(ground), board_of(ground)
    try:
        addresses = treasury.vaults()
    except SetupError as missing:
        return render(request, "treasury/vaults.html", missing=missing, lines=(), picture=None, **_shared())
    pages = paginate(request, len(addresses), PAGE)
    block = board.block()
    lines = [
        _line(address, board.once(("vault-state", address), block, lambda at=address: _answer(treasury, at)))  # type: ignore[misc]
        for address in addresses[pages.offset : pages.offset + pages.size]
    ]
    coin = treasury.chain.coin.address
    answering = [line.state for line in lines if line.state is not None]
    counted = [state for state in answering if state.charter.asset == coin]
    return render(
        request,
        "treasury/vaults.html",
        missing=None,
        lines=lines,
        pages=pages,
        total=sum(state.gross for state in counted),
        counted=len(counted),
        picture=draw_worth([(state.name, state) for state in counted]),
        **_shared(),
    )


def _answer(treasury: Treasury, address: str) -> VaultState | None:
    """None for a vault that does not answer: one broken token must not take the list away."""
    try:
        return treasury.vault(address)
    except NotFound:
        return None


def _line(address: str, state: VaultState | None) -> Line:
    if state is None:
        return Line(address, None)
    return Line(address, state, worth_of(state.price), _places(state))


def _places(state: VaultState) -> int:
    """In how many places its money lies: its slots that hold something, and what is idle."""
    return sum(1 for slot in state.slots if slot.held) + (1 if state.idle else 0)


def weights_of(state: VaultState, targets: dict[int, float]) -> list[Weight]:
    """Each slot's part beside its bounds, then what is idle."""
    whole = state.gross or 1
    found = [
        Weight(
            slot.symbol,
            slot.worth / whole,
            slot.strategy.min_bps / WHOLE_BPS,
            slot.strategy.max_bps / WHOLE_BPS,
            targets.get(slot.number),
        )
        for slot in state.slots
    ]
    idle = 1 - sum(targets.values()) if len(targets) == len(state.slots) and targets else None
    least = state.limits.idle_bps / WHOLE_BPS
    return [*found, Weight(gettext("idle"), state.idle / whole if state.gross else 1.0, least, 1.0, idle)]


@router.page("/vaults/{address}")
def vault(request: Request, address: str) -> Response:
    """One vault: weights beside bounds, its share beside equal parts, its rules, and what one can do."""
    ground, me = node(request), visitor(request).address
    treasury, board = Treasury.of(ground), board_of(ground)
    state = _found(treasury, address)
    past = past_of(board, state) if state.gross or state.supply else Past([], [], (), ())
    targets = last_targets(board, state)
    weights = weights_of(state, targets)
    report = treasury.reports.of(state.address)
    return render(
        request,
        "treasury/vault.html",
        state=state,
        places=_places(state),
        weights=weights,
        outside=[weight for weight in weights if not weight.inside] if state.gross and state.valid else [],
        targets=targets,
        known_reports=reports(board, state),
        pools=pools_behind(board, state),
        waiting=[
            (each, announcement(each, state), each.ready_at <= state.at) for each in waiting(board, state)
        ],
        past=past,
        share=worth_of(state.price),
        weights_picture=draw_weights(weights) if state.slots else None,
        share_picture=draw_share(past, state.asset_symbol, len(state.slots)),
        report=report,
        report_picture=draw_report(report) if report else None,
        events=happened(board, state.address),
        words=WORDS,
        mine=_mine(board, state, me),
        roles=roles_of(state, me),
        unknown=UNKNOWN,
        most_lost=state.limits.turnover_bps * state.limits.slippage_bps / WHOLE_BPS**2,
        traded=state.traded / WAD,
        **_shared(),
    )


def _found(treasury: Treasury, address: str) -> VaultState:
    try:
        return treasury.vault(address)
    except (BadInput, NotFound) as error:
        raise NotFound(
            gettext("There is no vault at %(address)s.", address=address[:60]),
            hint=gettext("Check the address. Vaults of this network are listed under Money."),
            code="treasury.no_vault",
        ) from error


@dataclass(frozen=True)
class Mine:
    """What the visitor has of a vault, and could have at once; in smallest units."""

    shares: int
    worth: int
    withdrawable: int
    redeemable: int
    coins: int


def _mine(board: Board, state: VaultState, me: str | None) -> Mine | None:
    if me is None:
        return None
    contract = vault_at(board.chain, state.address)
    shares, withdrawable, redeemable = contract.call_many(
        [("balanceOf", me), ("maxWithdraw", me), ("maxRedeem", me)]
    )
    worth = int(contract.call("convertToAssets", shares)) if shares else 0
    coins = int(board.chain.contract("Coin", state.charter.asset).call("balanceOf", me))
    return Mine(int(shares), worth, int(withdrawable), int(redeemable), coins)


def share_text(value: float) -> str:
    """What a share is worth, with the digits that move."""
    return f"{value:,.4f}"


def _shared() -> dict[str, Any]:
    return {
        "asset_unit": asset_unit,
        "share_unit": share_unit,
        "unit_of": unit_of,
        "exact": exact,
        "share_text": share_text,
        "path_of": path_of,
        "kinds": KINDS,
        "reasons": REASONS,
        "nobody": NOBODY,
        "whole": WHOLE_BPS,
        "section": "money",
    }
