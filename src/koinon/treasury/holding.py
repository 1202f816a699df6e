# SPDX-License-Identifier: Apache-2.0
"""What holders do in the console: deposit, withdraw, redeem, and take their part in kind."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain.account import Account
from koinon.errors import PaymentError, TransactionFailed
from koinon.markets.forms import board_of, text_of
from koinon.treasury.closed import no_deposits
from koinon.treasury.forms import (
    BACK,
    GAS,
    UNKNOWN,
    amount_of,
    asset_unit,
    at_most,
    contract_of,
    in_shares,
    money,
    opened,
    part_of,
    path_of,
    share_unit,
    skipped,
)
from koinon.treasury.vault import VaultState
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, percent
from koinon.works.forms import acting


def _risks(state: VaultState) -> tuple[str, ...]:
    found = [gettext("What a share is worth moves with what the vault holds: it can fall.")]
    if not state.known:
        found.append(gettext(UNKNOWN))
    if state.stopped or state.tripped:
        found.append(gettext("Allocation is stopped now. Withdrawals are not."))
    return tuple(found)


def _prepare_deposit(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    vault = contract_of(treasury, state)
    amount = amount_of(fields, asset_unit(state))
    have = int(treasury.chain.contract("Coin", state.charter.asset).call("balanceOf", me))
    if have < amount:
        raise PaymentError(
            gettext(
                "You have %(have)s, and this takes %(needed)s.",
                have=money(have, state),
                needed=money(amount, state),
            ),
            hint=gettext(
                "Where money is test money, the page Money gives you some; else send your account some."
            ),
            code="treasury.balance",
        )
    if int(vault.call("maxDeposit", me)) < amount:
        raise no_deposits(state)
    shares = int(vault.call("previewDeposit", amount))
    worth = int(vault.call("previewRedeem", shares))
    return Review(
        title=gettext("Deposit %(amount)s into %(name)s?", amount=money(amount, state), name=state.name),
        button=gettext("Deposit"),
        changes=(
            gettext("The vault holds your money, and you hold shares of it."),
            gettext(
                "Its allocator may move it within the bounds on the vault's page, and nobody beyond them."
            ),
        ),
        costs=(
            gettext("Gas for up to two transactions."),
            *_cost_of_leaving(state),
            *(
                (
                    gettext(
                        "Of gains above a share's highest worth %(fee)s go to %(who)s.",
                        fee=percent(state.charter.fee_bps / 10_000),
                        who=state.charter.fee_to,
                    ),
                )
                if state.charter.fee_bps
                else ()
            ),
        ),
        risks=_risks(state),
        result={
            gettext("You would get"): in_shares(shares, state),
            gettext("Given back at once they would bring"): money(worth, state),
        },
        reckoned=True,
    )


def _cost_of_leaving(state: VaultState) -> tuple[str, ...]:
    if not state.charter.spread_bps:
        return ()
    return (gettext("Leaving costs %(part)s.", part=percent(state.charter.spread_bps / 10_000, 2)),)


def _run_deposit(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    amount = amount_of(fields, asset_unit(state))
    say(gettext("Depositing"))
    shares = treasury.deposit(state.address, amount)
    return Outcome(gettext("You got %(shares)s.", shares=in_shares(shares, state)), path_of(state.address))


def _leaving(
    title: str,
    button: str,
    state: VaultState,
    result: dict[str, str],
    more: str = "",
    *,
    reckoned: bool = False,
) -> Review:
    return Review(
        title=title,
        button=button,
        changes=(
            gettext("Shares of yours are burnt, and you get what they are worth."),
            *([more] if more else ()),
        ),
        costs=(gettext(GAS), *_cost_of_leaving(state)),
        risks=(gettext("Prices may move before it is mined, and what comes out with them."),),
        result=result,
        reckoned=reckoned,
    )


def _prepare_withdraw(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    vault = contract_of(treasury, state)
    most = int(vault.call("maxWithdraw", me))
    amount = at_most(amount_of(fields, asset_unit(state)), most, money(most, state))
    shares = int(vault.call("previewWithdraw", amount))
    return _leaving(
        gettext("Withdraw %(amount)s from %(name)s?", amount=money(amount, state), name=state.name),
        gettext("Withdraw"),
        state,
        {
            gettext("You get"): money(amount, state),
            gettext("You give back"): in_shares(shares, state),
            gettext("Most that can be had at once"): money(most, state),
        },
        reckoned=True,
    )


def _run_withdraw(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    amount = amount_of(fields, asset_unit(state))
    say(gettext("Withdrawing"))
    paid = treasury.withdraw(state.address, amount)
    return _paid(state, paid.assets, paid.shares)


def _paid(state: VaultState, assets: int, shares: int) -> Outcome:
    return Outcome(
        gettext(
            "You got %(amount)s for %(shares)s.", amount=money(assets, state), shares=in_shares(shares, state)
        ),
        path_of(state.address),
    )


def _prepare_redeem(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    vault = contract_of(treasury, state)
    most = int(vault.call("maxRedeem", me))
    shares = at_most(amount_of(fields, share_unit(state)), most, in_shares(most, state))
    assets = int(vault.call("previewRedeem", shares))
    return _leaving(
        gettext("Give %(shares)s back to %(name)s?", shares=in_shares(shares, state), name=state.name),
        gettext("Redeem"),
        state,
        {gettext("You give back"): in_shares(shares, state), gettext("You get"): money(assets, state)},
        reckoned=True,
    )


def _run_redeem(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    shares = amount_of(fields, share_unit(state))
    say(gettext("Redeeming"))
    paid = treasury.redeem(state.address, shares)
    return _paid(state, paid.assets, paid.shares)


def _prepare_in_kind(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    shares = part_of(fields, treasury.shares_of(state.address, me))
    left = skipped(fields, state)
    try:
        amounts = treasury.in_kind(state.address, shares, me, skip=left)
    except TransactionFailed as refusal:
        raise PaymentError(
            gettext("The vault refuses it: %(reason)s.", reason=refusal.reason or refusal.message),
            hint=gettext("Leave the place behind whose token does not answer."),
            code="treasury.in_kind",
        ) from refusal
    result = {
        gettext("You give back"): in_shares(shares, state),
        state.asset_symbol: money(amounts[0], state),
    }
    board = board_of(ground)
    for slot in state.slots:
        held = text_of(amounts[slot.number + 1], board.token(slot.strategy.token))
        result[slot.symbol] = gettext("nothing: left behind") if slot.number in left else held
    more = gettext("It needs no price, no role and no trade: it works while everything else is stopped.")
    return _leaving(
        gettext("Take your part of everything %(name)s holds?", name=state.name),
        gettext("Redeem in kind"),
        state,
        result,
        more,
    )


def _run_in_kind(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    shares = part_of(fields, treasury.shares_of(state.address))
    say(gettext("Redeeming in kind"))
    paid = treasury.withdraw_in_kind(state.address, shares, skip=skipped(fields, state))
    board = board_of(ground)
    tokens = {
        slot.symbol: text_of(paid.tokens[slot.symbol], board.token(slot.strategy.token))
        for slot in state.slots
    }
    return Outcome(
        gettext(
            "You got %(amount)s and your part of each token for %(shares)s.",
            amount=money(paid.assets, state),
            shares=in_shares(paid.shares, state),
        ),
        path_of(state.address),
        tokens,
    )


ACTIONS: Final = (
    Action("treasury.deposit", _prepare_deposit, _run_deposit, back=BACK),
    Action("treasury.withdraw", _prepare_withdraw, _run_withdraw, back=BACK),
    Action("treasury.redeem", _prepare_redeem, _run_redeem, back=BACK),
    Action("treasury.in_kind", _prepare_in_kind, _run_in_kind, back=BACK),
)
