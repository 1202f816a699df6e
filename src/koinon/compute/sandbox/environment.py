# SPDX-License-Identifier: Apache-2.0
"""The interpreter that programs run with: what it needs to see of the host, and what is installed for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.compute.sandbox.lockfile import normal
from koinon.errors import SetupError

_QUESTION: Final = """
import json, sys
from importlib.metadata import distributions
print(json.dumps({
    "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix],
    "installed": {each.metadata["Name"]: each.version for each in distributions() if each.metadata["Name"]},
}))
"""


@dataclass(frozen=True)
class Environment:
    """One interpreter with its packages.

    Attributes
    ----------
    python : Path
        As it is started.
    prefixes : tuple of Path
        Directories it runs from that are not under ``/usr``.
    installed : mapping of str to str
        Each package's version by its normal name.
    """

    python: Path
    prefixes: tuple[Path, ...]
    installed: Mapping[str, str]


def look_at(python: Path, *, home: Path | None = None) -> Environment:
    """Ask an interpreter what it runs from and what it has.

    Raises
    ------
    SetupError
        It does not start, or it runs from a directory that holds the owner's home (``home``; this user's when
        not given), which a program must not see.
    """
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", _QUESTION], capture_output=True, check=True, timeout=60, text=True
        )
        told = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SetupError(
            f"The interpreter for other people's programs does not start: {python}.",
            hint="Name the Python of a virtual environment that works.",
            code="sandbox.interpreter",
        ) from error
    prefixes = _outside_usr([Path(each) for each in told["prefixes"]])
    homes = {Path(os.path.realpath(each)) for each in (home or Path.home(), Path("/etc"))}
    for prefix in prefixes:
        if any(each.is_relative_to(prefix) for each in homes):
            raise SetupError(
                f"The interpreter runs from {prefix}, which holds files that a program must not see.",
                hint="Use the Python of a virtual environment of its own, or one under /usr.",
                code="sandbox.interpreter_place",
            )
    return Environment(
        python, prefixes, {normal(name): version for name, version in told["installed"].items()}
    )


def _outside_usr(prefixes: list[Path]) -> tuple[Path, ...]:
    """Each directory once, under the name it has and the one it really has; none within another."""
    named = {each for prefix in prefixes for each in (prefix, Path(os.path.realpath(prefix)))}
    return tuple(
        sorted(
            each
            for each in named
            if not each.is_relative_to("/usr")
            and not any(each != other and each.is_relative_to(other) for other in named)
        )
    )
