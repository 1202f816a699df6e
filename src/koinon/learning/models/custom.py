# SPDX-License-Identifier: Apache-2.0
"""Models whose code an owner brings: a recipe names them ``package.module:Class``.

A recipe comes from whoever opens a run, so naming code in it must not be enough to run that code. An owner
says which modules it has read and trusts in ``KOINON_MODEL_CODE`` (names separated by commas; a package
stands for everything in it). The source is part of the schema: owners with different code never mix.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput, SetupError
from koinon.learning.models.base import Labels, Matrix, Model, Training, Vector

TRUSTED: Final = "KOINON_MODEL_CODE"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_NEEDED = ("size", "schema", "guided", "averages", "initial", "probabilities", "train")


def load_code(name: str, environment: Mapping[str, str] | None = None) -> tuple[Any, bytes]:
    """What ``package.module:attribute`` names, and the sha256 of that module's source.

    Parameters
    ----------
    environment : mapping, optional
        Where ``KOINON_MODEL_CODE`` is read; the process's own by default.

    Raises
    ------
    BadInput
        No such name, or a module this machine does not trust.
    SetupError
        The module is trusted but not installed here, or fails when it is imported.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"'{name}' names no code.", hint="Write it as package.module:Class.", code="learning.model"
        )
    path, _, attribute = name.partition(":")
    variables = os.environ if environment is None else environment
    trusted = [part.strip() for part in variables.get(TRUSTED, "").split(",") if part.strip()]
    if not any(path == each or path.startswith(f"{each}.") for each in trusted):
        raise BadInput(
            f"The recipe runs code of '{path}', which this machine has not been told to trust.",
            hint=f"Read that module; if you agree with it, set {TRUSTED}={path}.",
            code="learning.untrusted_code",
        )
    module = _module(path)
    if not hasattr(module, attribute):
        raise BadInput(f"'{path}' has no '{attribute}'.", code="learning.model")
    return getattr(module, attribute), _source_digest(module)


def _module(path: str) -> ModuleType:
    try:
        return sys.modules.get(path) or importlib.import_module(path)
    except Exception as error:
        raise SetupError(
            f"The model's module '{path}' cannot be imported: {error}.",
            hint="Install it where this process runs, or add its folder to PYTHONPATH.",
            code="learning.model_code",
        ) from error


def _source_digest(module: ModuleType) -> bytes:
    file = getattr(module, "__file__", None)
    if file is None or not str(file).endswith(".py"):
        raise SetupError(
            f"'{module.__name__}' has no source file, so owners could not compare what they run.",
            hint="Name a module that is one Python file.",
            code="learning.model_code",
        )
    return hashlib.sha256(Path(file).read_bytes().replace(b"\r\n", b"\n")).digest()


@dataclass(frozen=True)
class OwnModel:
    """A user's model; everything but the schema is its own."""

    name: str
    inner: Model
    source: bytes

    @property
    def size(self) -> int:
        return int(self.inner.size)

    @property
    def schema(self) -> bytes:
        """Over the name, the source of its module and the model's own schema."""
        return hashlib.sha256(b"\x00".join((self.name.encode(), self.source, self.inner.schema))).digest()

    @property
    def guided(self) -> bool:
        return bool(self.inner.guided)

    @property
    def averages(self) -> bool:
        return bool(self.inner.averages)

    def initial(self, seed: int) -> Vector:
        return self._fitting(self.inner.initial(seed))

    def probabilities(self, vector: Vector, inputs: Matrix) -> NDArray[np.float64]:
        return np.asarray(self.inner.probabilities(vector, inputs), dtype=np.float64)

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
        return self._fitting(self.inner.train(vector, inputs, labels, training, seed, drift=drift))

    def _fitting(self, vector: Any) -> Vector:
        found = np.asarray(vector, dtype=np.float32)
        if found.shape != (self.size,):
            raise BadInput(
                f"{self.name} gave a vector of shape {found.shape}, not ({self.size},).",
                hint="It must be flat, and as long as the model's size.",
                code="learning.vector_size",
            )
        return found


def own_model(name: str, inputs: int, classes: int, **options: Any) -> OwnModel:
    """Build ``Class(inputs, classes, **options)`` of a trusted module.

    Raises
    ------
    BadInput
        Not trusted, not a class, or without the methods of `koinon.learning.models.base.Model`.
    SetupError
        Not installed here.
    """
    found, source = load_code(name)
    lacking = [each for each in _NEEDED if not hasattr(found, each)]
    if not isinstance(found, type) or lacking:
        raise BadInput(
            f"{name} is not a kind of model.",
            hint=f"It must be a class with {', '.join(lacking or _NEEDED)}; see koinon.learning.models.base.",
            code="learning.model",
        )
    return OwnModel(name, found(inputs, classes, **options), source)
