# SPDX-License-Identifier: Apache-2.0
"""What a fixed-point model reads: named numbers, and how each is scaled before the model sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.compute.fixed_point import arithmetic
from koinon.compute.fixed_point.arithmetic import Floats
from koinon.errors import BadInput


@dataclass(frozen=True, eq=False)
class Inputs:
    """``(f(x) - center) / scale`` of each of d features; f is sign(x)·ln(1 + |x|) or x itself.

    Subtraction and division are single operations of IEEE 754 float64, the logarithm is integer arithmetic:
    the same number gives the same bits everywhere.

    Parameters
    ----------
    features : tuple of str
        Their names, each once.
    signed_log : (d,) bool
        Whether a feature first becomes its signed logarithm.
    center, scale : (d,) float64
        Finite; no scale is 0.
    """

    features: tuple[str, ...]
    signed_log: NDArray[np.bool_]
    center: Floats
    scale: Floats

    def __post_init__(self) -> None:
        count = len(self.features)
        if not count or len(set(self.features)) != count:
            raise malformed("it names no features, or one twice")
        for name, found in (("signed_log", self.signed_log), ("center", self.center), ("scale", self.scale)):
            if found.shape != (count,):
                raise malformed(f"'{name}' has the shape {found.shape}, not {(count,)}")
        if not (np.isfinite(self.center).all() and np.isfinite(self.scale).all() and self.scale.all()):
            raise malformed("its scaling holds a number that is not finite, or a scale of 0")

    @classmethod
    def plain(cls, features: tuple[str, ...]) -> Inputs:
        """Numbers as they come."""
        count = len(features)
        return cls(features, np.zeros(count, dtype=np.bool_), np.zeros(count), np.ones(count))

    def prepared(self, rows: Floats) -> Floats:
        """Scaled copy of raw rows (n, d); BadInput where a number is not finite or the shape is another."""
        if rows.ndim != 2 or rows.shape[1] != len(self.features) or not np.isfinite(rows).all():
            raise BadInput(
                f"A row has {len(self.features)} finite numbers.",
                hint=f"In this order: {', '.join(self.features[:12])}{' …' * (len(self.features) > 12)}",
                code="compute.fixed_point_row",
            )
        values = np.where(self.signed_log, arithmetic.signed_log(rows), rows)
        with np.errstate(over="ignore"):
            result: Floats = (values - self.center) / self.scale
        return result


def malformed(reason: str) -> BadInput:
    """The error of every model that this runtime cannot compute exactly, or cannot read."""
    return BadInput(
        f"This is no model for the fixed-point runtime: {reason}.",
        hint="koinon.compute.fixed_point.from_estimator makes one from a trained model.",
        code="compute.fixed_point_model",
    )
