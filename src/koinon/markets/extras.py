# SPDX-License-Identifier: Apache-2.0
"""Packages that only some of the market's tools need, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from koinon.errors import SetupError


def required(package: str) -> Any:
    """The imported package; SetupError, naming the extra that brings it, where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(
            f"Markets need {package} for this, which is not installed ({error}).",
            hint="pip install 'koinon[markets]'",
            code="markets.no_extra",
        ) from error
