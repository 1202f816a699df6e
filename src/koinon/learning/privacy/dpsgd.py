# SPDX-License-Identifier: Apache-2.0
"""DP-SGD for torch models, by Opacus: no single row of an owner's table decides much of what it sends.

Every mini-batch takes each row with the same chance by itself (Poisson sampling), each row's gradient is cut
to a length, and Gaussian noise is added to their sum (Abadi et al. 2016). Which rows are taken and which
noise is added is drawn from fresh entropy, never from the recipe's public seed.

Opacus draws its noise from a generator whose state can be found from what it gave (torch's Mersenne twister);
its "secure mode" needs a library that is no longer kept. So Opacus clips and adds up here, and the noise is
drawn as in that mode, but from AES-256 in counter mode: see `gaussian`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.learning.models.base import Training
from koinon.learning.privacy.noise import fresh_seed, gaussian
from koinon.learning.privacy.stream import Stream


def row_sampling(training: Training, rows: int) -> tuple[float, int]:
    """The chance of a row to be in a mini-batch, and how many mini-batches a round has."""
    return min(training.batch, rows) / rows, training.batches(rows)


class PrivateGradients:
    """Noisy sums of clipped gradients; put into a model by ``replace(model, gradients=…)``.

    Parameters
    ----------
    noise_multiplier : float
        Standard deviation of the noise in units of ``row_clip_norm``, 0 or more.
    row_clip_norm : float
        The longest gradient of a row, above 0.
    seed : bytes, optional
        32 bytes, for tests; fresh entropy by default, as privacy needs.
    """

    def __init__(self, noise_multiplier: float, row_clip_norm: float, *, seed: bytes | None = None) -> None:
        if noise_multiplier < 0 or not row_clip_norm > 0:
            raise BadInput(
                "DP-SGD needs noise of 0 or more and a row's clip norm above 0.",
                code="learning.privacy_parameters",
            )
        self.noise_multiplier, self.row_clip_norm = noise_multiplier, row_clip_norm
        secret = seed or fresh_seed()
        self._rows, self._noise = (
            Stream(secret),
            Stream(hashlib.sha256(b"koinon row noise 1" + secret).digest()),
        )
        self._module: Any = None
        self._sampled: Any = None
        self._optimiser: Any = None
        self._batch = 1

    def batches(self, rows: int, training: Training, seed: int) -> Iterator[NDArray[np.int64]]:
        """Row numbers of each mini-batch, which may be none; the public ``seed`` is not used."""
        del seed
        self._batch = min(training.batch, rows)
        for _ in range(training.batches(rows)):
            yield np.flatnonzero(self._rows.below(rows, rows) < self._batch)

    def fill(self, module: Any, loss: Any, inputs: Any, targets: Any) -> None:
        """Write the private gradient.

        Raises
        ------
        BadInput
            The module mixes rows (BatchNorm) or has layers that Opacus cannot look into.
        SetupError
            Opacus is not installed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hooks and deprecations inside the two libraries
            if module is not self._module:
                self._prepare(module)
            self._fill(loss, inputs, targets)

    def _fill(self, loss: Any, inputs: Any, targets: Any) -> None:
        self._optimiser.zero_grad()
        if inputs.shape[0]:
            loss(self._sampled(inputs), targets).backward()
        else:  # nobody was drawn: the gradient is noise
            for parameter in self._optimiser.params:
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
        self._optimiser.pre_step()
        self._add_noise()

    def _add_noise(self) -> None:
        torch, parameters = required("torch", extra="torch"), self._optimiser.params
        deviation = self.noise_multiplier * self.row_clip_norm / self._batch
        if deviation:
            drawn = gaussian(deviation, sum(each.numel() for each in parameters), self._noise)
            parts = torch.from_numpy(drawn).split([each.numel() for each in parameters])
            for parameter, part in zip(parameters, parts, strict=True):
                parameter.grad += part.reshape(parameter.shape).to(parameter.grad)

    def _prepare(self, module: Any) -> None:
        torch, opacus = required("torch", extra="torch"), required("opacus", extra="torch")
        problems = opacus.validators.ModuleValidator.validate(module, strict=False)
        if problems:
            raise BadInput(
                f"This torch module cannot be taught with private rows: {problems[0]}",
                hint="GroupNorm can stand for BatchNorm.",
                code="learning.private_module",
            )
        self._module, self._sampled = module, opacus.GradSampleModule(module, loss_reduction="mean")
        self._optimiser = opacus.optimizers.DPOptimizer(
            torch.optim.SGD([each for each in module.parameters() if each.requires_grad], lr=1.0),
            noise_multiplier=0.0,
            max_grad_norm=self.row_clip_norm,
            expected_batch_size=self._batch,
            loss_reduction="mean",
        )
