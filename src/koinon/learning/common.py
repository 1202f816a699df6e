# SPDX-License-Identifier: Apache-2.0
"""The common model of a run, from round to round: the same bits for everyone who has the same updates.

Leader, peers, auditors and simulations all advance this one state machine.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.aggregation import Update, check_update, rule_named
from koinon.learning.codecs import ErrorFeedback, codec_named
from koinon.learning.methods import Memory
from koinon.learning.models.base import Slotted, Vector
from koinon.learning.recipe import Recipe


class CommonModel:
    """What all owners start the next round from.

    Attributes
    ----------
    vector : float32 array
        The common vector (see `koinon.learning.methods`): the model's parameters and what the method adds.
    change : bytes
        The last step as the recipe's ``down_codec`` says it: whoever had the vector before has this one after
        adding it. Empty before the first round.
    round : int
        How many rounds it is made of.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.model = recipe, recipe.model
        self._method, self._rule = recipe.federated, rule_named(recipe.aggregation)
        self._codec = codec_named(recipe.down_codec)
        size = self._method.size(self.model)
        self.vector: Vector = np.zeros(size, dtype=np.float32)
        self.vector[: self.model.size] = self.model.initial(recipe.seed)
        self.change, self.round = b"", 0
        self._memory: Memory = {}
        self._feedback = ErrorFeedback(self._codec, size)

    @property
    def parameters(self) -> Vector:
        """The model's own part of the common vector."""
        return self.vector[: self.model.size]

    @property
    def digest(self) -> bytes:
        """sha256 of the common vector's little-endian float32: what is signed and recorded."""
        return vector_digest(self.vector)

    def check(self, index: int, update: Update) -> None:
        """Refuse an update of owner ``index`` that cannot be part of this round (BadInput)."""
        if isinstance(self.model, Slotted):
            self.model.check_change(update.change, index, self.round + 1, update.examples)
        elif self.model.averages:
            check_update(update, self.vector.shape)
        elif update.change.shape != self.vector.shape or not np.isfinite(update.change).all():
            raise BadInput("An update is not of this model, or not finite.", code="learning.vector_size")

    def aggregate(self, updates: Mapping[int, Update]) -> Vector:
        """Where the updates' mean (or whatever the rule takes for it) leads; changes nothing."""
        return self._rule.aggregate(self.vector, list(self.marked(updates).values()))

    def advance(self, updates: Mapping[int, Update]) -> Vector:
        """Close a round with the updates of these owners, by index; the new common vector."""
        return self._reach(self.aggregate(updates))

    def advance_by(self, mean: NDArray[np.float64]) -> Vector:
        """Close a round of which only the owners' mean change is known; the new common vector."""
        return self._reach((self.vector.astype(np.float64) + mean).astype(np.float32))

    def _reach(self, aggregated: Vector) -> Vector:
        stepped, self._memory = self._method.step(self.vector, aggregated, self._memory)
        if self._codec.lossless:
            self.change, self.vector = b"", stepped
        else:
            self.change, decoded = self._feedback.encode(stepped - self.vector)
            self.vector = self.vector + decoded
        self.round += 1
        return self.vector

    def follow(self, other: CommonModel) -> None:
        """Stand where another of the same recipe stands, as by its snapshot."""
        self.vector, self.change, self.round = other.vector.astype(np.float32), other.change, other.round
        self._feedback.residual = other._feedback.residual.astype(np.float32)
        self._memory = {name: values.astype(np.float64) for name, values in other._memory.items()}

    def snapshot(self) -> bytes:
        """Everything, to go on from later."""
        file = io.BytesIO()
        memory: dict[str, Any] = {f"memory_{name}": values for name, values in self._memory.items()}
        np.savez(
            file,
            vector=self.vector,
            residual=self._feedback.residual,
            round=np.array(self.round),
            change=np.frombuffer(self.change, dtype=np.uint8),
            **memory,
        )
        return file.getvalue()

    def restore(self, content: bytes) -> None:
        """Go on from a snapshot of the same recipe; BadInput when it is none."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                vector = arrays["vector"].astype(np.float32)
                if vector.shape != self.vector.shape or arrays["residual"].shape != vector.shape:
                    raise BadInput("The snapshot is of another model.", code="learning.snapshot")
                self.vector, self._feedback.residual = vector, arrays["residual"].astype(np.float32)
                self.round, self.change = int(arrays["round"]), arrays["change"].tobytes()
                self._memory = {
                    name.removeprefix("memory_"): arrays[name].astype(np.float64)
                    for name in arrays.files
                    if name.startswith("memory_")
                }
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput("This is not a snapshot of a run.", code="learning.snapshot") from error

    def marked(self, updates: Mapping[int, Update]) -> dict[int, Update]:
        """The updates in their owners' order, the yardstick's marked as such."""
        root = self.recipe.root_owner
        return {
            index: replace(update, root=True) if index == root else update
            for index, update in sorted(updates.items())
        }


def vector_digest(vector: Vector) -> bytes:
    """sha256 of a vector's little-endian float32."""
    return hashlib.sha256(vector.astype("<f4", copy=False).tobytes()).digest()
