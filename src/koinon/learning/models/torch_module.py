# SPDX-License-Identifier: Apache-2.0
"""PyTorch modules: parameters and statistics as the flat vector, a training loop that methods can guide.

Vector layout: parameters in the order of ``named_parameters()``, then floating-point buffers of the state in
their order. BatchNorm's running mean and variance thus travel and are averaged like parameters (McMahan et
al.'s averaging applied to the whole state); gradients, drift and the proximal term touch parameters only.
Integer buffers (BatchNorm's counter) stay as the module was made.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.learning.models.base import Labels, Matrix, Training, Vector
from koinon.learning.models.custom import load_code
from koinon.learning.models.descent import mini_batches
from koinon.learning.models.outputs import probabilities_of


class Gradients(Protocol):
    """How mini-batches are drawn and what gradient each gives: the place where DP-SGD is put in."""

    def batches(self, rows: int, training: Training, seed: int) -> Iterator[NDArray[np.int64]]:
        """Row numbers of each mini-batch."""

    def fill(self, module: Any, loss: Any, inputs: Any, targets: Any) -> None:
        """Write every trainable parameter's ``.grad``; ``loss(outputs, targets)`` is the batch's mean."""


class PlainGradients:
    """Shuffled passes and the mean loss's own gradient."""

    def batches(self, rows: int, training: Training, seed: int) -> Iterator[NDArray[np.int64]]:
        return mini_batches(rows, training, seed)

    def fill(self, module: Any, loss: Any, inputs: Any, targets: Any) -> None:
        module.zero_grad(set_to_none=True)
        loss(module(inputs), targets).backward()


@dataclass(frozen=True)
class TorchModel:
    """A ``torch.nn.Module`` with logits of shape (rows, classes), or (rows, 1) for two classes.

    Parameters
    ----------
    inputs, classes : int
    module : str
        ``mlp`` or ``cnn`` (see `BUILT_IN`), or ``package.module:factory``: a callable
        ``(inputs, classes, **options) -> Module`` of a module the owner trusts.
    options : mapping
        Keyword arguments of the factory.
    gradients : Gradients
        Exchanged for private training by ``dataclasses.replace(model, gradients=…)``.
    """

    inputs: int
    classes: int
    module: str = "mlp"
    options: Mapping[str, Any] = field(default_factory=dict)
    gradients: Gradients = field(default_factory=PlainGradients, compare=False)

    @cached_property
    def _factory(self) -> tuple[Any, bytes]:
        if self.module in BUILT_IN:
            return BUILT_IN[self.module], b""
        if ":" not in self.module:
            raise BadInput(
                f"There is no torch module '{self.module}'.",
                hint=f"Use {', '.join(BUILT_IN)}, or name your own as package.module:factory.",
                code="learning.model",
            )
        return load_code(self.module)

    @cached_property
    def _template(self) -> Any:
        return self._made(0)

    def _made(self, seed: int) -> Any:
        torch = required("torch", extra="torch")
        try:
            with alone(torch, seed):
                found = self._factory[0](self.inputs, self.classes, **self.options)
        except TypeError as error:
            raise BadInput(
                f"The torch module {self.module} does not take these options.",
                hint=str(error),
                code="learning.model",
            ) from error
        if not isinstance(found, torch.nn.Module):
            raise BadInput(f"{self.module} made no torch.nn.Module.", code="learning.model")
        return found

    @cached_property
    def _layout(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return tuple((name, tuple(values.shape)) for name, values in _state(self._template).items())

    @cached_property
    def size(self) -> int:
        return sum(int(np.prod(shape)) for _, shape in self._layout)

    @property
    def guided(self) -> bool:
        return True

    @property
    def averages(self) -> bool:
        return True

    @cached_property
    def schema(self) -> bytes:
        """Over the module's name and options, its source where it is the user's, and all names and shapes."""
        options = {
            name: list(value) if isinstance(value, tuple) else value for name, value in self.options.items()
        }
        described = json.dumps(
            ["torch", self.module, options, self.inputs, self.classes, self._layout], sort_keys=True
        )
        return hashlib.sha256(self._factory[1] + described.encode()).digest()

    def initial(self, seed: int) -> Vector:
        """What the module is made with when torch's generator starts from the seed."""
        return _read(self._made(seed % 2**63))

    def probabilities(self, vector: Vector, inputs: Matrix) -> NDArray[np.float64]:
        torch = required("torch", extra="torch")
        module = self._with(vector)
        module.eval()
        with alone(torch, 0), torch.no_grad():
            logits = module(torch.tensor(inputs, dtype=torch.float32))
        scores = logits.double().numpy().reshape(inputs.shape[0], -1)
        self._check(scores.shape[1])
        return probabilities_of(scores, self.classes)

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
        torch = required("torch", extra="torch")
        module = self._with(vector)
        module.train()
        parameters = [each for each in module.parameters() if each.requires_grad]
        kind = torch.optim.SGD if training.optimiser == "sgd" else torch.optim.Adam
        optimiser = kind(parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
        guidance = self._guidance(torch, module, vector, training, drift)
        rows, targets = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
        single = not any("BatchNorm" in type(part).__name__ for part in module.modules())
        with alone(torch, seed):
            for chosen in self.gradients.batches(inputs.shape[0], training, seed):
                if chosen.shape[0] < 2 and not single:
                    continue  # one row has no variance to normalise by
                batch = torch.from_numpy(chosen)
                self.gradients.fill(module, self._loss, rows[batch], targets[batch])
                for parameter, start, added in guidance:
                    if training.proximal:
                        parameter.grad.add_(parameter.detach() - start, alpha=training.proximal)
                    if added is not None:
                        parameter.grad.add_(added)
                optimiser.step()
        return _read(module)

    def _loss(self, outputs: Any, targets: Any) -> Any:
        functional = required("torch.nn.functional", extra="torch")
        logits = outputs.reshape(outputs.shape[0], -1)
        self._check(logits.shape[1])
        if logits.shape[1] == 1:
            return functional.binary_cross_entropy_with_logits(logits[:, 0], targets.to(logits.dtype))
        return functional.cross_entropy(logits, targets)

    def _check(self, columns: int) -> None:
        if columns != self.classes and not (columns == 1 and self.classes == 2):
            raise BadInput(
                f"{self.module} gives {columns} outputs for {self.classes} classes.", code="learning.model"
            )

    def _with(self, vector: Vector) -> Any:
        if vector.shape != (self.size,):
            raise BadInput(
                f"The model has {self.size} parameters, the vector {vector.shape}.",
                code="learning.vector_size",
            )
        torch, module, start = required("torch", extra="torch"), copy.deepcopy(self._template), 0
        with torch.no_grad():
            for values in _state(module).values():
                piece = torch.tensor(vector[start : start + values.numel()])
                values.copy_(piece.reshape(values.shape))
                start += values.numel()
        return module

    def _guidance(
        self, torch: Any, module: Any, vector: Vector, training: Training, drift: Vector | None
    ) -> list[tuple[Any, Any, Any]]:
        """Trainable parameters, where each starts, and what is added to its gradient."""
        if drift is None and not training.proximal:
            return []
        found, start = [], 0
        for parameter in module.parameters():
            end = start + parameter.numel()
            if parameter.requires_grad:
                origin = torch.tensor(vector[start:end]).reshape(parameter.shape)
                added = None if drift is None else torch.tensor(drift[start:end]).reshape(parameter.shape)
                found.append((parameter, origin, added))
            start = end
        return found


@contextmanager
def alone(torch: Any, seed: int) -> Iterator[None]:
    """One thread and a generator of its own, so that sums and draws are the same everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed % 2**63)
            yield
    finally:
        torch.set_num_threads(threads)


def _state(module: Any) -> dict[str, Any]:
    """Parameters, then floating-point buffers that are part of the saved state."""
    kept = module.state_dict(keep_vars=True)
    found = dict(module.named_parameters())
    for name, values in module.named_buffers():
        if name in kept and values.is_floating_point():
            found[name] = values
    return found


def _read(module: Any) -> Vector:
    parts = [values.detach().float().numpy().ravel() for values in _state(module).values()]
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])


def _mlp(inputs: int, classes: int, *, hidden: tuple[int, ...] = (64,), dropout: float = 0.0) -> Any:
    """Linear layers with ReLU between them."""
    nn = required("torch.nn", extra="torch")
    widths, layers = (inputs, *hidden), []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1 if classes == 2 else classes))


def _cnn(inputs: int, classes: int, *, channels: tuple[int, ...] = (16, 32), hidden: int = 64) -> Any:
    """Square grey images: 3x3 convolutions, each halving the side, then two linear layers."""
    nn = required("torch.nn", extra="torch")
    side = round(inputs**0.5)
    if side * side != inputs or side >> len(channels) < 1:
        raise BadInput(
            f"{inputs} columns are no square image that {len(channels)} layers can halve.",
            hint="Use the module mlp, or fewer channels.",
            code="learning.model",
        )
    layers: list[Any] = [nn.Unflatten(1, (1, side, side))]
    for before, after in zip((1, *channels), channels, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side //= 2
    layers += [nn.Flatten(), nn.Linear(channels[-1] * side * side, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, 1 if classes == 2 else classes))


BUILT_IN: Mapping[str, Any] = {"mlp": _mlp, "cnn": _cnn}
