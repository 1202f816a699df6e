# SPDX-License-Identifier: Apache-2.0
"""Lending's front door: pools as they stand, quotes with reasons, scores, offers, loans.

Amounts are in the tokens' smallest units. What sends is sent by the account that the door was opened for;
errors as in `Sender.send`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KeyFault, KoinonError, NodeUnavailable
from koinon.lending import quoting
from koinon.lending.following import Followed, follow
from koinon.lending.issuing import LASTS_S, OFFER_LASTS_S, Issuer, Judgement, ScoreFile, judge
from koinon.lending.offer_file import SignedOffer
from koinon.lending.pool_file import PoolPlan
from koinon.lending.pool_state import PoolState, read_pool
from koinon.lending.pool_terms import PoolTerms
from koinon.lending.pools import JUNIOR, SENIOR, TRANCHES, CreditPool, CreditPools, Position
from koinon.lending.quoting import Asked, Quote
from koinon.lending.revoking import Revocation, sign_revocation
from koinon.lending.scoring.calibration import YEAR_DAYS
from koinon.lending.scoring.serving import Cell, Scorer
from koinon.markets.tokens import token_at
from koinon.works.attestations import Attestations, Standing
from koinon.works.ground import Ground

ROOM: Final = "lending"


@dataclass(frozen=True)
class Paid:
    """What repaying or liquidating moved: ``paid`` of the loan token, ``collateral`` got, ``debt`` left."""

    paid: int
    collateral: int
    debt: int


class Lending:
    """The credit pools of one network, for one account.

    Parameters
    ----------
    chain : Chain
    home : Path
        The room's folder in the data directory: the index that wallets are judged from.
    account : Account, optional
        Who acts. Looking, scoring and quoting work without.
    """

    def __init__(self, chain: Chain, home: Path, account: Account | None = None) -> None:
        self.chain, self.home = chain, home
        self._account = account

    @classmethod
    def of(cls, ground: Ground, account: Account | None = None) -> Lending:
        """A node's; for its operator unless another account is named."""
        return cls(ground.chain, ground.settings.home / ROOM, ground.operator if account is None else account)

    @property
    def me(self) -> str:
        """The acting account's address; KeyFault where there is none."""
        return self._acting.address

    # ------------------------------------------------------------ looking

    def pools(self) -> list[PoolState]:
        """Every pool of the network's factory whose tokens and feed answer, oldest first."""
        found = []
        for pool in CreditPools(self.chain).all():
            try:
                found.append(read_pool(self.chain, pool))
            except NodeUnavailable:
                raise
            except (KoinonError, ValueError):
                continue  # anyone may create a pool of tokens that break
        return found

    def pool(self, address: str) -> PoolState:
        """A pool now; NotFound where the factory created none there."""
        return read_pool(self.chain, self._pool(address))

    def at(self, address: str) -> CreditPool:
        """A pool's contract; NotFound where the factory created none there."""
        return self._pool(address)

    def position(self, address: str, borrower: str = "") -> Position:
        """Somebody's loan at a pool, by default one's own."""
        return self._pool(address).position(borrower or self.me)

    def lent(self, address: str, lender: str = "") -> dict[str, int]:
        """What somebody's shares are worth, by tranche."""
        pool = self._pool(address)
        return {name: pool.assets_of(tranche, lender or self.me) for tranche, name in enumerate(TRANCHES)}

    def standing(self, address: str, wallet: str) -> Standing:
        """The newest score of a wallet that a pool knows, valid or not."""
        schema = self._pool(address).terms().schema
        return Attestations(self.chain).latest(schema, checksum(wallet))

    def quote(
        self,
        address: str,
        borrower: str,
        *,
        amount: int = 0,
        collateral: int = 0,
        judgement: Judgement | None = None,
        state: PoolState | None = None,
    ) -> Quote:
        """A wallet's terms at a pool; errors as `quoting.quote`. A judgement that is worse than what the
        chain knows makes them worse, never better. ``state``: the pool as it was read just now."""
        pool = self._pool(address) if state is None else CreditPool(self.chain, state.address)
        state = read_pool(self.chain, pool) if state is None else state
        tier = 0
        if judgement is not None:
            tier = quoting.priced_tier(state, judgement.word.tier, judgement.word.pd_bps)
        return quoting.quote(self.chain, pool, state, checksum(borrower), Asked(amount, collateral, tier))

    # ------------------------------------------------------------ judging

    def follow(self, *believed: str) -> Followed:
        """Catch up with what this network's pools did, by the prices of ``believed`` ones; where none is
        named, of those whose scores this account signs. See `following.follow`."""
        if not believed and self._account is not None:
            me = self._account.address
            believed = tuple(state.address for state in self.pools() if me in state.issuers)
        return follow(self.chain, CreditPools(self.chain).all(), believed, self.home / "history")

    def score(
        self,
        wallet: str,
        scorer: Scorer,
        *,
        pool: str = "",
        block: int | None = None,
        told: Mapping[str, Cell] | None = None,
        horizon_days: int = YEAR_DAYS,
    ) -> Judgement:
        """What a scorecard says of a wallet as of a block, for a pool's sake where one is named (`follow`);
        errors as `judge`."""
        return judge(
            scorer,
            checksum(wallet),
            followed=self.follow(*([pool] if pool else [])),
            block=block,
            told=told,
            horizon_days=horizon_days,
        )

    def begin_score(self, address: str, judgement: Judgement, *, lasts_s: int = LASTS_S) -> ScoreFile:
        """As an issuer: sign one's judgement of a wallet."""
        return self._issuer(address).draft(judgement, lasts_s=lasts_s)

    def join_score(self, address: str, begun: ScoreFile, judgement: Judgement) -> ScoreFile:
        """As another issuer: sign what was begun, if one's own judgement is the same."""
        return self._issuer(address).join(begun, judgement)

    def is_enough(self, address: str, score: ScoreFile) -> bool:
        """Whether enough issuers have signed."""
        return len(score.signed) >= self.pool(address).threshold

    def post_score(self, score: ScoreFile) -> bytes:
        """Put a score on chain; anyone may. Returns its uid."""
        return Attestations(self.chain).post(self._acting, score.attestation, score.signed)

    def begin_revocation(self, address: str, wallet: str, begun: Revocation | None = None) -> Revocation:
        """As an issuer: sign that a wallet's score is taken back; errors as `sign_revocation`."""
        issuer = self._issuer(address)
        return sign_revocation(self.chain, issuer.account, issuer.state.terms.schema, wallet, begun)

    def revoke_score(self, revocation: Revocation) -> None:
        """Take a score back that enough issuers signed for; anyone may."""
        made = revocation
        Attestations(self.chain).take_back(self._acting, made.schema, made.subject, made.uid, made.signed)

    def offer(
        self,
        quote: Quote,
        *,
        judgement: Judgement | None = None,
        lasts_s: int = OFFER_LASTS_S,
        nonce: int | None = None,
    ) -> SignedOffer:
        """As an issuer: sign a quote, so that the pool executes it."""
        number = secrets.randbits(64) if nonce is None else nonce
        return self._issuer(quote.pool).offer(quote, nonce=number, lasts_s=lasts_s, judgement=judgement)

    # ------------------------------------------------------------ lenders

    def open_pool(self, plan: PoolPlan, salt: bytes = bytes(32)) -> PoolState:
        """Create a pool as its file says, with its issuers registered where it names them.

        Raises
        ------
        BadInput
            The factory would refuse the terms.
        """
        loan = token_at(self.chain, plan.loan_token)
        terms = plan.terms(loan, plan.schema or bytes(32))  # before anything is sent
        if plan.issuers is not None:
            schema = Attestations(self.chain).register(self._acting, plan.issuers)
            terms = plan.terms(loan, schema)
        return self.create_pool(terms, salt)

    def create_pool(self, terms: PoolTerms, salt: bytes = bytes(32)) -> PoolState:
        """Create a pool on these terms for ever; errors as in `CreditPools.create`."""
        return read_pool(self.chain, CreditPools(self.chain).create(self._acting, terms, salt))

    def deposit(self, address: str, amount: int, *, junior: bool = False) -> None:
        """Lend to a tranche."""
        self._pool(address).deposit(self._acting, JUNIOR if junior else SENIOR, amount)

    def withdraw(self, address: str, amount: int | None = None, *, junior: bool = False) -> int:
        """Take an amount back, or all that can be had now; returns how much.

        Raises
        ------
        BadInput
            Nothing can be had now.
        """
        pool, tranche = self._pool(address), JUNIOR if junior else SENIOR
        taken = pool.max_withdraw(tranche, self.me) if amount is None else amount
        if taken <= 0:
            raise BadInput(
                "Nothing can be withdrawn now.",
                hint="What is lent out comes back with repayments; junior lenders announce their exit first.",
                code="lending.nothing_to_withdraw",
            )
        pool.withdraw(self._acting, tranche, taken)
        return taken

    def announce_exit(self, address: str) -> None:
        """As a junior lender: say that all one's shares will leave after the pool's notice."""
        pool = self._pool(address)
        pool.announce_exit(self._acting, int(pool.contract.call("shares_of", JUNIOR, self.me)))

    # ------------------------------------------------------------ borrowers

    def supply_collateral(self, address: str, amount: int) -> Position:
        """Put collateral behind one's loan."""
        pool = self._pool(address)
        pool.supply_collateral(self._acting, amount)
        return pool.position(self.me)

    def withdraw_collateral(self, address: str, amount: int | None = None) -> Position:
        """Take collateral back; all of it by default."""
        pool = self._pool(address)
        pool.withdraw_collateral(
            self._acting, pool.position(self.me).collateral if amount is None else amount
        )
        return pool.position(self.me)

    def borrow(self, address: str, amount: int) -> Position:
        """Borrow on the terms of one's tier."""
        pool = self._pool(address)
        pool.borrow(self._acting, amount)
        return pool.position(self.me)

    def take(self, offer: SignedOffer) -> Position:
        """Borrow exactly as offered; BadInput for another's, another chain's or an ended offer."""
        offer.check(self.chain.chain_id, self.me, self.chain.next_timestamp())
        pool = self._pool(offer.offer.pool)
        pool.take(self._acting, offer.offer, offer.issuer, offer.signature)
        return pool.position(self.me)

    def repay(self, address: str, amount: int | None = None, *, borrower: str = "") -> Paid:
        """Repay a debt; all of it by default. Nothing above the debt of that second is taken."""
        pool, whose = self._pool(address), borrower or self.me
        if amount is None:  # leave for what may grow until it is mined; the contract takes the debt alone
            amount = pool.position(whose).debt * 1_001 // 1_000 + 1
        before = self._balance(pool)
        pool.repay(self._acting, amount, whose)
        return Paid(before - self._balance(pool), 0, pool.position(whose).debt)

    def liquidate(self, address: str, borrower: str, amount: int, *, least_collateral: int = 0) -> Paid:
        """Repay part of an unsound loan for its collateral and a bonus."""
        pool = self._pool(address)
        before, had = self._balance(pool), self._balance(pool, 1)
        pool.liquidate(self._acting, checksum(borrower), amount, least_collateral)
        debt = pool.position(borrower).debt
        return Paid(before - self._balance(pool), self._balance(pool, 1) - had, debt)

    # ------------------------------------------------------------

    @property
    def _acting(self) -> Account:
        if self._account is None:
            raise KeyFault("Nobody is named who acts.", code="lending.nobody")
        return self._account

    def _pool(self, address: str) -> CreditPool:
        return CreditPools(self.chain).at(checksum(address))

    def _issuer(self, address: str) -> Issuer:
        pool = self._pool(address)
        return Issuer(self.chain, self._acting, pool, read_pool(self.chain, pool))

    def _balance(self, pool: CreditPool, place: int = 0) -> int:
        token = pool.contract.call("market")[place]
        return int(self.chain.contract("Coin", token).call("balanceOf", self.me))
