# SPDX-License-Identifier: Apache-2.0
"""A finished model as a file: recipe, scaling and parameters, ready to answer for raw rows."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from koinon.chain.keys import write_private
from koinon.errors import BadInput, NotFound
from koinon.learning.model import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.tables import Features


@dataclass(frozen=True)
class TrainedModel:
    """Scores raw rows; columns as in ``recipe.columns``."""

    recipe: Recipe
    scaling: Scaling
    vector: Vector

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probability of class 1, shape (rows,), for two classes; else (rows, classes)."""
        return self.recipe.model.probabilities(self.vector, self.scaling.apply(features))

    def score(self, row: dict[str, float]) -> float:
        """Probability of class 1 for one row given by column name.

        Raises
        ------
        BadInput
            A column is missing, unknown or no finite number; or the model has more than two classes.
        """
        if self.recipe.classes != 2:
            raise BadInput("This model names classes; use predict.", code="learning.classes")
        columns = self.recipe.columns
        if set(row) != set(columns):
            wrong = sorted(set(row) ^ set(columns))
            raise BadInput(
                f"A row needs exactly the model's columns; see {', '.join(wrong[:8])}.", code="learning.row"
            )
        try:
            values = np.array([[float(row[column]) for column in columns]], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise BadInput("A row holds something that is not a number.", code="learning.row") from error
        if not np.isfinite(values).all():
            raise BadInput("A row holds a number that is not finite.", code="learning.row")
        return float(self.predict(values)[0])

    def to_bytes(self) -> bytes:
        """The file's content (npz: ``recipe``, ``scaling`` as JSON bytes, ``vector``)."""
        file = io.BytesIO()
        np.savez(
            file,
            recipe=np.frombuffer(self.recipe.to_json(), dtype=np.uint8),
            scaling=np.frombuffer(orjson.dumps(self.scaling.to_dict()), dtype=np.uint8),
            vector=self.vector,
        )
        return file.getvalue()

    def save(self, path: Path) -> None:
        """Write in one step."""
        write_private(path, self.to_bytes())

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainedModel:
        """Read what :meth:`to_bytes` wrote; BadInput when it is not a model."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                recipe = Recipe.from_json(arrays["recipe"].tobytes())
                scaling = Scaling.from_dict(orjson.loads(arrays["scaling"].tobytes()))
                vector = arrays["vector"].astype(np.float32)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput("This is not a model's file.", code="learning.model_file") from error
        if vector.shape != (recipe.model.size,) or not np.isfinite(vector).all():
            raise BadInput("The file's parameters do not fit its recipe.", code="learning.model_file")
        return cls(recipe, scaling, vector)

    @classmethod
    def load(cls, path: Path) -> TrainedModel:
        """Read a file; NotFound when there is none."""
        try:
            return cls.from_bytes(path.read_bytes())
        except OSError as error:
            raise NotFound(f"There is no model at {path}.", code="learning.model_file") from error
