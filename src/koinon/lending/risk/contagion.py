# SPDX-License-Identifier: Apache-2.0
"""What one failure does to all who share its collateral.

Institutions (pools, vaults, holders) hold assets and owe each other. Two channels: who is not paid in full
cannot pay in full (Eisenberg and Noe, Systemic risk in financial systems, Management Science 2001), and who
must sell pushes down the price of what others hold (Cifuentes, Ferrucci and Shin 2005, here with the depth of
constant-product pairs). The fixpoint is the greatest one: found from above, by rounds in which payments and
prices only fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_ROUNDS: Final = 1_000
_PRECISION: Final = 1e-12


@dataclass(frozen=True)
class System:
    """A bipartite network of institutions and assets, and what institutions owe each other.

    Parameters
    ----------
    names : sequence of str
        Institutions; ``assets`` likewise.
    cash : float64[n]
        Units of account that need no selling.
    holdings : float64[n, m]
        Whole tokens of each asset.
    liabilities : float64[n, n]
        What row owes column: a pool its vaults, a vault its holders, a borrower its pool.
    outside : float64[n]
        What is owed to whoever is not in the network.
    prices : float64[m]
        Units of account a token, before anybody sells.
    depth : float64[m]
        Tokens in each asset's pair: selling x moves the price by (depth / (depth + x))^2; infinite for what
        does not move.
    selling : float64[m]
        Tokens that are sold in any case, such as those of somebody who failed already.

    Raises
    ------
    BadInput
        Shapes differ, or a number is negative.
    """

    names: Sequence[str]
    assets: Sequence[str]
    cash: Floats
    holdings: Floats
    liabilities: Floats
    outside: Floats
    prices: Floats
    depth: Floats
    selling: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        count, kinds = len(self.names), len(self.assets)
        if not self.selling.size:
            object.__setattr__(self, "selling", np.zeros(kinds))
        shapes = {
            "cash": (count,),
            "outside": (count,),
            "holdings": (count, kinds),
            "liabilities": (count, count),
            "prices": (kinds,),
            "depth": (kinds,),
            "selling": (kinds,),
        }
        for name, shape in shapes.items():
            part = getattr(self, name)
            if part.shape != shape or np.isnan(part).any() or (part < 0).any():
                raise BadInput(
                    f"{name} of a network are numbers from 0 of shape {shape}.", code="lending.network"
                )
        if (np.diag(self.liabilities) > 0).any():
            raise BadInput("Nobody owes himself.", code="lending.network")
        if (self.depth <= 0).any():
            raise BadInput("An asset's depth is above 0.", code="lending.network")

    @property
    def owed(self) -> Floats:
        """What each owes altogether."""
        return np.asarray(self.liabilities.sum(axis=1) + self.outside)

    def without(self, name: str) -> System:
        """The system in which an institution has lost everything: what it held was sold off."""
        at = self.index(name)
        cash, holdings = self.cash.copy(), self.holdings.copy()
        selling = self.selling + holdings[at]
        cash[at], holdings[at] = 0.0, 0.0
        return replace(self, cash=cash, holdings=holdings, selling=selling)

    def index(self, name: str) -> int:
        """Where an institution stands; `BadInput` where there is none of that name."""
        if name not in self.names:
            raise BadInput(
                f"The network has nobody called {name!r}.",
                hint=f"It has: {', '.join(self.names[:20])}.",
                code="lending.network",
            )
        return list(self.names).index(name)


@dataclass(frozen=True)
class Cleared:
    """``paid`` of what each owes, ``prices`` after the sales, ``equity`` what is left to each after paying,
    ``failed`` who could not pay in full, ``sold`` tokens of each asset, ``rounds`` until nothing moved."""

    paid: Floats
    prices: Floats
    equity: Floats
    failed: Booleans
    sold: Floats
    shortfall: Floats
    rounds: int

    @property
    def unpaid(self) -> float:
        """What the system as a whole does not pay of what it owes."""
        return float(self.shortfall.sum())


def clear(system: System) -> Cleared:
    """The greatest payments and prices that fit each other.

    Everybody pays in full or everything he has. Who lacks cash sells, all assets in proportion, no more than
    he needs; every seller gets the price that all sales together leave, the worst of them.
    """
    owed = system.owed
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(owed[:, None] > 0, system.liabilities / owed[:, None], 0.0)
    paid = owed.copy()
    prices = system.prices * _impact(system.depth, system.selling)
    sold, rounds, moved = np.zeros(len(system.assets)), 0, np.inf
    while moved > _PRECISION * (1 + owed.sum()) and rounds < _ROUNDS:
        received = shares.T @ paid
        worth = system.holdings @ prices
        lacking = np.maximum(owed - system.cash - received, 0.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            part = np.where(worth > 0, np.minimum(lacking / worth, 1.0), 0.0)
        sold = np.maximum(sold, (part[:, None] * system.holdings).sum(axis=0))
        new_paid = np.minimum(owed, system.cash + received + worth)
        new_prices = np.minimum(prices, system.prices * _impact(system.depth, system.selling + sold))
        moved = np.abs(new_paid - paid).sum() + np.abs(new_prices - prices).sum()
        paid, prices, rounds = new_paid, new_prices, rounds + 1
    received = shares.T @ paid
    equity = np.maximum(system.cash + received + system.holdings @ prices - owed, 0.0)
    shortfall = np.maximum(owed - paid, 0.0)
    failed = shortfall > _PRECISION * (1 + owed) * 10
    return Cleared(paid, prices, equity, failed, sold, shortfall, rounds)


def _impact(depth: Floats, sold: Floats) -> Floats:
    """Of a constant-product pair's marginal price; 1 for infinite depth."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(depth), (depth / (depth + sold)) ** 2, 1.0)
