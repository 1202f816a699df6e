# SPDX-License-Identifier: Apache-2.0
"""An owner's side of a round: train on its own rows, and say what changed in the recipe's codec."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from koinon.errors import BadInput, IntegrityError
from koinon.learning.aggregation import Update
from koinon.learning.codecs import ErrorFeedback, codec_named
from koinon.learning.methods import Memory
from koinon.learning.models import TorchModel
from koinon.learning.models.base import Model, Vector
from koinon.learning.privacy.clipping import Units
from koinon.learning.privacy.dpsgd import PrivateGradients
from koinon.learning.privacy.noise import fresh_seed
from koinon.learning.privacy.noised_sum import NoisedSum
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table


class LocalLearner:
    """One owner's table, scaled once, and what its method and codec remember between rounds.

    Parameters
    ----------
    index : int
        The owner's place in the run: it decides the seeds.
    entropy : callable
        Gives the secret 32-byte seeds of private recipes' noise; simulations and tests give known ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        table: Table,
        scaling: Scaling,
        index: int,
        *,
        entropy: Callable[[], bytes] = fresh_seed,
    ) -> None:
        self.recipe, self.index, self._entropy = recipe, index, entropy
        self._model, self._method = recipe.model, recipe.federated
        self._sums = NoisedSum(recipe.privacy, recipe.rounds)
        self._inputs, self._labels = scaling.apply(table.features), table.labels
        self._taught = 0
        self._memory: Memory = {}
        self._feedback = ErrorFeedback(codec_named(recipe.codec), self._method.size(self._model))

    @property
    def rows(self) -> int:
        """How many the owner teaches with."""
        return len(self._labels)

    def teach(self, common: Vector, number: int) -> tuple[bytes, Update]:
        """Train for round ``number`` from the common vector: the encoded change, and as others read it.

        Raises
        ------
        BadInput
            The recipe has a private sum: nobody shall read a change.
        """
        if self.recipe.privacy.private_sum:
            raise BadInput(
                "A private sum's changes travel under masks only.",
                hint="Run this recipe with a coordinator: koinon learn run --recipe.",
                code="learning.private_mode",
            )
        change = self._change(common, number)
        if self.recipe.privacy.noise == "local":
            change = self._sums.noised_alone(change, self._entropy())
        payload, decoded = self._feedback.encode(change)
        return payload, Update(decoded, len(self._labels))

    def contribute(self, common: Vector, number: int) -> Units:
        """Train for round ``number`` of a private sum: the clipped change, before noise and masks."""
        return self._sums.own(self._change(common, number))

    def _change(self, common: Vector, number: int) -> Vector:
        if self.recipe.privacy.on and not self._taught < number <= self.recipe.rounds:
            raise IntegrityError(
                "The leader asks for more rounds than the recipe has.",
                hint="Each would spend privacy that nobody agreed to.",
                code="learning.round",
            )
        self._taught = number
        training = replace(self.recipe.training, slot=self.index, round=number)
        seed = self.recipe.local_seed(number, self.index)
        change, self._memory = self._method.teach(
            self._private_model(),
            common,
            self._memory,
            inputs=self._inputs,
            labels=self._labels,
            training=training,
            seed=seed,
        )
        return change

    def _private_model(self, *, noisy: bool = True) -> Model:
        """The model, with clipped and noisy steps where the recipe protects rows."""
        privacy, model = self.recipe.privacy, self._model
        if privacy.noise != "rows":
            return model
        if not isinstance(model, TorchModel):
            raise BadInput("Noise on rows works on torch models only.", code="learning.privacy_conflict")
        noise = privacy.row_multiplier(self.recipe.training, self.rows, self.recipe.rounds) if noisy else 0.0
        return replace(model, gradients=PrivateGradients(noise, privacy.row_clip_norm, seed=self._entropy()))

    def alone(self) -> Vector:
        """The parameters this owner reaches by itself, without noise, with as many passes as the run has."""
        recipe = self.recipe
        training = replace(recipe.alone, slot=self.index)
        return self._private_model(noisy=False).train(
            self._model.initial(recipe.seed),
            self._inputs,
            self._labels,
            training,
            recipe.local_seed(0, self.index),
        )

    def snapshot(self) -> bytes:
        """What is remembered, to go on after a crash."""
        file = io.BytesIO()
        memory: dict[str, Any] = {f"memory_{name}": values for name, values in self._memory.items()}
        np.savez(file, residual=self._feedback.residual, **memory)
        return file.getvalue()

    def restore(self, content: bytes) -> None:
        """Go on from a snapshot; BadInput when it is none of this recipe."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                residual = arrays["residual"].astype(np.float32)
                if residual.shape != self._feedback.residual.shape:
                    raise BadInput("The snapshot is of another model.", code="learning.snapshot")
                self._feedback.residual = residual
                self._memory = {
                    name.removeprefix("memory_"): arrays[name].astype(np.float64)
                    for name in arrays.files
                    if name.startswith("memory_")
                }
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput("This is not a snapshot of an owner.", code="learning.snapshot") from error
