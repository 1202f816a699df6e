# SPDX-License-Identifier: Apache-2.0
"""What lenders and liquidators change on pages; and test tokens, where money is test money."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput
from koinon.lending.api import Paid
from koinon.lending.forms import (
    GAS,
    GAS_OF_TWO,
    TRANCHE_NAMES,
    Asked,
    address_of,
    amount_of,
    amount_or_all,
    asked_by,
    asked_of,
    refusals,
    tranche_of,
    unit_of,
)
from koinon.lending.loans import Loan, read_loans
from koinon.lending.pool_terms import WHOLE_BPS
from koinon.lending.pools import JUNIOR
from koinon.markets.tokens import Token, erc20
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, percent
from koinon.works.forms import money
from koinon.works.ground import Ground

BACK: Final = "/pools"
DAY_S: Final = 86_400
SLIP_BPS: Final = 100
"""By how much less collateral than reckoned a liquidator still takes: prices move until it is mined."""
TEST_TOKENS: Final = 10_000
"""Whole lent tokens that are given, and collateral of about that worth."""
TEST_COLLATERAL: Final = 10


def _prepare_deposit(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    tranche, amount = tranche_of(fields), amount_of(fields, "amount", asked.loan)
    asked.must_have(asked.state.loan, amount)
    has = asked.pool.assets_of(tranche, asked.me)
    if tranche == JUNIOR:
        days = f"{asked.state.terms.junior_notice_s / DAY_S:g}"
        risks = (
            gettext("Every loss is taken from the junior tranche first, up to all of it."),
            gettext("To leave you announce it %(days)s days before, and bear losses until then.", days=days),
        )
    else:
        risks = (
            gettext("Losses beyond the junior tranche are taken from the senior one."),
            gettext("What is lent out comes back with repayments; until then it cannot be withdrawn."),
        )
    return Review(
        title=gettext("Lend %(amount)s?", amount=money(amount, asked.loan)),
        button=gettext("Lend it"),
        changes=(
            gettext(
                "%(amount)s go from your account into the %(tranche)s.",
                amount=money(amount, asked.loan),
                tranche=gettext(TRANCHE_NAMES[tranche]),
            ),
            gettext("You earn a share of the interest, while borrowers pay it."),
        ),
        costs=(gettext(GAS_OF_TWO),),
        risks=risks,
        result={
            gettext("Yours in the tranche then"): money(has + amount, asked.loan),
            gettext("Borrowers pay the pool now, a year"): percent(asked.state.base_rate, 2),
            gettext("Lent out"): percent(asked.state.books.utilisation),
        },
        reckoned=True,
    )


def _run_deposit(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    tranche, amount = tranche_of(fields), amount_of(fields, "amount", asked.loan)
    say(gettext("Lending"))
    asked.lending.deposit(asked.state.address, amount, junior=tranche == JUNIOR)
    return Outcome(
        gettext("%(amount)s are lent.", amount=money(amount, asked.loan)), asked.path, _yours(asked, tranche)
    )


def _yours(asked: Asked, tranche: int) -> dict[str, str]:
    return {gettext("Yours in the tranche"): money(asked.pool.assets_of(tranche, asked.me), asked.loan)}


def _prepare_withdraw(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    tranche = tranche_of(fields)
    wanted = amount_or_all(fields, "amount", asked.loan)
    amount = asked.pool.max_withdraw(tranche, asked.me) if wanted is None else wanted
    if not amount:
        raise BadInput(
            gettext("Nothing can be withdrawn now."),
            hint=gettext(
                "What is lent out comes back with repayments; junior lenders announce their exit first."
            ),
            code="lending.nothing_to_withdraw",
        )
    asked.try_out("withdraw", tranche, amount, asked.me)
    return Review(
        title=gettext("Take %(amount)s back?", amount=money(amount, asked.loan)),
        button=gettext("Take it back"),
        changes=(
            gettext(
                "%(amount)s come from the %(tranche)s to your account.",
                amount=money(amount, asked.loan),
                tranche=gettext(TRANCHE_NAMES[tranche]),
            ),
        ),
        costs=(gettext(GAS),),
        result={
            gettext("Yours in the tranche then"): money(
                max(0, asked.pool.assets_of(tranche, asked.me) - amount), asked.loan
            )
        },
    )


def _run_withdraw(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    tranche = tranche_of(fields)
    amount = amount_or_all(fields, "amount", asked.loan)
    say(gettext("Withdrawing"))
    taken = asked.lending.withdraw(asked.state.address, amount, junior=tranche == JUNIOR)
    return Outcome(
        gettext("%(amount)s came back.", amount=money(taken, asked.loan)), asked.path, _yours(asked, tranche)
    )


def _prepare_announce(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    if not asked.pool.assets_of(JUNIOR, asked.me):
        raise BadInput(gettext("You have nothing in the junior tranche."), code="lending.nothing_junior")
    days = f"{asked.state.terms.junior_notice_s / DAY_S:g}"
    return Review(
        title=gettext("Announce that your junior money will leave?"),
        button=gettext("Announce it"),
        changes=(gettext("In %(days)s days you can withdraw it, for one day.", days=days),),
        costs=(gettext(GAS),),
        risks=(
            gettext("Until then it bears losses as before."),
            gettext("It replaces what you announced earlier."),
        ),
    )


def _run_announce(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    say(gettext("Announcing it"))
    asked.lending.announce_exit(asked.state.address)
    return Outcome(gettext("It is announced. Withdraw within the day after the notice."), asked.path)


def _prepare_liquidate(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    loan, amount, least = _sale(asked, fields)
    paid = min(amount, loan.most_repaid)
    asked.must_have(asked.state.loan, paid)
    return Review(
        title=gettext("Repay %(amount)s of this loan for its collateral?", amount=money(paid, asked.loan)),
        button=gettext("Liquidate it"),
        changes=(
            gettext(
                "You pay part of the debt of %(who)s and get collateral with a bonus.", who=loan.borrower
            ),
            gettext(
                "Where all collateral goes, what is still owed is lost: to junior lenders, then senior ones."
            ),
        ),
        costs=(money(paid, asked.loan), gettext(GAS_OF_TWO)),
        risks=(
            gettext("Somebody else may be first; then nothing is paid, only gas."),
            gettext("You get at least %(least)s, or nothing happens.", least=money(least, asked.collateral)),
        ),
        result={
            gettext("Bonus now"): percent(loan.bonus_bps / WHOLE_BPS, 2),
            gettext("You get about"): money(loan.seized_for(paid), asked.collateral),
            gettext("Owed in all"): money(loan.debt, asked.loan),
        },
        reckoned=True,
    )


def _sale(asked: Asked, fields: Fields) -> tuple[Loan, int, int]:
    """The unsound loan, the most to repay, the least collateral for it; `BadInput` for a sound one."""
    borrower = address_of(fields.get("borrower", ""), gettext("The form names no borrower."))
    found = read_loans(asked.lending.chain, asked.pool, asked.state, [borrower]).loans
    loan = found[0] if found else None
    if loan is None or loan.is_sound:
        raise BadInput(
            gettext("This loan is covered; nobody may sell it."),
            hint=gettext("Only a loan whose health is below 1 is sold."),
            code="lending.sound",
        )
    wanted = amount_or_all(fields, "amount", asked.loan)
    amount = loan.may_repay if wanted is None else wanted
    paid = min(amount, loan.most_repaid)
    if paid < loan.most_repaid and loan.leaves_dust(paid):
        raise BadInput(
            gettext("So little would be left of the loan that the pool refuses it."),
            hint=gettext("Leave the amount empty to repay as much as may be."),
            code="lending.dust",
        )
    return loan, amount, loan.seized_for(paid) * (WHOLE_BPS - SLIP_BPS) // WHOLE_BPS


def _run_liquidate(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    loan, amount, least = _sale(asked, fields)
    say(gettext("Liquidating"))
    done: Paid = asked.lending.liquidate(asked.state.address, loan.borrower, amount, least_collateral=least)
    return Outcome(
        gettext(
            "You paid %(paid)s and got %(got)s.",
            paid=money(done.paid, asked.loan),
            got=money(done.collateral, asked.collateral),
        ),
        asked.path,
        {gettext("Still owed"): money(done.debt, asked.loan)},
    )


def _prepare_tokens(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    if not ground.chain.network.test_money:
        raise BadInput(
            gettext("Coins are given away only where money is test money."), code="money.not_given"
        )
    given = _given(asked)
    for token, amount in given:
        with refusals():
            erc20(asked.lending.chain, token.address).call("mint", asked.me, amount, sender=asked.me)
    return Review(
        title=gettext("Take some test tokens of this pool?"),
        button=gettext("Take them"),
        changes=tuple(
            gettext("%(amount)s come to your account.", amount=money(amount, unit_of(token)))
            for token, amount in given
        ),
        costs=(gettext("Nothing: they are worth nothing."),),
    )


def _given(asked: Asked) -> list[tuple[Token, int]]:
    state = asked.state
    loan = TEST_TOKENS * 10**state.loan.decimals
    one = 10**state.collateral.decimals
    some = TEST_COLLATERAL * one if state.price is None else max(one, state.collateral_for(loan) // one * one)
    return [(state.loan, loan), (state.collateral, some)]


def _run_tokens(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    chain = ground.chain
    for token, amount in _given(asked):
        say(gettext("Giving test coins"))
        chain.sender(account).send(erc20(chain, token.address).transaction("mint", asked.me, amount))
    return Outcome(gettext("The test tokens are in your account."), asked.path)


ACTIONS: Final = (
    Action("lending.deposit", _prepare_deposit, _run_deposit, back=BACK),
    Action("lending.withdraw", _prepare_withdraw, _run_withdraw, back=BACK),
    Action("lending.announce", _prepare_announce, _run_announce, back=BACK),
    Action("lending.liquidate", _prepare_liquidate, _run_liquidate, back=BACK),
    Action("lending.tokens", _prepare_tokens, _run_tokens, back=BACK),
)
