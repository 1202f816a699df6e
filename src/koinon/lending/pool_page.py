# SPDX-License-Identifier: Apache-2.0
"""What a pool's page says beside its state: open loans, losses, what is the visitor's, and its stress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import BadInput, KoinonError
from koinon.lending.errands import Errand, Tell
from koinon.lending.forms import found_pool
from koinon.lending.ledger import Loss
from koinon.lending.loans import Loan, Loans, read_loans
from koinon.lending.pool_state import PoolState
from koinon.lending.pools import JUNIOR, SENIOR, Position
from koinon.lending.wallet_page import Looker
from koinon.markets.tokens import balance_of
from koinon.web import Pages
from koinon.web import marked as _

RUNS: Final = 1_000
STEPS: Final = 30
DEVIATION: Final = 0.04
ORDERED_MOST: Final = 500
"""Loans that are read to find the least healthy among them."""
SEED: Final = 0
"""As ``koinon lending risk POOL`` asks by default."""


@dataclass(frozen=True)
class Mine:
    """What a visitor has at a pool. ``may_withdraw`` and ``lent`` by tranche, senior first."""

    position: Position
    lent: tuple[int, int]
    may_withdraw: tuple[int, int]
    loan_tokens: int
    collateral_tokens: int

    @property
    def is_something(self) -> bool:
        """Whether there is anything at the pool."""
        return bool(self.position.collateral or self.position.debt or any(self.lent))


@dataclass(frozen=True)
class PoolLook:
    """A pool, looked at. ``loans`` the least healthy first, or only those of ``pages`` where they are too
    many to be ``ordered``; ``behind`` how many blocks the index has still to read: loans may be missing."""

    state: PoolState
    loans: Loans
    pages: Pages
    ordered: bool
    losses: Sequence[Loss]
    mine: Mine | None
    stress: Errand | None
    behind: int

    @property
    def auctions(self) -> list[Loan]:
        """Loans that are for sale now."""
        return [loan for loan in self.loans.loans if loan.in_auction]

    @property
    def shown(self) -> list[Loan]:
        """The page's loans."""
        loans, pages = self.loans.loans, self.pages
        return loans[pages.offset : pages.offset + pages.size] if self.ordered else loans

    @property
    def unsound(self) -> int:
        """How many loans can be sold."""
        return sum(not loan.is_sound for loan in self.loans.loans)

    @property
    def adds_up(self) -> bool:
        """Whether what defaults took is what the tranches lost, to the unit."""
        lost = self.state.lost
        return lost.loss == lost.junior + lost.senior + lost.fees


def look_at_pool(looker: Looker, address: str, me: str | None, page: Callable[[int], Pages]) -> PoolLook:
    """A pool as a visitor sees it; NotFound where the factory created none there, or it does not answer.

    ``page`` says which of so many loans are asked for: of more than `ORDERED_MOST` only they are read.
    """
    ground, seen = looker.ground, looker.seen
    pool = found_pool(looker.lending(), address)
    state = seen.state(pool.address)
    borrowers = seen.once(("borrowers", pool.address), lambda: looker.ledger.open_borrowers(pool.address))
    pages, ordered = page(len(borrowers)), len(borrowers) <= ORDERED_MOST
    if not ordered:
        borrowers = borrowers[pages.offset : pages.offset + pages.size]
    loans = seen.once(
        ("loans", pool.address, 0 if ordered else pages.number),
        lambda: read_loans(ground.chain, pool, state, borrowers),
    )
    mine = None
    if me is not None:
        mine = Mine(
            pool.position(me),
            (pool.assets_of(SENIOR, me), pool.assets_of(JUNIOR, me)),
            (pool.max_withdraw(SENIOR, me), pool.max_withdraw(JUNIOR, me)),
            balance_of(ground.chain, state.loan.address, me),
            balance_of(ground.chain, state.collateral.address, me),
        )
    return PoolLook(
        state,
        loans,
        pages,
        ordered,
        looker.ledger.losses(state.address),
        mine,
        looker.stresses.find(_key(state.address)),
        max(0, ground.chain.block_number() - looker.ledger.through()),
    )


def begin_stress(looker: Looker, address: str) -> Errand:
    """Have it computed what the pool can lose, in the background."""
    ground = looker.ground
    place = found_pool(looker.lending(), address).address
    return looker.stresses.begin(_key(place), lambda tell: _stress(ground.chain, place, tell), again=True)


def _key(address: str) -> str:
    return f"stress {address}"


def _stress(chain: Any, address: str, tell: Tell) -> dict[str, Any]:
    """The report's document, with the block it was made as of."""
    from koinon.lending.risk.montecarlo import gaussian_paths  # noqa: PLC0415  (only who asks for it waits)
    from koinon.lending.risk.reading import read_pool  # noqa: PLC0415
    from koinon.lending.risk.report import Question, report  # noqa: PLC0415

    tell(_("Reading every open loan"))
    block, at = chain.block_number(), chain.timestamp()
    try:
        subject = read_pool(chain, address)
    except KoinonError as fault:
        raise BadInput(
            _("The market in which this pool's collateral would be sold cannot be read."),
            hint=_("Its price feed must watch a pair of this network."),
            code="lending.stress",
        ) from fault
    if not len(subject.book):
        raise BadInput(
            _("No loan is open."), hint=_("Nothing is lent, nothing is lost."), code="lending.book"
        )
    tell(_("Simulating falls of the price"))
    paths = gaussian_paths(RUNS, STEPS, DEVIATION, SEED)
    found = report(subject, Question(paths, f"simulated, Gaussian, {DEVIATION:.1%} a step", seed=SEED))
    return {**found.document, "block": block, "at": at, "steps": STEPS, "deviation": DEVIATION}
