# SPDX-License-Identifier: Apache-2.0
"""Federated optimisation: what owners do with the common vector in a round, and what is made of their mean.

The *common vector* is what travels: the model's parameters, and behind them whatever a method needs everyone
to know (SCAFFOLD's control variate). Everything after the owners is elementwise IEEE 754 float64, rounded
once to float32, so that every peer reaches the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.models.base import Labels, Matrix, Model, Training, Vector
from koinon.learning.naming import build

Memory = Mapping[str, NDArray[np.float64]]
"""What a method keeps from round to round, by name: at the aggregator, or at an owner."""


class Method(Protocol):
    """A pure pair of functions; what they remember is handed in and out."""

    @property
    def needs_guidance(self) -> bool:
        """Whether local training must honour ``proximal`` or ``drift``."""

    def size(self, model: Model) -> int:
        """Length of the common vector."""

    def teach(
        self,
        model: Model,
        common: Vector,
        memory: Memory,
        *,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
    ) -> tuple[Vector, Memory]:
        """An owner's change of the common vector, and what it remembers."""

    def step(self, common: Vector, mean: Vector, memory: Memory) -> tuple[Vector, Memory]:
        """The next common vector, given the one the owners' mean change leads to."""


@dataclass(frozen=True)
class FedAvg:
    """The mean is the next model (McMahan et al. 2017)."""

    @property
    def needs_guidance(self) -> bool:
        return False

    def size(self, model: Model) -> int:
        return model.size

    def teach(
        self,
        model: Model,
        common: Vector,
        memory: Memory,
        *,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
    ) -> tuple[Vector, Memory]:
        return model.train(common, inputs, labels, training, seed) - common, memory

    def step(self, common: Vector, mean: Vector, memory: Memory) -> tuple[Vector, Memory]:
        del common
        return mean, memory


@dataclass(frozen=True)
class FedProx(FedAvg):
    """Owners are held near the common model by (mu/2)·|w - w0|² (Li et al. 2020)."""

    mu: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.mu <= 1_000:
            raise ValueError("mu must lie between 0 and 1,000")

    @property
    def needs_guidance(self) -> bool:
        return True

    def teach(
        self,
        model: Model,
        common: Vector,
        memory: Memory,
        *,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
    ) -> tuple[Vector, Memory]:
        held = replace(training, proximal=self.mu)
        return model.train(common, inputs, labels, held, seed) - common, memory


@dataclass(frozen=True)
class FedAdam(FedAvg):
    """Adam over the mean changes (Reddi et al. 2021, without bias correction)."""

    learning_rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        if not (
            0 < self.learning_rate <= 10 and 0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and self.tau > 0
        ):
            raise ValueError("learning rate, beta1, beta2 and tau are out of range")

    def step(self, common: Vector, mean: Vector, memory: Memory) -> tuple[Vector, Memory]:
        base = common.astype(np.float64)
        change = mean.astype(np.float64) - base
        zeros = np.zeros_like(change)
        first = memory.get("first", zeros) * self.beta1 + change * (1.0 - self.beta1)
        second = memory.get("second", zeros) * self.beta2 + change * change * (1.0 - self.beta2)
        stepped = base + self.learning_rate * first / (np.sqrt(second) + self.tau)
        return stepped.astype(np.float32), {"first": first, "second": second}


@dataclass(frozen=True)
class Outer(FedAvg):
    """Nesterov momentum over many local steps (DiLoCo, Douillard et al. 2023)."""

    learning_rate: float = 0.7
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not (0 < self.learning_rate <= 10 and 0 <= self.momentum < 1):
            raise ValueError("learning rate or momentum are out of range")

    def step(self, common: Vector, mean: Vector, memory: Memory) -> tuple[Vector, Memory]:
        base = common.astype(np.float64)
        change = mean.astype(np.float64) - base
        velocity = memory.get("velocity", np.zeros_like(change)) * self.momentum + change
        stepped = base + self.learning_rate * (velocity * self.momentum + change)
        return stepped.astype(np.float32), {"velocity": velocity}


@dataclass(frozen=True)
class Scaffold:
    """Control variates against owners' drift (Karimireddy et al. 2020, option II), for plain SGD.

    The common vector is (parameters, c). An owner trains with drift c - c_i and then remembers
    c_i - c + (w0 - w) / (steps · rate).
    """

    @property
    def needs_guidance(self) -> bool:
        return True

    def size(self, model: Model) -> int:
        return 2 * model.size

    def teach(
        self,
        model: Model,
        common: Vector,
        memory: Memory,
        *,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
    ) -> tuple[Vector, Memory]:
        start, control = common[: model.size], common[model.size :]
        own = memory.get("control", np.zeros(model.size)).astype(np.float32)
        trained = model.train(start, inputs, labels, training, seed, drift=control - own)
        length = np.float32(training.batches(inputs.shape[0]) * training.learning_rate)
        renewed = own - control + (start - trained) / length
        return np.concatenate([trained - start, renewed - own]), {"control": renewed.astype(np.float64)}

    def step(self, common: Vector, mean: Vector, memory: Memory) -> tuple[Vector, Memory]:
        del common
        return mean, memory


METHODS: Mapping[str, Callable[..., Method]] = {
    "fedavg": FedAvg,
    "fedprox": FedProx,
    "fedadam": FedAdam,
    "outer": Outer,
    "scaffold": Scaffold,
}


def method_named(name: str) -> Method:
    """The method a recipe names, like ``"fedprox:0.01"``; BadInput when there is none."""
    found: Method = build(name, METHODS, what="method", code="learning.method")
    return found


def check_method(method: Method, model: Model, training: Training) -> None:
    """Refuse a method the model or its local optimiser cannot follow (BadInput)."""
    if method.needs_guidance and not model.guided:
        raise BadInput(
            "This kind of model does not let the method guide its training.",
            hint="Use fedavg, fedadam or outer, or a perceptron or torch model.",
            code="learning.method",
        )
    if isinstance(method, Scaffold) and training.optimiser != "sgd":
        raise BadInput(
            "SCAFFOLD corrects plain SGD, not Adam.", hint='Set optimiser = "sgd".', code="learning.method"
        )
    if not model.averages and type(method) is not FedAvg:
        raise BadInput("Trees are united, not averaged; only fedavg does that.", code="learning.method")
