# SPDX-License-Identifier: Apache-2.0
"""What a vault's roles do in the console: the allocator rebalances, guardian and manager stop, and what was
stopped goes on in public."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, TransactionFailed
from koinon.markets.forms import board_of, text_of
from koinon.treasury.api import Treasury
from koinon.treasury.forms import (
    BACK,
    GAS,
    contract_of,
    money,
    opened,
    path_of,
    weights_of,
)
from koinon.treasury.proposal import Move, Proposal
from koinon.treasury.vault import DELAY_S, WHOLE_BPS, VaultState
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, moment, percent
from koinon.works.forms import acting

PATIENCE_S: Final = 600


def _only(may: bool, who: str) -> None:
    if not may:
        raise KeyFault(
            gettext("Only %(who)s of this vault may do this.", who=who),
            hint=gettext("Come in with that account."),
            code="treasury.role",
        )


def _proposal(treasury: Treasury, state: VaultState, fields: Fields) -> Proposal:
    found = treasury.propose(state.address, weights_of(fields, state))
    if not found.moves:
        raise BadInput(
            gettext("There is nothing to move: the vault is there already, or as near as it may be."),
            hint=gettext("Its bounds and what is left of this epoch's turnover stand on its page."),
            code="treasury.nothing_to_move",
        )
    return found


def _prepare_rebalance(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    _only(me == state.charter.allocator, gettext("the allocator"))
    proposal = _proposal(treasury, state, fields)
    board = board_of(ground)
    changes = [_said(move, state) for move in proposal.moves]
    if proposal.kept:
        changes.append(gettext("As they are: %(names)s.", names=", ".join(proposal.kept)))
    result = {
        move.slot.symbol: gettext(
            "%(expected)s expected, %(least)s at the least",
            expected=_comes(board, state, move, move.expected),
            least=_comes(board, state, move, move.least),
        )
        for move in proposal.moves
    }
    result[gettext("Turnover")] = gettext(
        "%(part)s of what is held, %(left)s is left in this epoch",
        part=percent(proposal.turnover, 2),
        left=percent(proposal.left, 2),
    )
    result[gettext("Tried by a call just now")] = _tried(treasury, state, proposal, me)
    return Review(
        title=gettext("Rebalance %(name)s?", name=state.name),
        button=gettext("Rebalance"),
        changes=tuple(changes),
        costs=(
            gettext(
                "Each trade may cost at most %(part)s against the slot's price; else nothing happens.",
                part=percent(state.limits.slippage_bps / WHOLE_BPS, 2),
            ),
            gettext(GAS),
        ),
        risks=(gettext("Prices are looked at again when it is sent; the least of each trade follows them."),),
        result=result,
    )


def _said(move: Move, state: VaultState) -> str:
    bounds = gettext(
        "%(least)s to %(most)s is allowed",
        least=percent(move.slot.strategy.min_bps / WHOLE_BPS),
        most=percent(move.slot.strategy.max_bps / WHOLE_BPS),
    )
    words = {
        "name": move.slot.symbol,
        "amount": money(abs(move.amount), state),
        "before": percent(move.before_bps / WHOLE_BPS),
        "after": percent(move.target_bps / WHOLE_BPS),
        "bounds": bounds,
    }
    if move.amount >= 0:
        said = gettext("Buy %(name)s for %(amount)s: from %(before)s to %(after)s (%(bounds)s).", **words)
    else:
        said = gettext("Sell %(name)s worth %(amount)s: from %(before)s to %(after)s (%(bounds)s).", **words)
    if move.wanted_bps != move.target_bps:
        said += " " + gettext(
            "You wanted %(wanted)s; bounds and turnover allow no more.",
            wanted=percent(move.wanted_bps / WHOLE_BPS),
        )
    return said


def _comes(board: Any, state: VaultState, move: Move, units: int) -> str:
    """What comes in: the slot's token where it is bought, the asset where it is sold."""
    return text_of(units, board.token(move.slot.strategy.token)) if move.amount >= 0 else money(units, state)


def _tried(treasury: Treasury, state: VaultState, proposal: Proposal, me: str) -> str:
    deadline = treasury.chain.next_timestamp() + PATIENCE_S
    try:
        contract_of(treasury, state).call("rebalance", proposal.targets, proposal.least, deadline, sender=me)
    except TransactionFailed as refusal:
        return gettext("refused: %(reason)s", reason=refusal.reason or refusal.message)
    return gettext("the vault accepts it")


def _run_rebalance(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    proposal = _proposal(treasury, state, fields)
    say(gettext("Rebalancing"))
    after = treasury.rebalance(proposal)
    whole = after.gross or 1
    facts = {slot.symbol: percent(slot.worth / whole) for slot in after.slots}
    return Outcome(
        gettext(
            "The vault is rebalanced: it held %(before)s, and holds %(after)s.",
            before=money(state.gross, state),
            after=money(after.gross, after),
        ),
        path_of(state.address),
        facts | {gettext("idle"): percent(after.idle / whole)},
    )


def _prepare_stop(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    _treasury, state = opened(ground, fields)
    _only(me in (state.charter.guardian, state.charter.manager), gettext("the guardian or the manager"))
    if state.stopped:
        raise BadInput(gettext("Allocation is stopped already."), code="treasury.stopped")
    return Review(
        title=gettext("Stop allocation of %(name)s?", name=state.name),
        button=gettext("Stop it"),
        changes=(
            gettext("The allocator can move nothing any more. Deposits and withdrawals go on."),
            gettext("Only an announcement by the manager, and 48 hours, let it go on."),
        ),
        costs=(gettext(GAS),),
        danger=True,
    )


def _run_stop(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    say(gettext("Stopping allocation"))
    treasury.rules.stop(state.address)
    return Outcome(gettext("Allocation is stopped. Withdrawals are not."), path_of(state.address))


def _prepare_resume(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    _only(me == state.charter.manager, gettext("the manager"))
    if not state.stopped and not state.tripped:
        raise BadInput(gettext("Allocation is not stopped."), code="treasury.stopped")
    change = treasury.rules.resumption(state.address)
    if change.ready_at and change.ready_at > treasury.chain.next_timestamp():
        raise BadInput(
            gettext("It was announced, and can be made from %(when)s.", when=moment(change.ready_at)),
            hint=gettext("Come back then."),
            code="treasury.waiting",
        )
    now = bool(change.ready_at)
    return Review(
        title=gettext("Let allocation of %(name)s go on?", name=state.name),
        button=gettext("Let it go on") if now else gettext("Announce it"),
        changes=(
            gettext("The allocator may move money within the bounds again.")
            if now
            else gettext(
                "It is announced in public, and can be made after %(hours)s hours. Until then the guardian "
                "may take it away, and everybody may leave.",
                hours=DELAY_S // 3_600,
            ),
        ),
        costs=(gettext(GAS),),
    )


def _run_resume(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    say(gettext("Letting it go on"))
    after = treasury.rules.make(treasury.rules.resumption(state.address))
    goes_on = not after.stopped and not after.tripped
    return Outcome(
        gettext("Allocation goes on.") if goes_on else gettext("It is announced."), path_of(state.address)
    )


def _prepare_veto(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    me = acting(visitor)
    treasury, state = opened(ground, fields)
    _only(me == state.charter.guardian, gettext("the guardian"))
    if not any(each.change_id == fields.get("change") for each in treasury.announced(state.address)):
        raise BadInput(gettext("No such change waits."), code="treasury.change")
    return Review(
        title=gettext("Take the announced change of %(name)s away?", name=state.name),
        button=gettext("Take it away"),
        changes=(gettext("It cannot be made any more, unless it is announced anew."),),
        costs=(gettext(GAS),),
        result={gettext("Change"): fields.get("change", "")},
    )


def _run_veto(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    treasury, state = opened(ground, fields, account)
    say(gettext("Taking it away"))
    treasury.rules.veto(state.address, fields.get("change", ""))
    return Outcome(gettext("It is taken away."), path_of(state.address))


ACTIONS: Final = (
    Action("treasury.rebalance", _prepare_rebalance, _run_rebalance, back=BACK),
    Action("treasury.stop", _prepare_stop, _run_stop, back=BACK),
    Action("treasury.resume", _prepare_resume, _run_resume, back=BACK),
    Action("treasury.veto", _prepare_veto, _run_veto, back=BACK),
)
