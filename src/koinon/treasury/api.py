# SPDX-License-Identifier: Apache-2.0
"""The treasury's front door: try methods, begin vaults, put money in and out, allocate within bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.chain.receipts import Receipt
from koinon.errors import BadInput, KeyFault, PaymentError, SetupError, TransactionFailed
from koinon.treasury import vault as vaults
from koinon.treasury.allocation.backtest import Plan, Report, ViewSource, backtest
from koinon.treasury.allocation.methods import METHODS, Views, allocate
from koinon.treasury.allocation.prices import Prices, read_prices
from koinon.treasury.charter_file import VaultTerms, read_charter
from koinon.treasury.closed import no_deposits
from koinon.treasury.kept_reports import Reports
from koinon.treasury.proposal import Move, Proposal, propose
from koinon.treasury.rules import Change, Rules
from koinon.treasury.vault import Announced, Charter, Limits, Slot, Strategy, VaultState
from koinon.treasury.views import BoughtViews, Buys, buy_views
from koinon.works.api import Works
from koinon.works.ground import Ground

ROOM: Final = "treasury"
DEADLINE_S: Final = 600
"""How long after it is sent a rebalancing may happen, by default."""
IN_KIND_TOLERANCE_BPS: Final = 50
"""How much less than now leaving in kind may bring, by default."""


@dataclass(frozen=True)
class PaidOut:
    """What leaving gave: ``assets`` in the asset's smallest unit, ``tokens`` of slots by symbol."""

    shares: int
    assets: int
    tokens: Mapping[str, int]


class Treasury:
    """The vaults of one network, for one account.

    Parameters
    ----------
    chain : Chain
    home : Path
        The room's folder in the data directory: views that were bought.
    account : Account, optional
        Who acts. Looking works without.
    works : Works, optional
        For a vault whose fee is a Work's income.
    """

    def __init__(
        self, chain: Chain, home: Path, account: Account | None = None, works: Works | None = None
    ) -> None:
        self.chain, self.home = chain, home
        self._account, self._works = account, works

    @classmethod
    def of(cls, ground: Ground, account: Account | None = None) -> Treasury:
        """A node's; for its operator unless another account is named."""
        works = Works(ground.chain, ground.store)
        return cls(
            ground.chain, ground.settings.home / ROOM, ground.operator if account is None else account, works
        )

    # ------------------------------------------------------------ methods

    @property
    def rules(self) -> Rules:
        """The manager's and the guardian's side of vaults."""
        return Rules(self.chain, self._account)

    @property
    def reports(self) -> Reports:
        """Walk-forward reports that are kept for vaults' pages."""
        return Reports(self.home / "reports", self.chain.chain_id)

    @staticmethod
    def backtest(
        prices: Prices,
        methods: Sequence[str] = METHODS[:2],
        plan: Plan | None = None,
        *,
        views: ViewSource | None = None,
        folds: int = 0,
    ) -> Report:
        """Try methods on what came later, beside equal weight; errors as `backtest`."""
        return backtest(prices, methods, plan, views=views, folds=folds)

    @staticmethod
    def allocate(
        prices: Prices, method: str, *, views: Views | None = None, rows: int = 504
    ) -> dict[str, float]:
        """What a method would hold now, learnt from the newest rows; errors as `allocate`."""
        weights = allocate(method, prices.returns[-rows:], prices.names, views)
        return dict(zip(prices.names, map(float, weights), strict=True))

    def ask_views(self, buyer: Buys, url: str, prices: Prices) -> BoughtViews:
        """Buy a model Work's views, and keep its evidence; errors as `buy_views`."""
        return buy_views(buyer, url, prices, self.home / "views")

    # ------------------------------------------------------------ everyone

    def vaults(self) -> list[str]:
        """The vaults that this network's factory made, newest first."""
        factory = self._factory()
        count = int(factory.call("vault_count"))
        asked = [("vault", number) for number in range(count, 0, -1)]
        return [str(each) for each in factory.call_many(asked)] if asked else []

    def vault(self, address: str) -> VaultState:
        """A vault as it stands; NotFound where there is none."""
        return vaults.read_vault(self.chain, address)

    def announced(self, address: str) -> list[Announced]:
        """The changes of a vault's rules that wait."""
        return vaults.announced(self.chain, address)

    def shares_of(self, address: str, owner: str = "") -> int:
        """Somebody's shares, by default one's own, in the smallest unit."""
        return int(vaults.vault_at(self.chain, address).call("balanceOf", owner or self._acting.address))

    # ------------------------------------------------------------ founders

    def read_charter(self, path: Path) -> VaultTerms:
        """A charter file, with oneself as manager and the network's coin where it names none; errors as
        `read_charter`. A Work's till stands for the Work."""
        terms = read_charter(path, manager=self._acting.address, coin=self.chain.coin.address)
        if terms.work_id:
            if self._works is None:
                raise SetupError("Works cannot be looked up here.", code="treasury.no_works")
            self._works.owner_of(terms.work_id)  # a till of no Work would keep the fee for ever
            terms = replace(terms, charter=replace(terms.charter, fee_to=self._works.till_of(terms.work_id)))
        return terms

    def create(self, terms: VaultTerms) -> VaultState:
        """Begin a vault; TransactionFailed with the contract's reason where it may not be."""
        factory = self._factory()
        receipt = self._send(
            factory.transaction(
                "create",
                terms.name,
                terms.symbol,
                terms.charter.to_tuple(),
                terms.limits.to_tuple(),
                [strategy.to_tuple() for strategy in terms.strategies],
            )
        )
        return self.vault(str(factory.logs(receipt, "VaultCreated")[0]["vault"]))

    # ------------------------------------------------------------ holders

    def deposit(self, address: str, amount: int) -> int:
        """Give assets, get shares; their number in the smallest unit.

        Raises
        ------
        PaymentError
            One has less, or the vault takes no deposits now.
        """
        state, me = self.vault(address), self._acting.address
        coin, vault = self.chain.contract("Coin", state.charter.asset), vaults.vault_at(self.chain, address)
        if amount <= 0 or int(coin.call("balanceOf", me)) < amount:
            raise PaymentError(
                f"{me} does not have that much {state.asset_symbol}.",
                hint="Where money is test money: koinon coins",
                code="treasury.balance",
            )
        if int(vault.call("maxDeposit", me)) < amount:
            raise no_deposits(state)
        if int(coin.call("allowance", me, vault.address)) < amount:
            self._send(coin.transaction("approve", vault.address, amount))
        receipt = self._send(vault.transaction("deposit", amount, me))
        return int(vault.logs(receipt, "Deposit")[0]["shares"])

    def withdraw(self, address: str, amount: int | None = None) -> PaidOut:
        """Take an amount of the asset, or all that can be had at once.

        Raises
        ------
        PaymentError
            So much cannot be had at once; `withdraw_in_kind` always can.
        """
        vault, me = vaults.vault_at(self.chain, address), self._acting.address
        most = int(vault.call("maxWithdraw", me))
        wanted = most if amount is None else amount
        if wanted <= 0 or wanted > most:
            raise PaymentError(
                f"At most {most} smallest units can be had at once.",
                hint="Take your part of everything it holds: with --in-kind that is always possible.",
                code="treasury.not_liquid",
            )
        receipt = self._send(
            vault.transaction("redeem", int(vault.call("maxRedeem", me)), me, me)
            if amount is None
            else vault.transaction("withdraw", wanted, me, me)
        )
        event = vault.logs(receipt, "Withdraw")[0]
        return PaidOut(int(event["shares"]), int(event["assets"]), {})

    def redeem(self, address: str, shares: int) -> PaidOut:
        """Give shares back for the asset; errors as `withdraw`."""
        vault, me = vaults.vault_at(self.chain, address), self._acting.address
        most = int(vault.call("maxRedeem", me))
        if not 0 < shares <= most:
            raise PaymentError(
                f"At most {most} smallest shares can be given back at once.",
                hint="Take your part of everything it holds: with --in-kind that is always possible.",
                code="treasury.not_liquid",
            )
        event = vault.logs(self._send(vault.transaction("redeem", shares, me, me)), "Withdraw")[0]
        return PaidOut(int(event["shares"]), int(event["assets"]), {})

    def in_kind(self, address: str, shares: int, owner: str, *, skip: Sequence[int] = ()) -> list[int]:
        """What leaving in kind would give an owner now: of the asset, then of each slot; sends nothing.

        TransactionFailed with the vault's reason where it would refuse.
        """
        skipped = sum(1 << number for number in set(skip))
        asked = (shares, owner, owner, skipped, [0] * (vaults.SLOTS + 1))
        vault = vaults.vault_at(self.chain, address)
        return [int(amount) for amount in vault.call("redeem_in_kind", *asked, sender=owner)]

    def withdraw_in_kind(
        self,
        address: str,
        shares: int | None = None,
        *,
        skip: Sequence[int] = (),
        tolerance_bps: int = IN_KIND_TOLERANCE_BPS,
    ) -> PaidOut:
        """Take one's part of everything that is held: needs no price, no role and no trade.

        ``skip`` numbers of slots to leave behind, whose token cannot be moved or whose price lies. More than
        ``tolerance_bps`` less of anything than it would be now is refused (TransactionFailed).
        """
        state, me = self.vault(address), self._acting.address
        vault = vaults.vault_at(self.chain, address)
        given = self.shares_of(address) if shares is None else shares
        if given <= 0:
            raise PaymentError(f"{me} has no shares of {state.name}.", code="treasury.no_shares")
        asked = (given, me, me, sum(1 << number for number in set(skip)))
        expected = self.in_kind(address, given, me, skip=skip)
        least = [amount * (vaults.WHOLE_BPS - tolerance_bps) // vaults.WHOLE_BPS for amount in expected]
        receipt = self._send(vault.transaction("redeem_in_kind", *asked, least))
        amounts = vault.logs(receipt, "WithdrawnInKind")[0]["amounts"]
        tokens = {slot.symbol: int(amounts[slot.number + 1]) for slot in state.slots}
        return PaidOut(given, int(amounts[0]), tokens)

    def settle(self, address: str) -> VaultState:
        """Count gains and losses and issue the fee; anyone may."""
        self._send(vaults.vault_at(self.chain, address).transaction("settle"))
        return self.vault(address)

    # ------------------------------------------------------------ the allocator

    def propose(self, address: str, weights: Mapping[str, float], *, tolerance_bps: int = 30) -> Proposal:
        """What rebalancing to these weights would do, within the vault's bounds; sends nothing.

        ``weights`` a slot's number, symbol or token to its part of what is held. Errors as `propose`.
        """
        state = self.vault(address)
        wanted = {state.slot(name).number: weight for name, weight in weights.items()}
        return propose(self.chain, state, wanted, tolerance_bps=tolerance_bps)

    def rebalance(self, proposal: Proposal, *, deadline_s: int = DEADLINE_S) -> VaultState:
        """Make a proposal; TransactionFailed with the vault's reason where it refuses, or where it found a
        drawdown: then nothing was moved, and allocation is stopped."""
        if not proposal.moves:
            raise BadInput("There is nothing to move.", code="treasury.nothing_to_move")
        vault = vaults.vault_at(self.chain, proposal.vault)
        deadline = self.chain.timestamp() + deadline_s
        receipt = self._send(vault.transaction("rebalance", proposal.targets, proposal.least, deadline))
        if not vault.logs(receipt, "Rebalanced"):
            raise TransactionFailed(
                "Nothing was moved: a share lost more than the drawdown allowed, so allocation is stopped.",
                hint="The manager may resume it in public: koinon treasury vault resume",
                code="treasury.drawdown",
            )
        return self.vault(proposal.vault)

    def _factory(self) -> Any:
        if vaults.NAMED not in self.chain.network.contracts:
            raise SetupError(
                f"{self.chain.network.name} has no factory of vaults.",
                hint="Use a network that was deployed with this version.",
                code="treasury.no_factory",
            )
        return self.chain.contract(vaults.NAMED)

    def _send(self, call: Call) -> Receipt:
        return self.chain.sender(self._acting).send(call)

    @property
    def _acting(self) -> Account:
        if self._account is None:
            raise KeyFault("This needs an account to act with.", hint="Name one.", code="treasury.no_account")
        return self._account


__all__ = [
    "METHODS",
    "Announced",
    "BoughtViews",
    "Change",
    "Charter",
    "Limits",
    "Move",
    "PaidOut",
    "Plan",
    "Prices",
    "Proposal",
    "Report",
    "Rules",
    "Slot",
    "Strategy",
    "Treasury",
    "VaultState",
    "VaultTerms",
    "Views",
    "read_prices",
]
