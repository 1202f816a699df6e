# SPDX-License-Identifier: Apache-2.0
"""What this machine has, what it lacks, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from koinon.chain.anvil import find_anvil
from koinon.errors import KoinonError, SetupError
from koinon.settings import Settings, unknown_variables
from koinon.terminal import Terminal

NEEDED_SPACE = 1_000_000_000
ANSWER_TIME_S = 20
EXTRAS = {"parquet": ("pyarrow", "read Parquet tables")}
GET_NODE = "Install Node.js 20 or newer with npm (Debian/Ubuntu: apt-get install nodejs npm)."


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found (``detail``) and, if not ``fine``, what to do (``hint``)."""

    name: str
    fine: bool
    detail: str
    hint: str = ""
    required: bool = True

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "fine": self.fine,
            "required": self.required,
            "detail": self.detail,
            "hint": "" if self.fine else self.hint,
        }


def examine(settings: Settings, environment: Mapping[str, str]) -> list[Check]:
    """Look at everything; nothing is changed and nothing is sent anywhere."""
    checks = [_python(), _data_directory(settings.home), _space(settings.home)]
    if settings.rpc_url is None:
        anvil = _anvil(settings)
        checks += [anvil, _program("node", not anvil.fine), _program("npm", not anvil.fine)]
    checks += [_port(settings.host, settings.port), _variables(environment)]
    checks += [_extra(name, module, use) for name, (module, use) in EXTRAS.items()]
    return [*checks, _flower(settings)]


def show(checks: list[Check], terminal: Terminal) -> None:
    marks = {(True, True): "✓", (True, False): "✓", (False, True): "✗", (False, False): "–"}
    terminal.table(
        "This machine",
        ["", "what", "found"],
        [(marks[check.fine, check.required], check.name, check.detail) for check in checks],
    )
    for check in checks:
        if not check.fine:
            color = "red" if check.required else "yellow"
            terminal.say(f"[{color}]{escape(check.name)}[/{color}]: {escape(check.hint)}")
    if all(check.fine or not check.required for check in checks):
        terminal.say("[green]Everything Koinon needs is here.[/green]")


def _python() -> Check:
    return Check(
        "python",
        (3, 11) <= sys.version_info[:2] < (3, 14),
        f"{platform.python_implementation()} {platform.python_version()}",
        "Use CPython 3.11, 3.12 or 3.13.",
    )


def _data_directory(home: Path) -> Check:
    if not home.exists():
        parent = next(folder for folder in home.parents if folder.exists())
        return Check(
            "data directory",
            os.access(parent, os.W_OK | os.X_OK),
            f"{home} (not made yet)",
            f"{parent} is not writable: set KOINON_HOME to a folder of yours.",
        )
    if not home.is_dir() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "data directory",
            False,
            f"{home} cannot be used",
            "Give it to this user, or set KOINON_HOME to another.",
        )
    private = stat.S_IMODE(home.stat().st_mode) & 0o077 == 0
    return Check(
        "data directory",
        private,
        str(home),
        f"Other users may look into it. Run: chmod 700 {home}",
        required=False,
    )


def _space(home: Path) -> Check:
    folder = home if home.exists() else next(parent for parent in home.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    return Check("disk space", free >= NEEDED_SPACE, f"{free / 1e9:.1f} GB free", "Free at least 1 GB there.")


def _anvil(settings: Settings) -> Check:
    try:
        path = find_anvil(settings.anvil)
    except KoinonError as error:
        return Check("anvil", False, error.message, error.hint)
    version = _version(path)
    return Check(
        "anvil",
        version is not None,
        f"{version or 'does not run'} ({path})",
        "Remove node_modules and run make setup again, or set KOINON_ANVIL to one that runs here.",
    )


def _program(name: str, required: bool) -> Check:
    path = shutil.which(name)
    version = _version(Path(path)) if path else None
    return Check(name, version is not None, version or "not found", GET_NODE, required)


def _version(path: Path) -> str | None:
    try:
        answer = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=ANSWER_TIME_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return (answer.stdout.strip().splitlines() or ["unknown version"])[0]


def _port(host: str, port: int) -> Check:
    name = f"port {port}"
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return Check(
            name,
            False,
            f"{host}:{port} cannot be used ({error.strerror})",
            "Something listens there already (Koinon itself?); set KOINON_PORT to another, or to 0 for any.",
            required=False,
        )
    return Check(name, True, f"{host}:{port} is free")


def _variables(environment: Mapping[str, str]) -> Check:
    strangers = unknown_variables(environment)
    return Check(
        "environment",
        not strangers,
        ", ".join(strangers) + " unknown" if strangers else "no misspelt KOINON_ variable",
        "Koinon does not know these names: correct or remove them.",
        required=False,
    )


def _flower(settings: Settings) -> Check:
    from koinon.learning.flower.environment import FlowerEnvironment  # noqa: PLC0415  brings numpy

    required = settings.flower is not None or settings.flower_superlink is not None
    try:
        folder = FlowerEnvironment.find(settings.flower).folder
    except SetupError as error:
        return Check("Flower", False, error.message, error.hint, required=required)
    return Check("Flower", True, str(folder), required=required)


def _extra(name: str, module: str, use: str) -> Check:
    present = importlib.util.find_spec(module) is not None
    return Check(
        f"koinon[{name}]",
        present,
        f"{module} is here" if present else f"{module} is missing",
        f"Only needed to {use}. Run: pip install 'koinon[{name}]'",
        required=False,
    )
