# SPDX-License-Identifier: Apache-2.0
"""Packages that only some kinds of models need, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from koinon.errors import SetupError


def required(package: str, extra: str) -> Any:
    """The imported package; SetupError, naming the extra that brings it, where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(
            f"This kind of model needs {package}, which is not installed ({error}).",
            hint=f"pip install 'koinon[{extra}]'",
            code="learning.no_extra",
        ) from error
