# SPDX-License-Identifier: Apache-2.0
"""Finding, fetching and starting anvil, the program behind the development chain."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from koinon.chain.child import bound
from koinon.chain.rpc import Rpc
from koinon.errors import NodeUnavailable, SetupError

VERSION: Final = "1.7.1"
_INSTALL_TIME_S: Final = 300


def find_anvil(configured: Path | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """The anvil executable: the configured one, ``KOINON_ANVIL``, one on the PATH, one in ``node_modules`` of
    this folder or of the repository or their parents, or the one `install_anvil` fetched.

    Raises
    ------
    SetupError
        There is none, or the configured one is not executable.
    """
    variables = os.environ if environment is None else environment
    named = configured or (Path(variables["KOINON_ANVIL"]) if variables.get("KOINON_ANVIL") else None)
    if named is not None:
        if _executable(named):
            return named
        raise SetupError(
            f"{named} is not an executable anvil.",
            hint="Correct the setting `anvil` or the variable KOINON_ANVIL, or leave them out.",
            code="setup.anvil",
        )
    on_path = shutil.which("anvil", path=variables.get("PATH"))
    if on_path:
        return Path(on_path)
    for folder in _node_folders(variables):
        for candidate in _in_node_modules(folder):
            if _executable(candidate):
                return candidate
    raise SetupError(
        "anvil, the development chain, is not installed.",
        hint="Run `make setup` in the repository, or install the npm package @foundry-rs/anvil, "
        "or set KOINON_ANVIL.",
        code="setup.anvil",
    )


def install_anvil(environment: Mapping[str, str] | None = None) -> Path:
    """Fetch anvil with npm into the user's cache and return its path. No package script is run.

    Raises
    ------
    SetupError
        npm is missing or fails, or there is no anvil for this machine.
    """
    variables = os.environ if environment is None else environment
    npm = shutil.which("npm", path=variables.get("PATH"))
    if npm is None:
        raise SetupError(
            "npm is missing, and anvil comes from npm.",
            hint="Install Node.js (https://nodejs.org), or set KOINON_ANVIL to an anvil of your own.",
            code="setup.npm",
        )
    folder = cache_folder(variables)
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        npm,
        "install",
        "--prefix",
        str(folder),
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-save",
    ]
    try:
        done = subprocess.run(
            [*command, _package()],
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIME_S,
            check=False,
            env=dict(variables),
        )
    except subprocess.TimeoutExpired:
        raise _not_installed("npm did not finish in five minutes.") from None
    if done.returncode != 0:
        raise _not_installed((done.stderr.strip().splitlines() or ["npm failed."])[0])
    for candidate in _in_node_modules(folder):
        if _executable(candidate):
            return candidate
    raise _not_installed("npm brought no executable for this machine.")


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where `install_anvil` puts it: ``$XDG_CACHE_HOME/koinon/anvil/<version>``."""
    given = environment.get("XDG_CACHE_HOME", "")
    base = (
        Path(given)
        if given and Path(given).is_absolute()
        else Path(environment.get("HOME", "~")).expanduser() / ".cache"
    )
    return base / "koinon" / "anvil" / VERSION


def spawn(
    executable: Path, arguments: Sequence[str], log: IO[bytes], *, home: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start anvil so that it ends when the calling thread ends (on Linux), out of reach of Ctrl-C.

    What it keeps of other chains, by their number alone, goes to ``home``, where one is given.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ANVIL_")}
    return subprocess.Popen(
        bound([str(executable), *arguments]),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env=variables if home is None else variables | {"HOME": str(home)},
    )


def await_answer(rpc: Rpc, child: subprocess.Popen[bytes], log: Path, patience_s: float) -> None:
    """Wait until a started anvil answers; `NodeUnavailable`, with its last words, when it does not."""
    deadline, pause = time.monotonic() + patience_s, 0.01
    while True:
        if child.poll() is not None:
            raise died(log)
        try:
            rpc.call("eth_chainId")
        except NodeUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(pause)
            pause = min(0.2, 2 * pause)
        else:
            return


def died(log: Path) -> NodeUnavailable:
    """The error for an anvil that ended by itself."""
    lines = log.read_text(errors="replace").strip().splitlines()
    why = f" ({lines[-1][:200]})" if lines else ""
    return NodeUnavailable(
        f"The development chain ended as soon as it was started{why}.",
        hint=f"Look at {log}.",
        code="chain.devnet_died",
    )


def _package() -> str:
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    processor = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if system is None or processor is None:
        raise SetupError(
            f"There is no anvil for {platform.system()} on {platform.machine()}.",
            hint="Use a node of your own: set KOINON_RPC_URL.",
            code="setup.anvil",
        )
    return f"@foundry-rs/anvil-{system}-{processor}@{VERSION}"


def _node_folders(variables: Mapping[str, str]) -> Iterator[Path]:
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        yield from (start, *start.parents)
    yield cache_folder(variables)


def _in_node_modules(folder: Path) -> Iterator[Path]:
    modules = folder / "node_modules"
    yield from sorted(modules.glob("@foundry-rs/anvil-*/bin/anvil"))
    yield modules / ".bin" / "anvil"


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _not_installed(why: str) -> SetupError:
    return SetupError(
        f"anvil could not be installed: {why}",
        hint="Check the connection and npm's settings, or set KOINON_ANVIL to an anvil of your own.",
        code="setup.anvil",
    )
