# SPDX-License-Identifier: Apache-2.0
"""How much privacy noisy sums spend: Rényi accounting of the Poisson-subsampled Gaussian.

A step adds Gaussian noise of ``noise_multiplier`` times the sensitivity to a sum over those who take part,
each with probability ``sample_rate`` by itself and in secret (at 1 everyone does). Its Rényi divergences are
those of Mironov, Talwar and Zhang 2019 (arXiv 1908.10530, section 3.3), add up over steps, and turn into
(epsilon, delta) by proposition 12 of Canonne, Kamath and Steinke 2020 (arXiv 2004.00010), which is theorem 21
of Balle et al. 2020.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, isfinite, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Numbers = NDArray[np.float64]

ORDERS: Final[tuple[float, ...]] = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *(float(order) for order in range(11, 64)),
    *(128.0, 256.0, 512.0, 1024.0),
)
"""The orders at which divergences are kept; any of them gives a valid epsilon, the least is taken."""

LARGEST_NOISE: Final = 1e6
TOLERANCE: Final = 1e-6


class Accountant:
    """Adds up the divergences of steps, whose noise and sampling may differ."""

    def __init__(self) -> None:
        self._spent: Numbers = np.zeros(len(ORDERS))

    def step(self, noise_multiplier: float, sample_rate: float, steps: int = 1) -> None:
        """Count so many steps of one kind.

        Raises
        ------
        BadInput
            A negative noise or number of steps, or a sample rate outside 0 to 1.
        """
        if steps < 0:
            raise BadInput("The number of steps must be 0 or more.", code="learning.privacy_parameters")
        if steps:
            self._spent = self._spent + steps * divergences(noise_multiplier, sample_rate)

    def epsilon(self, delta: float) -> float:
        """What all steps together spent, at this delta; infinite after a step without noise."""
        return epsilon_of(self._spent, delta)


def spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """The epsilon of equal steps; infinite without noise."""
    accountant = Accountant()
    accountant.step(noise_multiplier, sample_rate, steps)
    return accountant.epsilon(delta)


def noise_multiplier(target_epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    """The least noise, to a millionth of itself, that spends at most ``target_epsilon``.

    Parameters
    ----------
    target_epsilon : float
        More than 0.
    delta : float
        Between 0 and 1.
    sample_rate : float
        Above 0, at most 1.
    steps : int
        At least one.

    Raises
    ------
    BadInput
        Parameters out of range, or no noise up to 10^6 is enough.
    """
    if not (isfinite(target_epsilon) and target_epsilon > 0 and steps > 0 and 0 < sample_rate <= 1):
        raise BadInput(
            "Noise is found for a positive epsilon, sample rate and number of steps.",
            code="learning.privacy_parameters",
        )
    low, high = 0.0, 1.0
    while spent(high, sample_rate, steps, delta) > target_epsilon:
        low, high = high, 2 * high
        if high > LARGEST_NOISE:
            raise BadInput(
                f"No noise spends as little as {target_epsilon} at a delta of {delta}.",
                hint="Take a larger epsilon, or fewer steps.",
                code="learning.privacy_parameters",
            )
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        if spent(middle, sample_rate, steps, delta) > target_epsilon:
            low = middle
        else:
            high = middle
    return high


def epsilon_of(spent_divergences: Numbers, delta: float) -> float:
    """The least epsilon that divergences at `ORDERS` allow at this delta (BadInput outside 0 to 1)."""
    if not 0 < delta < 1:
        raise BadInput("A delta lies between 0 and 1.", code="learning.privacy_parameters")
    if not spent_divergences.any():
        return 0.0
    orders = np.array(ORDERS)
    found = spent_divergences + np.log1p(-1 / orders) - (log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(found.min()))


@lru_cache(maxsize=1_024)
def divergences(noise_multiplier: float, sample_rate: float) -> Numbers:
    """Rényi divergence of one step at each of `ORDERS`; not to be written to. BadInput out of range."""
    if not (0 <= sample_rate <= 1 and isfinite(noise_multiplier) and noise_multiplier >= 0):
        raise BadInput(
            "A sample rate lies between 0 and 1, and noise is 0 or more.", code="learning.privacy_parameters"
        )
    orders = np.array(ORDERS)
    found: Numbers
    if sample_rate == 0:
        found = np.zeros(len(ORDERS))
    elif noise_multiplier == 0:
        found = np.full(len(ORDERS), inf)
    elif sample_rate == 1:
        found = orders / (2 * noise_multiplier**2)
    else:
        moment = [_log_moment(sample_rate, noise_multiplier, order) for order in ORDERS]
        found = np.maximum(np.array(moment), 0.0) / (orders - 1)
    found.setflags(write=False)
    return found


def _log_moment(rate: float, noise: float, order: float) -> float:
    whole = int(order)
    if whole == order:
        return _log_moment_of_whole(rate, noise, whole)
    return _log_moment_of_any(rate, noise, order)


def _log_moment_of_whole(rate: float, noise: float, order: int) -> float:
    """log A of a whole order: the binomial sum, in logarithms."""
    numbers = np.arange(order + 1, dtype=np.float64)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(numbers[1:]))])
    choose = log_factorial[-1] - log_factorial - log_factorial[::-1]
    chance = numbers * log(rate) + (order - numbers) * np.log1p(-rate)
    return _log_sum(choose + chance + numbers * (numbers - 1) / (2 * noise**2))


def _log_moment_of_any(rate: float, noise: float, order: float) -> float:
    """log A = log E[((1 - q) + q exp((2z - 1) / 2σ²))^α] for z of N(0, σ²), by the trapezoidal rule.

    The integrand is analytic up to a distance of πσ² from the real line and falls off like a Gaussian beyond
    0 on one side and the order on the other, so the rule's error falls exponentially with its step.
    """
    width = min(noise, noise**2) / 8
    points = np.arange(-14 * noise, order + 14 * noise, width)
    mixed = np.logaddexp(np.log1p(-rate), log(rate) + (2 * points - 1) / (2 * noise**2))
    density = -(points**2) / (2 * noise**2) - log(noise) - log(2 * np.pi) / 2
    return _log_sum(density + order * mixed) + log(width)


def _log_sum(logarithms: Numbers) -> float:
    largest = logarithms.max()
    return float(largest + np.log(np.exp(logarithms - largest).sum()))
