# SPDX-License-Identifier: Apache-2.0
"""Credit in the console: what a wallet scores and may borrow; pools, who bears their losses, stress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from koinon.errors import BadInput
from koinon.lending import borrowing, offering, supplying
from koinon.lending.forms import LETTERS_MOST, address_of, unit_of
from koinon.lending.grades import letter, titles
from koinon.lending.ledger import Happened
from koinon.lending.pictures import draw_rates, draw_waterfall
from koinon.lending.pool_page import begin_stress, look_at_pool
from koinon.lending.pool_state import LOSSES_BPS, PoolState
from koinon.lending.pool_terms import WHOLE_BPS
from koinon.lending.wallet_page import LIMITS, Looker
from koinon.web import (
    NavEntry,
    Router,
    amount_text,
    gettext,
    node,
    paginate,
    percent,
    render,
    url,
    visitor,
)
from koinon.web import marked as _
from koinon.web.pictures import Mark, Marks, draw_marks

MOST_PICTURED: Final = 12
AT_ONCE: Final = 20
"""Pools on one page: anyone may create more."""

router: Final = Router(
    "lending",
    nav=[
        NavEntry("money", "/credit", _("A wallet's credit"), order=30),
        NavEntry("money", "/pools", _("Credit pools"), order=31),
    ],
    actions=(*borrowing.ACTIONS, *supplying.ACTIONS, *offering.ACTIONS),
)

WORDS: Final = {
    "borrowed": _("borrowed"),
    "repaid": _("repaid"),
    "liquidated": _("liquidated: part of its debt was repaid for its collateral"),
    "defaulted": _("defaulted: this was never repaid"),
    "moved tier": _("moved to another tier"),
    "collateral in": _("put collateral in"),
    "collateral out": _("took collateral back"),
    "lent": _("lent to the pool"),
    "taken back": _("took back what it lent"),
}
EVIDENCE: Final = {
    "off-chain real": _("real loans, off chain"),
    "simulated": _("simulated"),
    "on-chain real": _("real, on chain"),
}
"""Where a card's figures come from, as its report says."""


def looker(request: Request) -> Looker:
    """One a console, so that what was computed stays."""
    state = request.app.state
    if not hasattr(state, "credit_looker"):
        state.credit_looker = Looker(node(request))
    found: Looker = state.credit_looker
    return found


@router.page("/credit")
def credit(request: Request) -> Response:
    """Whose credit? A form, or on to the wallet's page."""
    text = request.query_params.get("address", "").strip()
    fault = ""
    if text:
        try:
            return RedirectResponse(url(f"/credit/{address_of(text)}"), 303)
        except BadInput as wrong:
            fault = f"{wrong.message} {wrong.hint}"
    status = 422 if fault else 200
    return render(
        request, "lending/credit.html", text=text[:LETTERS_MOST], fault=fault, status=status, section="money"
    )


@router.page("/credit/{wallet}")
def wallet_page(request: Request, wallet: str) -> Response:
    """What a wallet scores, why, what it may borrow where, and what it did."""
    who = address_of(wallet)
    seen, me = looker(request), visitor(request).address
    addresses = seen.seen.addresses()
    pages = paginate(request, len(addresses), AT_ONCE)
    shown = addresses[pages.offset : pages.offset + pages.size]
    look = seen.look(who, shown, judging=me == who)
    by_address = {each.state.address: each.state for each in look.pools}
    signer, name = node(request).operator.address, _namer([each.state for each in look.pools])
    return render(
        request,
        "lending/wallet.html",
        look=look,
        title=look.title(),
        scale=look.scale(),
        past=look.past(),
        mine=me == who,
        pages=pages,
        told=[_told(each, by_address, name) for each in look.happened],
        pair_name=name,
        units={place: (unit_of(each.loan), unit_of(each.collateral)) for place, each in by_address.items()},
        offers=offering.kept_for(node(request), who) if me in (who, signer) else [],
        signs=[
            each.state.address
            for each in look.pools
            if visitor(request).kind == "operator" and signer in each.state.issuers
        ],
        letter=letter,
        titles=titles(),
        limits=LIMITS,
        origin=EVIDENCE,
        now=node(request).chain.timestamp(),
        section="money",
    )


@router.change("/credit/{wallet}/judge")
def judge_again(request: Request, wallet: str) -> Response:
    """Judge a wallet as of now."""
    who = address_of(wallet)
    looker(request).judge_again(who)
    return RedirectResponse(url(f"/credit/{who}"), 303)


@router.page("/pools")
def pools_page(request: Request) -> Response:
    """Every credit pool of the network."""
    seen = looker(request).seen
    addresses = seen.addresses()
    pages = paginate(request, len(addresses), AT_ONCE)
    listing = seen.listed(addresses[pages.offset : pages.offset + pages.size])
    states = listing.states
    name = _namer(states)
    marks = [
        Mark(
            name(state),
            state.books.utilisation,
            state.books.utilisation,
            state.books.utilisation,
            gettext("lent out"),
        )
        for state in states[:MOST_PICTURED]
    ]
    picture = None
    if marks:
        kink = states[0].terms.kink_bps / WHOLE_BPS
        picture = draw_marks(
            Marks(
                gettext("How much of each pool is lent out"),
                marks,
                kink,
                gettext("%(part)s: from here on rates rise steeply", part=percent(kink, 0)),
                shown=percent,
            ),
            "lent-out",
        )
    return render(
        request,
        "lending/pools.html",
        states=states,
        silent=listing.silent,
        pages=pages,
        pair_name=name,
        picture=picture,
        units={state.address: (unit_of(state.loan), unit_of(state.collateral)) for state in states},
        letter=letter,
        section="money",
    )


@router.page("/pools/{address}")
def pool_page(request: Request, address: str) -> Response:
    """One pool: what is lent out, on which terms, who bears losses, which loans are near their end."""
    who = visitor(request).address
    look = look_at_pool(looker(request), address_of(address), who, lambda count: paginate(request, count))
    state = look.state
    return render(
        request,
        "lending/pool.html",
        look=look,
        state=state,
        pair_name=_namer([state]),
        books=state.books,
        pages=look.pages,
        loans=look.shown,
        loan=unit_of(state.loan),
        collateral=unit_of(state.collateral),
        waterfall=draw_waterfall(state),
        rates=draw_rates(state),
        shares=list(zip(LOSSES_BPS, state.waterfall(), strict=True)),
        letter=letter,
        whole=WHOLE_BPS,
        plain=lambda value: f"{value:,.6g}",
        text=amount_text,
        section="money",
    )


@router.change("/pools/{address}/stress")
def stress(request: Request, address: str) -> Response:
    """Begin to compute what the pool can lose."""
    place = address_of(address)
    begin_stress(looker(request), place)
    return RedirectResponse(url(f"/pools/{place}") + "#stress", 303)


def _namer(states: Sequence[PoolState]) -> Callable[[PoolState], str]:
    """What pools are called: by their tokens, and by address as well where two would be called alike."""
    names = Counter(_pair(state) for state in states)

    def name(state: PoolState) -> str:
        short = f" · {state.address[:6]}…{state.address[-4:]}" if names[_pair(state)] > 1 else ""
        return _pair(state) + short

    return name


def _pair(state: PoolState) -> str:
    return f"{state.loan.symbol}\N{NO-BREAK SPACE}/\N{NO-BREAK SPACE}{state.collateral.symbol}"


def _told(
    happened: Happened, states: dict[str, PoolState], name: Callable[[PoolState], str]
) -> dict[str, Any]:
    """An event as a row: what, how much of which token, what else."""
    state = states.get(happened.pool)
    row: dict[str, Any] = {"event": happened, "what": gettext(WORDS[happened.what]), "amount": "", "more": ""}
    row["pool"] = "" if state is None else name(state)
    if state is None:  # made since the pools were listed
        return row
    loan, collateral = unit_of(state.loan), unit_of(state.collateral)
    if happened.what == "moved tier":
        row["more"] = gettext("to tier %(tier)s", tier=letter(happened.amount))
        return row
    unit = collateral if happened.what.startswith("collateral") else loan
    row["amount"] = f"{amount_text(happened.amount, unit)} {unit.symbol}"
    if happened.what in ("borrowed", "repaid"):
        row["more"] = gettext("owed then: %(debt)s", debt=f"{amount_text(happened.more, loan)} {loan.symbol}")
    elif happened.what == "liquidated":
        taken = f"{amount_text(happened.more, collateral)} {collateral.symbol}"
        row["more"] = gettext("%(taken)s of collateral were taken", taken=taken)
    elif happened.what == "defaulted":
        borne = f"{amount_text(happened.more, loan)} {loan.symbol}"
        row["more"] = gettext("junior lenders bore %(borne)s", borne=borne)
    elif happened.what in ("lent", "taken back"):
        row["more"] = gettext("junior tranche") if happened.more else gettext("senior tranche")
    return row
