# SPDX-License-Identifier: Apache-2.0
"""Expected loss, the distribution of a portfolio's losses, and who of its lenders bears them.

One factor (Vasicek, Loan portfolio value, Risk 2002): borrower i defaults where
``sqrt(rho) M + sqrt(1 - rho) e_i < N^-1(PD_i)``, M and e standard normal and independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required

Floats = NDArray[np.float64]

_CHUNK: Final = 4_000_000
LEVELS: Final = (0.95, 0.99)


@dataclass(frozen=True)
class Portfolio:
    """Loans: ``pd`` of default within the horizon, ``lgd`` the share of ``ead`` lost then, ``ead`` exposure
    in whole loan tokens.

    Raises
    ------
    BadInput
        Lengths differ, or a number is outside its range.
    """

    pd: Floats
    lgd: Floats
    ead: Floats

    def __post_init__(self) -> None:
        if not self.pd.shape == self.lgd.shape == self.ead.shape or self.pd.ndim != 1 or not self.pd.size:
            raise BadInput(
                "A portfolio needs a PD, an LGD and an EAD for each loan.", code="lending.portfolio"
            )
        shares = np.concatenate([self.pd, self.lgd])
        if not (np.isfinite(shares).all() and (shares >= 0).all() and (shares <= 1).all()):
            raise BadInput("PD and LGD lie between 0 and 1.", code="lending.portfolio")
        if not (np.isfinite(self.ead).all() and (self.ead >= 0).all() and self.ead.sum() > 0):
            raise BadInput("Exposures are amounts, and not all nothing.", code="lending.portfolio")

    @property
    def expected_loss(self) -> float:
        """PD x LGD x EAD, summed."""
        return float((self.pd * self.lgd * self.ead).sum())

    @property
    def concentration(self) -> float:
        """Herfindahl index of the exposures: 1 for one borrower, 1/n for n equal ones."""
        share = self.ead / self.ead.sum()
        return float((share**2).sum())


@dataclass(frozen=True)
class LossDistribution:
    """Losses of simulated years, ascending, in whole loan tokens."""

    losses: Floats

    def value_at_risk(self, level: float) -> float:
        """The loss that is not exceeded with this probability."""
        return quantile(self.losses, level)

    def expected_shortfall(self, level: float) -> float:
        """The mean of the losses from the value at risk on."""
        return float(self.losses[self.losses >= self.value_at_risk(level)].mean())

    @property
    def mean(self) -> float:
        return float(self.losses.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(self.losses.std(ddof=1) / np.sqrt(len(self.losses)))


@dataclass(frozen=True)
class Waterfall:
    """Who bears a loss, in the loan token's smallest unit: ``junior`` first, then ``senior``; ``beyond`` is
    more than both had."""

    junior: int
    senior: int
    beyond: int


def waterfall(loss: int, junior: int, senior: int) -> Waterfall:
    """Share a loss out to the unit, as a credit pool does.

    Raises
    ------
    BadInput
        An amount is negative.
    """
    if min(loss, junior, senior) < 0:
        raise BadInput("Losses and tranches are not negative.", code="lending.waterfall")
    from_junior = min(loss, junior)
    from_senior = min(loss - from_junior, senior)
    return Waterfall(from_junior, from_senior, loss - from_junior - from_senior)


def tranche_losses(losses: Floats, junior: float, senior: float) -> tuple[float, float]:
    """The expected loss of a junior and a senior tranche, as shares of what they hold."""
    from_junior = np.minimum(losses, junior)
    from_senior = np.minimum(losses - from_junior, senior)
    return (
        float(from_junior.mean() / junior) if junior > 0 else 0.0,
        float(from_senior.mean() / senior) if senior > 0 else 0.0,
    )


def simulate(portfolio: Portfolio, correlation: float, runs: int, seed: int) -> LossDistribution:
    """Losses of ``runs`` independent horizons under the one-factor model.

    Raises
    ------
    BadInput
        The correlation is not in [0, 1), or there are no runs.
    """
    special = required("scipy.special", extra="markets")
    _check(correlation, runs)
    generator = np.random.default_rng(seed)
    threshold = special.ndtri(portfolio.pd)
    severity = portfolio.lgd * portfolio.ead
    losses = np.empty(runs)
    step = max(1, _CHUNK // portfolio.pd.size)
    for start in range(0, runs, step):
        count = min(step, runs - start)
        factor = generator.standard_normal((count, 1))
        chance = special.ndtr((threshold - np.sqrt(correlation) * factor) / np.sqrt(1 - correlation))
        losses[start : start + count] = (generator.random(chance.shape) < chance) @ severity
    return LossDistribution(np.sort(losses))


def vasicek_quantile(pd: float, lgd: float, correlation: float, level: float) -> float:
    """The loss of an infinitely fine portfolio at a confidence level, as a share of its exposure: the formula
    behind Basel's risk weights."""
    special = required("scipy.special", extra="markets")
    _check(correlation, 1)
    if not 0 <= pd <= 1 or not 0 <= lgd <= 1 or not 0 < level < 1:
        raise BadInput("PD, LGD and level lie between 0 and 1.", code="lending.portfolio")
    inner = special.ndtri(pd) + np.sqrt(correlation) * special.ndtri(level)
    return float(lgd * special.ndtr(inner / np.sqrt(1 - correlation)))


def quantile(values: Floats, level: float) -> float:
    """The smallest value that at least this share of the values does not exceed (no interpolation)."""
    ordered = np.sort(values)
    return float(ordered[min(len(ordered) - 1, max(0, int(np.ceil(level * len(ordered))) - 1))])


def _check(correlation: float, runs: int) -> None:
    if not 0 <= correlation < 1:
        raise BadInput("A correlation of assets lies in [0, 1).", code="lending.correlation")
    if runs < 1:
        raise BadInput("A simulation has at least one run.", code="lending.runs")
