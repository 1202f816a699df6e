# SPDX-License-Identifier: Apache-2.0
"""A finished model as a file: recipe, scaling and parameters, ready to answer for raw rows.

The file is a NumPy ``.npz`` with the recipe's JSON. A perceptron is in the format ``koinon.mlp/1`` that
services serve (names, scaling and layers as plain arrays); any other kind in ``koinon.vector/1`` (names,
scaling and the flat vector, for whoever has this package).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.chain.keys import write_private
from koinon.errors import BadInput, NotFound
from koinon.learning.models import Perceptron, Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Features

LAYERS: Final = "koinon.mlp/1"
VECTOR: Final = "koinon.vector/1"


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Scores raw rows; columns as in ``recipe.columns``."""

    recipe: Recipe
    scaling: Scaling
    vector: Vector

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probability of class 1, shape (rows,), for two classes; else (rows, classes)."""
        return self.recipe.model.probabilities(self.vector, self.scaling.apply(features))

    def score(self, row: Mapping[str, float]) -> float:
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
        """The file's content."""
        model = self.recipe.model
        arrays: dict[str, Any] = {
            "features": np.array(self.recipe.columns),
            "signed_log": np.array(self.scaling.signed_log),
            "center": np.array(self.scaling.center),
            "scale": np.array(self.scaling.scale),
            "classes": np.array(self.recipe.class_names),
            "recipe": np.frombuffer(self.recipe.to_json(), dtype=np.uint8),
        }
        if isinstance(model, Perceptron):
            arrays |= {"format": np.array(LAYERS), "activation": np.array(model.activation)}
            for number, (weights, biases) in enumerate(model.layers(self.vector), 1):
                arrays |= {f"w{number}": weights, f"b{number}": biases}
        else:
            arrays |= {"format": np.array(VECTOR), "vector": self.vector}
        file = io.BytesIO()
        np.savez(file, **arrays)
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
                scaling = Scaling(
                    tuple(arrays["signed_log"].tolist()),
                    tuple(arrays["center"].tolist()),
                    tuple(arrays["scale"].tolist()),
                )
                model = recipe.model
                if isinstance(model, Perceptron):
                    parts = [
                        arrays[f"{kind}{number}"].astype(np.float32).ravel()
                        for number in range(1, len(model.hidden) + 2)
                        for kind in "wb"
                    ]
                else:
                    parts = [arrays["vector"].astype(np.float32).ravel()]
        except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise BadInput("This is not a model's file.", code="learning.model_file") from error
        vector = np.concatenate(parts)
        if vector.shape != (model.size,) or not np.isfinite(vector).all():
            raise BadInput("The file's parameters do not fit its recipe.", code="learning.model_file")
        return cls(recipe, scaling, vector)

    @classmethod
    def load(cls, path: Path) -> TrainedModel:
        """Read a file; NotFound when there is none."""
        try:
            return cls.from_bytes(path.read_bytes())
        except OSError as error:
            raise NotFound(f"There is no model at {path}.", code="learning.model_file") from error
