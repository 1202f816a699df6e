# SPDX-License-Identifier: Apache-2.0
"""What forms about loans say: which pool, whose loan, how much of which token; and what can be had of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.errors import (
    BadInput,
    KoinonError,
    NotFound,
    PaymentError,
    TransactionFailed,
    WrongNetwork,
)
from koinon.lending.api import Lending
from koinon.lending.pool_state import PoolState
from koinon.lending.pools import JUNIOR, SENIOR, CreditPool
from koinon.lending.pools_seen import silent_pool
from koinon.markets.tokens import Token, balance_of
from koinon.web import Fields, Unit, Visitor, gettext
from koinon.web import marked as _
from koinon.works.forms import acting, money, read_amount
from koinon.works.ground import Ground

GAS: Final = _("Gas for one transaction.")
GAS_OF_TWO: Final = _("Gas for up to three transactions: leave to take the token, then the change itself.")
LETTERS_MOST: Final = 64
REASONS: Final = {
    "too little collateral": _("too little collateral would stand behind the loan"),
    "below the offer's ratio": _("the offer asks for more collateral"),
    "not enough cash": _("so much is not there, for it is lent out"),
    "junior must cover the debt": _("junior lenders would cover too little of the debt"),
    "above the tier's cap": _("it is more than your tier may owe"),
    "above the borrower's cap": _("it is more than one borrower may owe of this pool"),
    "below the least debt": _("the loan would be smaller than the pool's least"),
    "more than there is": _("it is more than there is"),
    "announce the exit first": _("junior money leaves only after it was announced"),
    "more than announced": _("it is more than was announced"),
    "offer already used": _("the offer was used already, or taken back"),
    "offer expired": _("the offer has ended"),
    "better than the tier": _("the offer is better than your tier on chain allows"),
    "not signed by an issuer": _("no issuer of this pool's scores signed the offer"),
    "score expired": _("your score has ended, and a new one is needed"),
    "score revoked": _("your score was taken back, and a new one is needed"),
    "score of another model": _("your score is another model's, and one of this pool's is needed"),
    "feeders' price is stale": _("the last price is too old"),
    "feeders and market disagree": _("feeders and market disagree about the price"),
}
"""What a pool says when it refuses, as people understand it."""
TRANCHE_NAMES: Final = (_("senior tranche"), _("junior tranche"))


def unit_of(token: Token) -> Unit:
    """A token as pages count it."""
    return Unit(token.symbol, token.decimals)


@dataclass(frozen=True)
class Asked:
    """A form's pool, as it stands, and who asks."""

    lending: Lending
    pool: CreditPool
    state: PoolState
    me: str

    @property
    def loan(self) -> Unit:
        """The lent token."""
        return unit_of(self.state.loan)

    @property
    def collateral(self) -> Unit:
        """The collateral's token."""
        return unit_of(self.state.collateral)

    @property
    def path(self) -> str:
        """The pool's page."""
        return f"/pools/{self.state.address}"

    def has(self, token: Token) -> int:
        """What the visitor has of a token."""
        return balance_of(self.lending.chain, token.address, self.me)

    def must_have(self, token: Token, amount: int) -> None:
        """`PaymentError` where the visitor has less."""
        have = self.has(token)
        if have < amount:
            unit = unit_of(token)
            raise PaymentError(
                gettext(
                    "You have %(have)s, and this takes %(needed)s.",
                    have=money(have, unit),
                    needed=money(amount, unit),
                ),
                hint=gettext(
                    "Get some of it first; where money is test money, the pool's page gives you some."
                ),
                code="lending.too_little_money",
            )

    def try_out(self, name: str, *arguments: Any) -> Any:
        """What the contract would answer the visitor now; `BadInput` where it would refuse."""
        with refusals():
            return self.pool.contract.call(name, *arguments, sender=self.me)


def reason_in_words(refusal: TransactionFailed) -> str:
    """Why a contract refuses, in the reader's language where it is a known reason."""
    reason = refusal.reason or refusal.message
    return gettext(REASONS[reason]) if reason in REASONS else reason


@contextmanager
def refusals() -> Iterator[None]:
    """What the contract would refuse, as `BadInput` in the reader's words: nothing was sent."""
    try:
        yield
    except TransactionFailed as refusal:
        raise BadInput(
            gettext("The pool would refuse it: %(why)s.", why=reason_in_words(refusal)),
            hint=gettext("Change the amount, or look at the pool's page for what can be had now."),
            code="lending.refused",
        ) from refusal


def asked_of(ground: Ground, visitor: Visitor, fields: Fields) -> Asked:
    """The pool that a form speaks of; `BadInput` or `NotFound` otherwise."""
    return _asked(ground, None, acting(visitor), fields)


def asked_by(ground: Ground, account: Account, fields: Fields) -> Asked:
    """The same for an account that acts."""
    return _asked(ground, account, account.address, fields)


def _asked(ground: Ground, account: Account | None, me: str, fields: Fields) -> Asked:
    address = address_of(fields.get("pool", ""), gettext("The form names no pool."))
    lending = Lending.of(ground, account)
    pool = found_pool(lending, address)
    try:
        return Asked(lending, pool, lending.pool(pool.address), me)
    except (TransactionFailed, WrongNetwork, ValueError) as fault:
        raise silent_pool(pool.address) from fault


def found_pool(lending: Lending, address: str) -> CreditPool:
    """The pool at an address; NotFound in the reader's language where the factory created none there."""
    try:
        return lending.at(address)
    except NotFound as missing:
        raise NotFound(
            gettext("This network's factory of credit pools made none at %(address)s.", address=address),
            hint=gettext("Check the address. Pools of this network are listed under Money, Credit pools."),
            code="lending.no_pool",
        ) from missing


def address_of(text: str, sentence: str = "") -> str:
    """An address as people paste it; `BadInput` with a sentence where it is none."""
    try:
        return checksum(text.strip())
    except KoinonError as fault:
        raise BadInput(
            sentence or gettext("%(text)s is not an address.", text=repr(text.strip()[:LETTERS_MOST])),
            hint=gettext("An address is 0x and 40 digits or letters from a to f. Copy it whole."),
            code="lending.address",
        ) from fault


def amount_of(fields: Fields, name: str, unit: Unit) -> int:
    """An amount above nothing; `BadInput` otherwise."""
    text = fields.get(name, "").strip()
    found = read_amount(text, unit, text or gettext("An empty field"))
    if not found:
        raise BadInput(gettext("An amount is more than nothing."), code="lending.amount")
    return found


def amount_or_none(fields: Fields, name: str, unit: Unit) -> int:
    """An amount, 0 where the field is empty."""
    text = fields.get(name, "").strip()
    return read_amount(text, unit, text) if text else 0


def amount_or_all(fields: Fields, name: str, unit: Unit) -> int | None:
    """An amount above nothing, None where the field is empty: all of it; `BadInput` otherwise."""
    return amount_of(fields, name, unit) if fields.get(name, "").strip() else None


def tranche_of(fields: Fields) -> int:
    """The tranche that a form speaks of; senior where it names none."""
    return JUNIOR if fields.get("tranche", "") == "junior" else SENIOR
