# SPDX-License-Identifier: Apache-2.0
"""What visitors change in a pool from its page: swap, put liquidity in, take it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from koinon.chain.account import Account
from koinon.errors import BadInput, PaymentError, TransactionFailed
from koinon.markets.api import Markets
from koinon.markets.board import Board
from koinon.markets.forms import (
    GAS,
    amount_of,
    board_of,
    hop_of,
    impact,
    must_have,
    path_of,
    slippage_of,
    text_of,
    unit_of,
)
from koinon.markets.pairs import Liquidity, Pair, at_least
from koinon.markets.routing.pools import PairPool, Pool
from koinon.markets.tokens import Token, balance_of, cut
from koinon.web import Action, Fields, Outcome, Review, Say, Unit, Visitor, gettext, percent
from koinon.web import marked as _
from koinon.works.forms import acting, read_amount, whole_number

BACK: Final = "/markets"
STRANGE: Final = _("This network's factory did not make this pool: nobody says what its code does.")


@dataclass(frozen=True)
class Quote:
    """What a swap would bring now, by the router. Amounts in smallest units; ``impact`` a part."""

    pool: Pool
    given: Token
    got: Token
    amount: int
    expected: int
    least: int
    impact: float


def quote(board: Board, pool: Pool, token_in: str, amount: str, slippage: str) -> Quote:
    """The router's quote for a form; `BadInput` for one that makes no sense."""
    hop = hop_of(pool, token_in)
    given, got = board.token(hop.token_in), board.token(hop.token_out)
    units = amount_of(amount, given)
    try:
        expected = Markets(board.chain).pairs.quote((hop,), units) if min(pool.reserves) > 0 else 0
    except TransactionFailed as refusal:
        raise BadInput(
            gettext("This pool does not say what it would give."),
            hint=gettext("It refused: %(reason)s", reason=cut(refusal.reason)) if refusal.reason else "",
            code="markets.no_quote",
        ) from refusal
    if expected <= 0:
        raise BadInput(
            gettext("This pool gives nothing for %(amount)s.", amount=text_of(units, given)),
            hint=gettext("Give more, or look for a pool that holds something."),
            code="markets.nothing_to_swap",
        )
    least = at_least(expected, slippage_of(slippage))
    return Quote(pool, given, got, units, expected, least, impact(pool, given.address, units, expected))


def _swap_of(board: Board, fields: Fields) -> Quote:
    pool = board.pool(fields.get("pool", ""))
    found = quote(board, pool, fields.get("give", ""), fields.get("amount", ""), fields.get("slippage", ""))
    text = fields.get("minimum", "").strip()
    least = read_amount(text, unit_of(found.got), text) if text else found.least
    if found.expected < least:
        raise PaymentError(
            gettext(
                "By now it would bring %(expected)s, less than your least of %(least)s.",
                expected=text_of(found.expected, found.got),
                least=text_of(least, found.got),
            ),
            hint=gettext("Ask for a new quote on the pool's page."),
            code="markets.moved",
        )
    return Quote(found.pool, found.given, found.got, found.amount, found.expected, least, found.impact)


def _prepare_swap(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    board, me = board_of(ground), acting(visitor)
    wish = _swap_of(board, fields)
    must_have(board, wish.given, me, wish.amount)
    return Review(
        title=gettext(
            "Swap %(given)s for about %(got)s?",
            given=text_of(wish.amount, wish.given),
            got=text_of(wish.expected, wish.got),
        ),
        button=gettext("Swap"),
        changes=(
            gettext(
                "You give %(given)s, and get %(least)s at the least, or nothing happens.",
                given=text_of(wish.amount, wish.given),
                least=text_of(wish.least, wish.got),
            ),
            gettext("The router may take exactly this amount from you, and no more."),
        ),
        costs=(
            gettext(
                "The pool keeps %(fee)s of what comes in.", fee=percent(wish.pool.fee_ppm / 1_000_000, 2)
            ),
            gettext(GAS),
        ),
        risks=_risks(board, wish.pool),
        result={
            gettext("It would bring"): text_of(wish.expected, wish.got),
            gettext("Price impact"): percent(wish.impact, 2),
            gettext("Least you accept"): text_of(wish.least, wish.got),
        },
    )


def _risks(board: Board, pool: Pool) -> tuple[str, ...]:
    moves = gettext("The price may move before it is mined; below your least it undoes itself.")
    return (moves,) if board.known(pool) else (moves, gettext(STRANGE))


def _run_swap(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    board = board_of(ground)
    wish = _swap_of(board, fields)
    say(gettext("Swapping"))
    hop = hop_of(wish.pool, wish.given.address)
    got = Markets(board.chain).swap(account, (hop,), wish.amount, wish.least)
    return Outcome(
        gettext(
            "%(given)s brought %(got)s.", given=text_of(wish.amount, wish.given), got=text_of(got, wish.got)
        ),
        path_of(wish.pool.address),
    )


def _pair_of(board: Board, fields: Fields) -> Pair:
    pool = board.pool(fields.get("pool", ""))
    if not isinstance(pool, PairPool):
        raise BadInput(
            gettext("Liquidity goes into pairs here, not into this kind of pool."),
            hint=gettext("Use the pool's own functions under Chain."),
            code="markets.not_a_pair",
        )
    if not board.known(pool):
        raise BadInput(
            gettext(STRANGE),
            hint=gettext("Use the pool's own functions under Chain."),
            code="markets.strange_pair",
        )
    found = Markets(board.chain).pairs.read(pool.address)
    return replace(found, token0=board.token(found.token0.address), token1=board.token(found.token1.address))


def _as_seen(pair: Pair, fields: Fields) -> Pair:
    """The pair as it was when the form was made: what is reviewed, and sent, goes by it."""
    seen = [whole_number(each, 78) for each in fields.get("seen", "").split(",")]
    if len(seen) != 3 or None in seen or (seen[2] and not (seen[0] and seen[1])):
        raise BadInput(
            gettext("The form does not say what the pair held."),
            hint=gettext("Load the pool's page again."),
            code="markets.form",
        )
    reserve0, reserve1, shares = (int(each or 0) for each in seen)
    return replace(pair, reserve0=reserve0, reserve1=reserve1, shares=shares)


def _put_in(pair: Pair, fields: Fields) -> tuple[Liquidity, Liquidity]:
    """What goes in and comes back now, and the least of each; `PaymentError` where it is less by now."""
    amounts, bps = _amounts(pair, fields), slippage_of(fields.get("slippage", ""))
    seen, now = _as_seen(pair, fields).liquidity(*amounts), pair.liquidity(*amounts)
    if min(seen.shares, now.shares) <= 0:
        raise BadInput(
            gettext("So little makes no share of the pair."),
            hint=gettext("Put in more of both tokens."),
            code="markets.too_little",
        )
    least = Liquidity(at_least(seen.amount0, bps), at_least(seen.amount1, bps), at_least(seen.shares, bps))
    if now.amount0 < least.amount0 or now.amount1 < least.amount1 or now.shares < least.shares:
        raise PaymentError(
            gettext("The pair's price has moved since you loaded its page."),
            hint=gettext("Load the pool's page again."),
            code="markets.moved",
        )
    return now, least


def _amounts(pair: Pair, fields: Fields) -> tuple[int, int]:
    return amount_of(fields.get("amount0", ""), pair.token0), amount_of(
        fields.get("amount1", ""), pair.token1
    )


def _prepare_add(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    board, me = board_of(ground), acting(visitor)
    pair = _pair_of(board, fields)
    expected, least = _put_in(pair, fields)
    must_have(board, pair.token0, me, expected.amount0)
    must_have(board, pair.token1, me, expected.amount1)
    first, second = text_of(expected.amount0, pair.token0), text_of(expected.amount1, pair.token1)
    changes = [
        gettext("%(first)s and %(second)s go into the pair, at its price.", first=first, second=second),
        gettext(
            "At least %(first)s and %(second)s go in, or nothing happens.",
            first=text_of(least.amount0, pair.token0),
            second=text_of(least.amount1, pair.token1),
        ),
    ]
    if not pair.shares:
        changes.append(gettext("The pair is empty: what you put in sets its first price."))
    return Review(
        title=gettext("Put %(first)s and %(second)s into the pair?", first=first, second=second),
        button=gettext("Put it in"),
        changes=(
            *changes,
            gettext("You get shares of the pair, and your part of each swap's fee with them."),
        ),
        costs=(gettext("Gas for up to four transactions."),),
        risks=(gettext("When prices move, shares are worth less than having kept both tokens."),),
        result={
            gettext("Your part of the pair"): percent(
                expected.shares / max(1, pair.shares + expected.shares), 2
            ),
            pair.token0.symbol: first,
            pair.token1.symbol: second,
        },
    )


def _run_add(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    board = board_of(ground)
    pair = _pair_of(board, fields)
    expected, least = _put_in(pair, fields)
    say(gettext("Putting liquidity in"))
    added = Markets(board.chain).pairs.add_liquidity(
        account,
        pair.address,
        expected.amount0,
        expected.amount1,
        minimum0=least.amount0,
        minimum1=least.amount1,
        minimum_shares=least.shares,
    )
    return Outcome(
        gettext(
            "%(first)s and %(second)s went in.",
            first=text_of(added.amount0, pair.token0),
            second=text_of(added.amount1, pair.token1),
        ),
        path_of(pair.address),
    )


def _part(board: Board, pair: Pair, owner: str, fields: Fields) -> tuple[int, int]:
    """How many shares a percentage of somebody's are, and the percentage in 1e-4; `BadInput` for none."""
    text = fields.get("percent", "").strip().removesuffix("%").strip()
    part = read_amount(text, Unit("%", 2), text)
    if not 0 < part <= 10_000:
        raise BadInput(gettext("Say how many percent, from 0.01 to 100."), code="markets.percent")
    held = balance_of(board.chain, pair.address, owner)
    shares = held * part // 10_000
    if shares <= 0:
        raise PaymentError(
            gettext("You have no shares of this pair."),
            hint=gettext("Put liquidity in first."),
            code="markets.not_so_many_shares",
        )
    return shares, part


def _prepare_remove(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    board, me = board_of(ground), acting(visitor)
    pair = _pair_of(board, fields)
    shares, part = _part(board, pair, me, fields)
    slippage_of(fields.get("slippage", ""))
    first = text_of(shares * pair.reserve0 // pair.shares, pair.token0)
    second = text_of(shares * pair.reserve1 // pair.shares, pair.token1)
    return Review(
        title=gettext("Take %(part)s of your liquidity out?", part=percent(part / 10_000, 2)),
        button=gettext("Take it out"),
        changes=(
            gettext(
                "You give back shares, and get about %(first)s and %(second)s.", first=first, second=second
            ),
        ),
        costs=(gettext("Gas for up to two transactions."),),
        risks=(gettext("The price may move before it is mined; what comes out follows it."),),
        result={pair.token0.symbol: first, pair.token1.symbol: second},
    )


def _run_remove(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    board = board_of(ground)
    pair = _pair_of(board, fields)
    shares, _ = _part(board, pair, account.address, fields)
    say(gettext("Taking liquidity out"))
    taken = Markets(board.chain).withdraw(
        account, pair, shares, slippage_bps=slippage_of(fields.get("slippage", ""))
    )
    return Outcome(
        gettext(
            "%(first)s and %(second)s came out.",
            first=text_of(taken.amount0, pair.token0),
            second=text_of(taken.amount1, pair.token1),
        ),
        path_of(pair.address),
    )


ACTIONS: Final = (
    Action("markets.swap", _prepare_swap, _run_swap, back=BACK),
    Action("markets.add_liquidity", _prepare_add, _run_add, back=BACK),
    Action("markets.remove_liquidity", _prepare_remove, _run_remove, back=BACK),
)
