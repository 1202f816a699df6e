# SPDX-License-Identifier: Apache-2.0
"""Kinds of models, by the name recipes call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from koinon.errors import BadInput
from koinon.learning.models.base import Labels, Matrix, Model, Training, Vector
from koinon.learning.models.custom import own_model
from koinon.learning.models.linear import LinearModel
from koinon.learning.models.perceptron import Perceptron
from koinon.learning.models.torch_module import TorchModel
from koinon.learning.models.trees import Trees

__all__ = [
    "MODELS",
    "Labels",
    "LinearModel",
    "Matrix",
    "Model",
    "ModelSpec",
    "Perceptron",
    "TorchModel",
    "Training",
    "Trees",
    "Vector",
    "model_of",
]


def _perceptron(
    inputs: int, classes: int, *, hidden: tuple[int, ...] = (16,), activation: str = "relu"
) -> Model:
    return Perceptron(inputs, tuple(hidden), classes, activation)


def _sklearn(inputs: int, classes: int, *, estimator: str = "LogisticRegression", **options: Any) -> Model:
    return LinearModel(inputs, classes, estimator, options)


def _torch(inputs: int, classes: int, *, module: str = "mlp", **options: Any) -> Model:
    return TorchModel(inputs, classes, module, options)


MODELS: Final[Mapping[str, Callable[..., Model]]] = MappingProxyType(
    {"perceptron": _perceptron, "sklearn": _sklearn, "torch": _torch, "trees": Trees}
)
"""Name to a factory ``(inputs, classes, **options) -> Model``; other kinds are ``package.module:Class``."""


@dataclass(frozen=True)
class ModelSpec:
    """A kind of model and its options, as a recipe names them (``{kind = "perceptron", hidden = [16]}``)."""

    kind: str = "perceptron"
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Flat, for JSON and TOML."""
        return {"kind": self.kind, **self.options}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ModelSpec:
        """Read what :meth:`to_dict` wrote; lists become tuples."""
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        kind = options.pop("kind", "perceptron")
        if not isinstance(kind, str):
            raise BadInput("A model's kind is a name.", code="learning.model")
        return cls(kind, options)


def model_of(spec: ModelSpec, inputs: int, classes: int) -> Model:
    """Build the model a recipe names.

    Raises
    ------
    BadInput
        Unknown kind, options it does not take, or code this machine does not trust.
    SetupError
        The user's own code is not installed here.
    """
    if spec.kind not in MODELS and ":" not in spec.kind:
        raise BadInput(
            f"There is no kind of model '{spec.kind}'.",
            hint=f"Known are {', '.join(MODELS)}, and your own as package.module:Class.",
            code="learning.model",
        )
    try:
        if ":" in spec.kind:
            return own_model(spec.kind, inputs, classes, **spec.options)
        return MODELS[spec.kind](inputs, classes, **spec.options)
    except TypeError as error:
        raise BadInput(
            f"A {spec.kind} does not take these options.", hint=str(error), code="learning.model"
        ) from error
