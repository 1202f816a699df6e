# SPDX-License-Identifier: Apache-2.0
"""The JSON file that a process of this room is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from koinon.errors import BadInput


def read_config(path: Path) -> dict[str, Any]:
    """Its fields; BadInput where it cannot be read or is no JSON object."""
    try:
        config = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not a readable configuration: {error}.", code="data.config") from None
    if not isinstance(config, dict):
        raise BadInput(f"{path} does not hold a JSON object.", code="data.config")
    return config
