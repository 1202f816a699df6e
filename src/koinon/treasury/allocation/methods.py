# SPDX-License-Identifier: Apache-2.0
"""Ways to divide money among assets: past returns in, weights out. Equal weight is what all are held against.

The convex ones are skfolio's (extra ``treasury``); equal weight and inverse volatility need nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput, NotFound
from koinon.extras import required

Floats = NDArray[np.float64]

BENCHMARK: Final = "equal-weight"
LEAST_RETURNS: Final = 20
TAU: Final = 0.05
"""How much the views count against the market's prior in Black and Litterman's model, as there."""


@dataclass(frozen=True)
class Views:
    """What a model expects of some assets.

    Attributes
    ----------
    expected : mapping of str to float
        Asset name to expected simple return over one period of the prices.
    confidence : mapping of str to float
        How far each is trusted, above 0 and at most 1; by default 0.5.
    """

    expected: Mapping[str, float]
    confidence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.expected.items():
            if not np.isfinite(value) or not -1 < value < 10:
                raise BadInput(f"{value} is no return that {name} could have.", code="treasury.views")
        for name, value in self.confidence.items():
            if not 0 < value <= 1:
                raise BadInput(
                    f"The confidence in {name} is not above 0 and at most 1.", code="treasury.views"
                )


class Method(Protocol):
    """Weights, one an asset, none negative, which sum to 1."""

    def __call__(self, returns: Floats, names: tuple[str, ...], views: Views | None) -> Floats: ...


def equal_weight(returns: Floats, names: tuple[str, ...], views: Views | None = None) -> Floats:  # noqa: ARG001
    """The same of each (DeMiguel, Garlappi and Uppal 2009)."""
    return np.full(len(names), 1.0 / len(names))


def inverse_volatility(returns: Floats, names: tuple[str, ...], views: Views | None = None) -> Floats:  # noqa: ARG001
    """Of each in inverse proportion to how much its returns vary."""
    spread = returns.std(axis=0, ddof=1)
    if not np.all(spread > 0):
        raise BadInput("An asset's price never changed.", hint="Leave it out.", code="treasury.prices")
    inverse = 1.0 / spread
    return np.asarray(inverse / inverse.sum())


def _min_variance(_names: tuple[str, ...], _views: Views | None) -> Any:
    return required("skfolio.optimization", extra="treasury").MeanRisk()


def _risk_budget(_names: tuple[str, ...], _views: Views | None) -> Any:
    return required("skfolio.optimization", extra="treasury").RiskBudgeting()


def _hrp(_names: tuple[str, ...], _views: Views | None) -> Any:
    return required("skfolio.optimization", extra="treasury").HierarchicalRiskParity()


def _min_cvar(_names: tuple[str, ...], _views: Views | None) -> Any:
    measure = required("skfolio", extra="treasury").RiskMeasure.CVAR
    return required("skfolio.optimization", extra="treasury").MeanRisk(risk_measure=measure)


def _black_litterman(names: tuple[str, ...], views: Views | None) -> Any:
    if views is None or not views.expected:
        raise BadInput(
            "This method needs views.", hint="Name the model Work that has them.", code="treasury.no_views"
        )
    unknown = sorted(set(views.expected) - set(names))
    if unknown:
        raise BadInput(f"There is a view on {unknown[0]}, which is not held.", code="treasury.views")
    optimization = required("skfolio.optimization", extra="treasury")
    # skfolio reads names as symbols of an equation, so assets go by number there.
    numbers = {name: f"a{place}" for place, name in enumerate(names)}
    prior = required("skfolio.prior", extra="treasury").BlackLitterman(
        views=[f"{numbers[name]} == {value!r}" for name, value in views.expected.items()],
        view_confidences=[views.confidence.get(name, 0.5) for name in views.expected],
        tau=TAU,
    )
    return optimization.MeanRisk(
        objective_function=optimization.ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_aversion=1.0,
        prior_estimator=prior,
    )


_SKFOLIO: Final = {
    "min-variance": _min_variance,
    "risk-budget": _risk_budget,
    "hrp": _hrp,
    "min-cvar": _min_cvar,
    "black-litterman": _black_litterman,
}
METHODS: Final = (BENCHMARK, "inverse-volatility", *_SKFOLIO)
WITHOUT_VIEWS: Final = tuple(name for name in METHODS if name != "black-litterman")


def allocate(method: str, returns: Floats, names: tuple[str, ...], views: Views | None = None) -> Floats:
    """The weights of a method.

    Parameters
    ----------
    method : str
        Of `METHODS`.
    returns : float64 array, shape (rows, assets)
        Simple returns; the method sees nothing else.
    names : tuple of str
    views : Views, optional
        Only for ``black-litterman``.

    Returns
    -------
    float64 array, shape (assets,)
        None negative; they sum to 1.

    Raises
    ------
    NotFound
        There is no such method.
    BadInput
        The returns are too few, or the method finds no weights.
    """
    if method not in METHODS:
        raise NotFound(
            f"There is no method {method!r}.", hint=f"Known: {', '.join(METHODS)}.", code="treasury.method"
        )
    if len(returns) < LEAST_RETURNS:
        raise BadInput(f"A method needs {LEAST_RETURNS} returns to learn from.", code="treasury.split")
    if method == BENCHMARK:
        return equal_weight(returns, names)
    if method == "inverse-volatility":
        return inverse_volatility(returns, names)
    pandas = required("pandas", extra="treasury")
    model = _SKFOLIO[method](names, views)
    table = pandas.DataFrame(returns, columns=[f"a{place}" for place in range(len(names))])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # solvers warn of what they then solve
            model.fit(table)
    except Exception as error:  # the solver's own kinds; whatever it is, there are no weights
        raise BadInput(
            f"{method} finds no weights: {error}.", hint="Use another method.", code="treasury.no_weights"
        ) from error
    weights = np.clip(np.asarray(model.weights_, dtype=np.float64), 0.0, None)
    if not np.all(np.isfinite(weights)) or weights.sum() <= 0:
        raise BadInput(f"{method} finds no weights.", hint="Use another method.", code="treasury.no_weights")
    return np.asarray(weights / weights.sum())
