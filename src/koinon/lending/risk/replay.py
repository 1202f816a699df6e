# SPDX-License-Identifier: Apache-2.0
"""A scenario on the real contracts, beside what the model predicted.

Liquidators follow the model's rule, with what the contracts themselves say: the least sound loan first, as
long as what the pair pays for the collateral covers the debt they repay and their gas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from koinon.lending.risk.cascade import Outcome
from koinon.lending.risk.opened import OpenedStage
from koinon.lending.risk.scenario import Scenario
from koinon.lending.risk.stage import Stage, person

LIQUIDATOR: Final = person("liquidator")
_WEALTH_TIMES: Final = 2
COMPARED: Final = ("liquidated", "seized", "bad_debt", "net_insolvent", "profit", "price")


@dataclass(frozen=True)
class Replayed:
    """``realised`` on the contracts, ``predicted`` by the model; ``junior_loss`` and ``senior_loss`` of the
    pool's tranches in the loan token's smallest unit; ``calls`` made."""

    name: str
    predicted: Outcome
    realised: Outcome
    junior_loss: int
    senior_loss: int
    calls: int

    def differences(self) -> dict[str, float]:
        """Realised less predicted, as a share of the larger; 0 where both are nothing."""
        found = {}
        for name in COMPARED:
            told, real = float(getattr(self.predicted, name)), float(getattr(self.realised, name))
            largest = max(abs(told), abs(real))
            found[name] = (real - told) / largest if largest > 1e-9 else 0.0
        return found

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "predicted": {name: getattr(self.predicted, name) for name in COMPARED},
            "realised": {name: getattr(self.realised, name) for name in COMPARED},
            "differences": self.differences(),
            "junior_loss": self.junior_loss,
            "senior_loss": self.senior_loss,
            "liquidations": {"predicted": self.predicted.count, "realised": self.realised.count},
            "calls": self.calls,
        }


class _Run:
    """One path on a stage."""

    def __init__(self, scenario: Scenario, stage: Stage) -> None:
        self.stage = stage
        self.scenario, self.venue = scenario, scenario.venue
        book = scenario.book
        self.lltv = np.array([round(each * 10_000) / 10_000 for each in book.lltv])
        self.totals = np.zeros(4)  # repaid, seized, profit, count
        wealth = self.stage.money.units(float(book.debt.sum()) * _WEALTH_TIMES + 1)
        self.stage.give(LIQUIDATOR, self.stage.money, wealth)
        self.stage.act(LIQUIDATOR, self.stage.money.placed, "approve", self.stage.pool.address, 2**256 - 1)
        self.books = self._books()

    def go(self) -> Replayed:
        stage, venue = self.stage, self.venue
        prices = [venue.price] * (venue.oracle_delay_steps + 1)
        price = lowest = outside = venue.price
        for change in np.exp(self.scenario.returns):
            stage.next_step()
            price, outside = price * change, outside * change
            stage.move_pair(price)
            prices.append(stage.market.price(stage.bench))
            oracle = prices[-1 - venue.oracle_delay_steps]
            stage.post(oracle)
            self._liquidate(oracle)
            price = stage.market.price(stage.bench)
            prices[-1] = price
            lowest = min(lowest, price)
            price = price ** (1 - venue.recovery) * outside**venue.recovery
            stage.move_pair(price)
        return self._told(stage.market.price(stage.bench), lowest)

    def _liquidate(self, oracle: float) -> None:
        stage, venue = self.stage, self.venue
        start = stage.market.price(stage.bench) * (1 - venue.fee)
        gas = stage.money.units(venue.gas)
        stopped = False
        for borrower in self._unsound(oracle):
            terms = None if stopped else self._terms(borrower)
            if terms is not None:
                paid, seized = terms
                alone = stage.collateral.whole(seized) * start > stage.money.whole(paid + gas)
                if alone and stage.market.out(stage.bench, stage.collateral, seized) < paid + gas:
                    stopped = True
                elif alone:
                    self._take(borrower, gas)
                    continue
            stage.act(LIQUIDATOR, stage.pool, "mark", borrower)  # its auction begins, or goes on

    def _take(self, borrower: str, gas: int) -> None:
        stage = self.stage
        paid, seized = stage.act(LIQUIDATOR, stage.pool, "liquidate", borrower, 2**255, 0, LIQUIDATOR)
        got = stage.swap(LIQUIDATOR, stage.collateral, seized)
        whole = stage.money.whole
        self.totals += (whole(paid), stage.collateral.whole(seized), whole(got - paid - gas), 1)

    def _terms(self, borrower: str) -> tuple[int, int] | None:
        """What the pool would take and give now; None where it would refuse."""
        stage = self.stage
        function = stage.pool.artifact.functions["liquidate"]
        data = function.encode(borrower, 2**255, 0, LIQUIDATOR)
        stage.calls += 1
        found = stage.bench.peek(stage.pool.address, data, LIQUIDATOR)
        return None if found is None else function.decode(found)

    def _unsound(self, oracle: float) -> list[str]:
        """The least sound first."""
        found = []
        for at, borrower in enumerate(self.stage.borrowers):
            collateral, debt = self._position(borrower)
            if debt > 0 and collateral * oracle * self.lltv[at] < debt:
                found.append((-debt / (collateral * self.lltv[at]) if collateral else -np.inf, at, borrower))
        return [borrower for _, _, borrower in sorted(found)]

    def _position(self, borrower: str) -> tuple[float, float]:
        stage = self.stage
        found = stage.bench.ask(stage.pool, "position_of", borrower)
        stage.calls += 1
        return stage.collateral.whole(found[0]), stage.money.whole(found[1])

    def _books(self) -> tuple[int, int]:
        found = self.stage.bench.ask(self.stage.pool, "books")
        return int(found[0]), int(found[1])

    def _told(self, price: float, lowest: float) -> Replayed:
        insolvent = 0.0
        for borrower in self.stage.borrowers:
            collateral, debt = self._position(borrower)
            insolvent += max(debt - collateral * price, 0.0)
        after = self._books()
        senior, junior = self.books[0] - after[0], self.books[1] - after[1]
        repaid, seized, profit, count = (float(each) for each in self.totals)
        realised = Outcome(
            repaid,
            seized,
            self.stage.money.whole(senior + junior),
            insolvent,
            profit,
            round(count),
            len(self.scenario.returns),
            price,
            lowest,
        )
        predicted = self.scenario.predicted
        return Replayed(self.scenario.name, predicted, realised, junior, senior, self.stage.calls)


def replay(scenario: Scenario, stage: Stage | None = None) -> Replayed:
    """Play a scenario through on the real contracts; on an `OpenedStage` where no other is given, errors as
    there."""
    return _Run(scenario, stage or OpenedStage(scenario)).go()
