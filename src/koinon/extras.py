# SPDX-License-Identifier: Apache-2.0
"""Packages that only some rooms need, imported where they are used: ``pip install 'koinon[extra]'``."""

from __future__ import annotations

import importlib
from typing import Any

from koinon.errors import SetupError


def required(package: str, *, extra: str) -> Any:
    """The imported module; `SetupError`, naming the extra that brings it, where it is not installed.

    Parameters
    ----------
    package : str
        The module's full name, e.g. ``"scipy.sparse"``.
    extra : str
        The extra in ``pyproject.toml`` that installs it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(
            f"This needs {package}, which is not installed ({error}).",
            hint=f"pip install 'koinon[{extra}]'",
            code="setup.no_extra",
        ) from error
