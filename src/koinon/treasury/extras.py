# SPDX-License-Identifier: Apache-2.0
"""Packages that only some allocators need, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from koinon.errors import SetupError


def required(package: str, extra: str = "treasury") -> Any:
    """The imported package; SetupError, naming the extra that brings it, where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(
            f"The treasury needs {package} for this, which is not installed ({error}).",
            hint=f"pip install 'koinon[{extra}]'",
            code="treasury.no_extra",
        ) from error
