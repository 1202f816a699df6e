# SPDX-License-Identifier: Apache-2.0
"""What a model is to the rest of learning: parameters as one flat float32 vector, and what is done with it.

The vector is the unit everything else works on: codecs, aggregation, contributions and signatures never look
inside. A new kind of model is a class with these methods, registered in `koinon.learning.models.MODELS` or
named in a recipe as ``module:Class``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Training:
    """How an owner trains locally, all by seed.

    Attributes
    ----------
    epochs, batch, learning_rate, weight_decay
        Passes over the rows, rows a mini-batch, the optimiser's step and its decay.
    proximal : float
        Weight of (mu/2)·|w - w0|² (FedProx, Li et al. 2020); 0 is none.
    steps : int
        Exactly so many mini-batches instead of whole passes (local SGD, DiLoCo); 0 counts epochs.
    optimiser : str
        ``"adam"`` (Kingma and Ba 2015) or ``"sgd"``.
    slot, round : int
        The owner's place in the run and the round's number, for models whose vector has a place for each;
        training alone is round 0.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.0
    proximal: float = 0.0
    steps: int = 0
    optimiser: str = "adam"
    slot: int = 0
    round: int = 0

    def batches(self, rows: int) -> int:
        """How many mini-batches one round of local training takes."""
        return self.steps or self.epochs * -(-rows // self.batch)


class Model(Protocol):
    """A kind of model with its architecture fixed."""

    @property
    def size(self) -> int:
        """How many parameters the flat vector holds."""

    @property
    def schema(self) -> bytes:
        """32-byte digest of the architecture: vectors of different schemas never mix."""

    @property
    def guided(self) -> bool:
        """Whether training honours ``proximal`` and ``drift``; methods that need them refuse other models."""

    @property
    def averages(self) -> bool:
        """Whether a mean of vectors is a model (trees are united instead)."""

    def initial(self, seed: int) -> Vector:
        """Fresh parameters, the same for the same seed."""

    def probabilities(self, vector: Vector, inputs: Matrix) -> NDArray[np.float64]:
        """Shape (rows,) for two classes (of class 1), else (rows, classes)."""

    def train(
        self,
        vector: Vector,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
        *,
        drift: Vector | None = None,
    ) -> Vector:
        """New parameters after local training; the given vector stays as it is.

        ``drift`` is added to every gradient (SCAFFOLD's c - c_i).
        """


@runtime_checkable
class Slotted(Protocol):
    """A model whose vector has a place for every owner and round, written once (trees)."""

    @property
    def rounds(self) -> int:
        """For how many rounds there are places."""

    def check_change(self, change: Vector, slot: int, number: int, examples: int) -> None:
        """Refuse a change of round ``number`` that is not this owner's place filled soundly (BadInput)."""
