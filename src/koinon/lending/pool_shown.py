# SPDX-License-Identifier: Apache-2.0
"""What ``koinon lending`` says of pools, loans, quotes and scores to people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from koinon.lending.issuing import Judgement
from koinon.lending.pool_state import LOSSES_BPS, Borne, PoolState
from koinon.lending.pool_terms import WHOLE_BPS
from koinon.lending.pools import Position
from koinon.lending.quoting import LIMITS, Quote
from koinon.terminal import Terminal


def part(bps: float) -> str:
    """1e-4 as per cent."""
    return f"{bps / 100:g} %"


def show_pools(terminal: Terminal, states: Sequence[PoolState]) -> None:
    """One line a pool."""
    terminal.table(
        "Credit pools",
        ("Address", "Lends", "Against", "Cash", "Lent out", "Rate a year", "First loss"),
        [
            (
                state.address,
                state.loan.symbol,
                state.collateral.symbol,
                state.loan.text(state.books.cash),
                f"{state.books.utilisation:.1%}",
                f"{state.base_rate:.2%} + spread",
                state.loan.text(state.books.junior),
            )
            for state in states
        ],
        right=(3, 4, 5, 6),
    )


def show_pool(terminal: Terminal, state: PoolState) -> None:
    """Utilisation, tiers, tranches, and who bears a loss."""
    text, books = state.loan.text, state.books
    terminal.say(f"[bold]{state.address}[/bold]")
    terminal.say(
        escape(
            f"Lends {state.loan.symbol} against {state.collateral.symbol}; {books.utilisation:.1%} lent out, "
            f"{text(books.cash)} of cash, {state.base_rate:.2%} a year before spreads."
        )
    )
    if state.price is None:
        terminal.say(f"[red]Nothing can be borrowed now: {escape(state.no_price)}[/red]")
    else:
        terminal.say(
            escape(f"One {state.collateral.symbol} is worth {state.price.whole:,f} {state.loan.symbol}.")
        )
    who = f"{state.threshold} of {len(state.issuers)} issuers sign scores"
    terminal.say(who + ("; borrowing needs an issuer's offer." if state.terms.offer_required else "."))
    last = len(state.terms.tiers) - 1
    terminal.table(
        "Tiers",
        ("Tier", "LLTV", "Rate a year", "At most", "PD", "LGD", "Lent out"),
        [
            (
                f"{number} (no score)" if number == last else number,
                part(tier.lltv_bps),
                f"{state.base_rate + tier.spread_bps / WHOLE_BPS:.2%}",
                text(tier.cap),
                part(tier.pd_bps),
                part(tier.lgd_bps),
                text(debt),
            )
            for number, (tier, debt) in enumerate(zip(state.terms.tiers, books.debts, strict=False))
        ],
        right=(1, 2, 3, 4, 5, 6),
    )
    terminal.table(
        "Who bears a loss",
        ("Of all debt lost", "Loss", "Junior", "Senior", "Model"),
        [
            (part(share), text(each.loss), text(each.junior), text(each.senior), text(each.fees))
            for share, each in zip(LOSSES_BPS, state.waterfall(), strict=True)
        ],
        right=(1, 2, 3, 4),
        footer=("there is", "", text(books.junior), text(books.senior), text(books.fees)),
    )
    terminal.say(escape(f"Lost so far: {_lost(state, state.lost)}."))


def show_loan(terminal: Terminal, state: PoolState, position: Position) -> None:
    """A loan as it is now."""
    debt, behind = state.loan.text(position.debt), state.collateral.text(position.collateral)
    tier = f", tier {position.tier}" if position.debt else ""
    terminal.say(escape(f"Debt {debt}, collateral {behind}{tier}."))


def show_quote(terminal: Terminal, state: PoolState, quote: Quote, judgement: Judgement | None) -> None:
    """Amount, LTV, rate, reasons, and what a tier better would give."""
    loan, collateral = state.loan, state.collateral
    terminal.say(
        escape(
            f"Tier {quote.tier}: {loan.text(quote.amount)} at {quote.rate:.2%} a year now "
            f"({quote.base_rate:.2%} of the pool, which moves, and {part(quote.spread_bps)}, which stays)."
        )
    )
    terminal.say(
        escape(
            f"Against {collateral.text(max(quote.collateral, quote.collateral_needed))}: "
            f"{part(quote.ltv_bps)} of its worth, sold from {part(quote.lltv_bps)} on, "
            f"which is below {quote.sold_below:,.6g} {loan.symbol}."
        )
    )
    if not quote.is_covered:
        lacking = collateral.text(quote.collateral_needed - quote.collateral)
        terminal.say(
            escape(f"{lacking} of that is still to come; more of it keeps the loan from being sold.")
        )
    terminal.say(escape(f"At most {loan.text(quote.most)}, by {LIMITS[quote.bound_by]}."))
    if quote.better is not None:
        terminal.say(
            escape(
                f"Tier {quote.better.tier} would give it at {quote.better.rate:.2%} against "
                f"{collateral.text(quote.better.collateral)}."
            )
        )
    if judgement is None:
        terminal.say("The tier is what issuers put on chain. Reasons need a scorecard: --scorecard FILE.")
    else:
        show_judgement(terminal, judgement)


def show_judgement(terminal: Terminal, judgement: Judgement) -> None:
    """Points with reasons, ways up, and what the scorecard was measured on."""
    answer = judgement.answer
    terminal.say(
        f"{answer.points} points, tier {answer.final_tier} of the scorecard, "
        f"{part(judgement.word.pd_bps)} probability of going bad in a year, "
        f"as of block {judgement.as_of_block}"
    )
    for sentence in answer.reasons:
        terminal.say("  " + escape(sentence))
    terminal.say("What would lift it a tier:")
    for sentence in answer.ways_up:
        terminal.say("  " + escape(sentence))
    if answer.measured_on:
        auc = "" if answer.auc is None else f"AUC {answer.auc:.4f}"
        beside = "" if answer.baseline is None else f", a plain logistic {answer.baseline:.4f}"
        terminal.say(escape(f"Measured on {answer.measured_on}: {auc}{beside}."))


def _lost(state: PoolState, lost: Borne) -> str:
    if not lost.loss:
        return "nothing"
    text = state.loan.text
    shares = f"{text(lost.junior)} of the junior tranche, {text(lost.senior)} of the senior one"
    return f"{text(lost.loss)}: {shares}, {text(lost.fees)} of the model's"
