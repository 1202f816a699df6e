# SPDX-License-Identifier: Apache-2.0
"""Whether the owner's environment is what a program's lock file asks for.

Nothing is ever installed for a program: it runs with packages that the owner chose, or not at all. A lock
file is pip's requirements.txt with one exact version and at least one hash a package. The hashes say which
artefact the author means by a version; what is installed keeps no hash of the artefact it came from, so only
names and versions are compared.

Sources: pip's *Requirements File Format* and *Secure installs*; PEP 503 for names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from koinon.errors import BadInput, SetupError

_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[A-Za-z0-9._, -]*\])?\s*"
    r"==\s*(?P<version>[A-Za-z0-9.!+_-]+)"
    r"(?P<hashes>(?:\s+--hash=(?:sha256|sha384|sha512):[0-9a-f]+)+)\s*"
)


def read_lock(path: Path) -> dict[str, str]:
    """Each package's version by its normal name.

    Raises
    ------
    BadInput
        No such file, a line that is not ``name==version --hash=…``, or two versions of one package.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"The program has no readable {path.name}.",
            hint="Add one with every package it imports, pinned and with hashes; it may be empty.",
            code="sandbox.no_lock",
        ) from error
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        wanted = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not wanted:
            continue
        match = _PINNED.fullmatch(wanted)
        if match is None or found.get(normal(match["name"]), match["version"]) != match["version"]:
            raise BadInput(
                f"{path.name}: '{wanted[:80]}' does not pin one version with its hashes.",
                hint="Each line must read name==version --hash=sha256:…; options and markers are not read.",
                code="sandbox.lock_line",
            )
        found[normal(match["name"])] = match["version"]
    return found


def check_lock(wanted: Mapping[str, str], installed: Mapping[str, str]) -> None:
    """Raises SetupError that lists every package that is missing or has another version."""
    faults = [
        f"{name} {version} ({'here ' + installed[name] if name in installed else 'missing'})"
        for name, version in sorted(wanted.items())
        if installed.get(name) != version
    ]
    if faults:
        raise SetupError(
            f"The program needs packages that this environment does not have: {', '.join(faults)}.",
            hint="Nothing is installed for a program. Ask its author for these, or install them here.",
            code="sandbox.packages",
        )


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
