# SPDX-License-Identifier: Apache-2.0
"""Credit pools of a network: creating one, lending, borrowing, repaying, liquidating, and what its books say.

Amounts are in the tokens' smallest units. What sends takes the key that acts and pays; errors as in `Sender`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import NotFound
from koinon.lending.credit_offer import CreditOffer, OfferDomain
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.markets.tokens import leave_for

SENIOR: Final = 0
JUNIOR: Final = 1
TRANCHES: Final = ("senior", "junior")
LOAN, COLLATERAL = 0, 1
"""Places of the two tokens among a market's terms."""


@dataclass(frozen=True, slots=True)
class Books:
    """What a pool has and is owed at one second: ``cash`` + ``debt`` = ``senior`` + ``junior`` + ``fees``."""

    senior: int
    junior: int
    fees: int
    debt: int
    debts: tuple[int, ...]
    """By tier."""

    @property
    def cash(self) -> int:
        """What may be borrowed or withdrawn."""
        return self.senior + self.junior + self.fees - self.debt

    @property
    def utilisation(self) -> float:
        """The part that is lent out."""
        total = self.senior + self.junior + self.fees
        return self.debt / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Position:
    """A loan. ``confirmed_at`` is when a score last gave its tier, ``auction_from`` 0 without an auction."""

    collateral: int
    debt: int
    shares: int
    tier: int
    confirmed_at: int
    auction_from: int


class CreditPools:
    """The pools of a network, through its factory."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.factory = chain.contract("CreditPoolFactory")

    def create(self, creator: Account, terms: PoolTerms, salt: bytes = bytes(32)) -> CreditPool:
        """Create a pool; anyone may. The same terms and salt again by the same account are refused."""
        names = ("Attestations", "Bundles", "Works")
        market = terms.values(*(self.chain.contract(name).address for name in names))
        call = self.factory.transaction("create", market, [tier.values() for tier in terms.tiers], salt)
        receipt = self.chain.sender(creator).send(call)
        return CreditPool(self.chain, self.factory.logs(receipt, "PoolCreated")[0]["pool"])

    def all(self) -> list[CreditPool]:
        """Every pool, oldest first."""
        count = self.factory.call("pool_count")
        found = self.factory.call_many([("pools", number) for number in range(count)])
        return [CreditPool(self.chain, address) for address in found]

    def at(self, address: str) -> CreditPool:
        """The pool at an address; `NotFound` where the factory created none there."""
        if not self.factory.call("is_pool", address):
            raise NotFound(
                f"The factory of credit pools created none at {address}.",
                hint="Terms of other pools were checked by nobody.",
                code="lending.no_pool",
            )
        return CreditPool(self.chain, address)


class CreditPool:
    """One pool."""

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.contract = chain.contract("CreditPool", address)
        self.address = self.contract.address
        self.offers = OfferDomain(chain.chain_id, self.address)

    def terms(self) -> PoolTerms:
        """What it was created with."""
        values, tiers = self.contract.call_many([("market",), ("tiers",)])
        loan, collateral, feed, _, schema, _, _, work_id, base, kink_rate, full, kink, fee, *rest = values
        return PoolTerms(
            loan,
            collateral,
            feed,
            schema,
            tuple(TierTerms(*tier) for tier in tiers),
            work_id,
            fee,
            base,
            kink_rate,
            full,
            kink,
            *rest,
        )

    # Reading

    def books(self) -> Books:
        """What it has and is owed."""
        senior, junior, fees, debt, debts = self.contract.call("books")
        return Books(senior, junior, fees, debt, tuple(debts))

    def position(self, borrower: str) -> Position:
        """A borrower's loan."""
        return Position(*self.contract.call("position_of", borrower))

    def positions(self, borrowers: Sequence[str]) -> list[Position]:
        """Several borrowers' loans, asked for in one message."""
        answers = self.contract.call_many([("position_of", borrower) for borrower in borrowers])
        return [Position(*answer) for answer in answers]

    def borrowers(self) -> list[str]:
        """Everyone who ever borrowed here, in order of their first loan."""
        return list(dict.fromkeys(event["borrower"] for event in self.contract.history("Borrowed")))

    def tier_of(self, borrower: str) -> int:
        """The tier that new borrowing would get; TransactionFailed, with its reason, where a score ended."""
        return int(self.contract.call("tier_of", borrower))

    def is_sound(self, borrower: str) -> bool:
        """Whether a loan is covered by its own LLTV and the feeders' price."""
        return bool(self.contract.call("is_sound", borrower))

    def base_rate(self) -> float:
        """The rate a year before any spread: 0.05 is 5 %."""
        return float(self.contract.call("base_rate") / 10**18)

    def assets_of(self, tranche: int, lender: str) -> int:
        """What a lender's shares are worth."""
        return int(self.contract.call("assets_of", tranche, lender))

    def max_withdraw(self, tranche: int, lender: str) -> int:
        """What a lender could take now."""
        return int(self.contract.call("max_withdraw", tranche, lender))

    # Acting

    def deposit(self, lender: Account, tranche: int, assets: int) -> None:
        """Lend; the allowance is given first where it lacks."""
        self._pay(lender, LOAN, assets, self.call("deposit", tranche, assets, lender.address))

    def withdraw(self, lender: Account, tranche: int, assets: int) -> None:
        """Take an amount back."""
        self._send(lender, "withdraw", tranche, assets, lender.address)

    def announce_exit(self, lender: Account, shares: int) -> None:
        """Say that junior shares will leave."""
        self._send(lender, "announce_exit", shares)

    def supply_collateral(self, payer: Account, amount: int, borrower: str | None = None) -> None:
        """Put collateral behind a loan; the allowance is given first where it lacks."""
        call = self.call("supply_collateral", amount, borrower or payer.address)
        self._pay(payer, COLLATERAL, amount, call)

    def withdraw_collateral(self, borrower: Account, amount: int) -> None:
        """Take collateral back."""
        self._send(borrower, "withdraw_collateral", amount, borrower.address)

    def borrow(self, borrower: Account, amount: int) -> None:
        """Borrow on the terms of one's tier."""
        self._send(borrower, "borrow", amount, borrower.address)

    def take(self, borrower: Account, offer: CreditOffer, signer: str, signature: bytes) -> None:
        """Borrow exactly as offered."""
        self._send(borrower, "borrow_with_offer", offer.values(), signer, signature, borrower.address)

    def repay(self, payer: Account, amount: int, borrower: str | None = None) -> None:
        """Repay a debt, at most ``amount``; the allowance is given first where it lacks."""
        self._pay(payer, LOAN, amount, self.call("repay", amount, borrower or payer.address))

    def liquidate(self, liquidator: Account, borrower: str, repay: int, least_collateral: int = 0) -> None:
        """Repay part of an unsound loan, at most ``repay``, for collateral and a bonus."""
        call = self.call("liquidate", borrower, repay, least_collateral, liquidator.address)
        self._pay(liquidator, LOAN, repay, call)

    def call(self, name: str, *arguments: Any) -> Call:
        """A transaction of this pool, to be sent with others."""
        return self.contract.transaction(name, *arguments)

    def _pay(self, payer: Account, place: int, amount: int, call: Call) -> None:
        token = self.contract.call("market")[place]
        sender = self.chain.sender(payer)
        for leave in leave_for(self.chain, payer, token, self.address, amount):
            sender.send(leave)
        sender.send(call)

    def _send(self, account: Account, name: str, *arguments: Any) -> None:
        self.chain.sender(account).send(self.call(name, *arguments))
