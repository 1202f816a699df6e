# SPDX-License-Identifier: Apache-2.0
"""Flower's own environment: where it is, and what its programs are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.errors import SetupError
from koinon.learning.models.custom import TRUSTED

FOLDER: Final = ".venv-flower"
PROGRAMS: Final = ("flwr", "flower-superlink", "flower-supernode", "flower-superexec")
QUIET: Final[Mapping[str, str]] = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
    "OPENBLAS_NUM_THREADS": "1",  # as many processes as owners share the cores
    "PYTHONUNBUFFERED": "1",
}
"""No word to anybody outside, and no waiting for processes that are ready."""


@dataclass(frozen=True)
class FlowerEnvironment:
    """A virtual environment that holds Flower and Koinon.

    Attributes
    ----------
    folder : Path
        Of the environment.
    """

    folder: Path

    @classmethod
    def find(cls, folder: Path | None = None) -> FlowerEnvironment:
        """The one at ``folder``; by default ``.venv-flower`` beside the environment that runs now.

        Raises
        ------
        SetupError
            It is not there or lacks Flower, with how to make it.
        """
        found = cls(folder or Path(sys.prefix).parent / FOLDER)
        missing = [name for name in PROGRAMS if not found.program(name).is_file()]
        if missing:
            raise SetupError(
                f"Flower is not at {found.folder} ({', '.join(missing)} not found).",
                hint="In a clone of Koinon: tools/setup.sh flower. Elsewhere make an environment of its own, "
                "pip install 'koinon[flower]' into it, and name it by KOINON_FLOWER.",
                code="learning.no_flower",
            )
        return found

    def program(self, name: str) -> Path:
        """A program's path."""
        return self.folder / "bin" / name

    def variables(self, home: Path, **more: str) -> dict[str, str]:
        """The environment of a Flower process whose files go to ``home``; nothing of Koinon's settings."""
        kept = {
            name: text
            for name, text in os.environ.items()
            if name == TRUSTED or not name.startswith(("KOINON_", "FLWR_", "PYTHON"))
        }
        path = f"{self.folder / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, **QUIET, "FLWR_HOME": str(home), "PATH": path, **more}
