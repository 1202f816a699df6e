# SPDX-License-Identifier: Apache-2.0
"""What forms about markets say: which pool and token, how much, and by how much a price may move."""

from __future__ import annotations

import contextlib
import importlib
import threading
from decimal import Decimal
from typing import Any, Final

from koinon.errors import BadInput, PaymentError
from koinon.markets.api import SLIPPAGE_BPS
from koinon.markets.board import Board, spot
from koinon.markets.pairs import Hop
from koinon.markets.routing.pools import PairPool, Pool
from koinon.markets.tokens import Token, balance_of
from koinon.web import Unit, amount_text, gettext
from koinon.web import marked as _
from koinon.works.forms import read_amount

GAS: Final = _("Gas for up to three transactions.")
MOST_SLIPPAGE_BPS: Final = 5_000


def unit_of(token: Token) -> Unit:
    """What a token's amounts are counted in on pages."""
    return Unit(token.symbol, token.decimals)


def text_of(units: int, token: Token) -> str:
    """An amount with its token's symbol."""
    return f"{amount_text(units, unit_of(token))} {token.symbol}"


def exact(units: int, token: Token | Unit) -> str:
    """An amount with all its digits, as a form takes it."""
    return f"{Decimal(units).scaleb(-token.decimals):f}"


def path_of(address: str) -> str:
    """A pool's page."""
    return f"/markets/{address}"


def hop_of(pool: Pool, token_in: str) -> Hop:
    """A pool as a hop of the router's; `BadInput` for a token that is not in it."""
    if token_in not in pool.tokens:
        raise BadInput(gettext("The form names no token of this pool."), code="markets.form")
    other = pool.tokens[1 - pool.tokens.index(token_in)]
    return Hop(pool.address, token_in, other, pool.fee_ppm if isinstance(pool, PairPool) else 0)


def amount_of(text: str, token: Token) -> int:
    """A form's amount above 0, in the smallest unit; `BadInput` otherwise."""
    found = read_amount(text, unit_of(token), text)
    if not found:
        raise BadInput(gettext("An amount is more than nothing."), code="markets.nothing_to_swap")
    return found


def slippage_of(text: str) -> int:
    """Percent as people write them, in 1e-4; half a percent where nothing is said."""
    if not text.strip():
        return SLIPPAGE_BPS
    found = read_amount(text.strip().removesuffix("%").strip(), Unit("%", 2), text)
    if found > MOST_SLIPPAGE_BPS:
        raise BadInput(
            gettext("A price may move by at most half here."),
            hint=gettext("Half a percent is usual."),
            code="markets.slippage",
        )
    return found


def impact(pool: Pool, token_in: str, amount_in: int, amount_out: int) -> float:
    """By how much less a swap brings than its first unit would, fee set aside, as a part."""
    coin_in = pool.tokens.index(token_in)
    first = spot(pool, coin_in) * (1 - pool.fee_ppm / 1_000_000)
    return max(0.0, 1 - amount_out / (amount_in * first)) if first > 0 and amount_in > 0 else 0.0


def must_have(board: Board, token: Token, owner: str, needed: int) -> None:
    """`PaymentError` where somebody has less of a token."""
    have = balance_of(board.chain, token.address, owner)
    if have < needed:
        raise PaymentError(
            gettext(
                "You have %(have)s, and this takes %(needed)s.",
                have=text_of(have, token),
                needed=text_of(needed, token),
            ),
            hint=gettext(
                "Where money is test money, the page Money gives you some; else send your account some."
            ),
            code="markets.balance",
        )


def board_of(ground: Any) -> Board:
    """The node's board, made once for it."""
    found = getattr(ground, "market_board", None)
    if found is None:
        found = Board(ground.chain, ground.index)
        ground.market_board = found
        threading.Thread(target=_warm, name="markets", daemon=True).start()
    board: Board = found
    return board


def _warm() -> None:
    """Import what the explorer's first page would wait a second for."""
    with contextlib.suppress(ImportError):
        for package in ("scipy.sparse.linalg", "scipy.sparse.csgraph", "scipy.optimize"):
            importlib.import_module(package)
