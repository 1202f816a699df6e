# SPDX-License-Identifier: Apache-2.0
"""From a fixed-point model's raw scores to its answer: classes with shares in millionths, or one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.compute.fixed_point import arithmetic
from koinon.compute.fixed_point.arithmetic import FRACTION, MILLION, SHARE_BITS, Integers
from koinon.compute.fixed_point.inputs import malformed

LINKS: Final = ("logistic", "softmax", "shares", "identity")


@dataclass(frozen=True)
class Outputs:
    """What raw scores mean.

    Parameters
    ----------
    link : str
        ``"logistic"``: one score, the log odds of the second of two classes. ``"softmax"``: a score a class.
        ``"shares"``: the scores are the classes' probabilities already, as the mean of a forest's leaves is.
        ``"identity"``: one score, which is the answer.
    classes : tuple of str
        Names; none for ``"identity"``.
    """

    link: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise malformed(f"its link {self.link!r} is none of {', '.join(LINKS)}")
        wanted = {"logistic": len(self.classes) == 2, "identity": not self.classes}
        if not wanted.get(self.link, len(self.classes) > 1) or len(set(self.classes)) != len(self.classes):
            raise malformed(f"{len(self.classes)} class names do not fit the link {self.link!r}")

    @property
    def scores(self) -> int:
        """Raw scores a row."""
        return len(self.classes) if self.link in ("softmax", "shares") else 1

    def shares(self, scores: Integers) -> Integers:
        """Probabilities in multiples of 2^-30, (n, classes), of raw scores (n, scores)."""
        if self.link == "logistic":
            second = arithmetic.logistic(scores[:, 0])
            return np.stack([arithmetic.WHOLE - second, second], axis=1)
        if self.link == "softmax":
            return arithmetic.softmax(scores)
        given: Integers = np.clip(scores << (SHARE_BITS - FRACTION), 0, arithmetic.WHOLE)
        return given

    def answers(self, scores: Integers) -> list[dict[str, Any]]:
        """One answer a row: label and probabilities with six decimals, or the number with six decimals.

        Of classes with equal shares the first is the label.
        """
        if self.link == "identity":
            whole = arithmetic.shifted(scores[:, 0] * (MILLION >> 6), FRACTION - 6)
            return [{"value": value / MILLION} for value in whole.tolist()]
        shares = self.shares(scores)
        labels, parts = shares.argmax(axis=1).tolist(), arithmetic.millionths(shares).tolist()
        return [
            {
                "label": self.classes[label],
                "probability": (row[1] if len(row) == 2 else row[label]) / MILLION,
                "probabilities": {name: part / MILLION for name, part in zip(self.classes, row, strict=True)},
            }
            for label, row in zip(labels, parts, strict=True)
        ]


def disagreement(answers: NDArray[np.float64], probabilities: NDArray[np.float64]) -> tuple[float, float]:
    """How two models' probabilities (n, classes) of the same rows differ: the largest difference, and the
    share of rows with another label."""
    largest = float(np.abs(answers - probabilities).max())
    return largest, float((answers.argmax(axis=1) != probabilities.argmax(axis=1)).mean())
