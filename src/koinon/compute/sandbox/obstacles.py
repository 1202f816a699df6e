# SPDX-License-Identifier: Apache-2.0
"""Why a host cannot isolate, in words its owner can act on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from koinon.errors import SetupError


def find_bubblewrap(name: str) -> str:
    """The path of bubblewrap. Raises SetupError where this is not Linux or there is none."""
    if sys.platform != "linux":
        raise SetupError(
            f"Other people's programs run on Linux only, and this is {sys.platform}.",
            hint="Keep the data on a Linux machine, or sell downloads only.",
            code="sandbox.not_linux",
        )
    found = shutil.which(name)
    if found is None:
        raise SetupError(
            "The sandbox for other people's programs needs bubblewrap, which was not found.",
            hint="Install it (Debian/Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap).",
            code="sandbox.no_bubblewrap",
        )
    return found


def cannot_isolate(said: str, settings: Path = Path("/proc/sys")) -> SetupError:
    """The error for a trial run that failed; ``said`` is what bubblewrap said of it."""
    first = next((line for line in said.splitlines() if line.strip()), "it said nothing")
    return SetupError(
        f"This host cannot isolate other people's programs: {first[:200]}",
        hint=_hint(settings),
        code="sandbox.cannot_isolate",
    )


def _hint(settings: Path) -> str:
    for name, bad, hint in (
        (
            "kernel/unprivileged_userns_clone",
            "0",
            "Namespaces are off: sysctl kernel.unprivileged_userns_clone=1",
        ),
        ("user/max_user_namespaces", "0", "Namespaces are off: sysctl user.max_user_namespaces=15000"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "AppArmor keeps namespaces from programs without a profile: give bubblewrap one "
            "(Ubuntu: the package apparmor-profiles has bwrap-userns-restrict).",
        ),
    ):
        try:
            if (settings / name).read_text().strip() == bad:
                return hint
        except OSError:
            continue
    return "In a container, allow user namespaces and a new /proc; else run Koinon on the host itself."
