# SPDX-License-Identifier: Apache-2.0
"""Everything that can be set, read once and handed on.

Three places, the later winning: built-in defaults, ``koinon.toml`` in the data directory, and ``KOINON_*``
variables of the environment. Nothing here is global: whoever starts Koinon calls `Settings.load` and passes
the result on.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from koinon.errors import BadInput, SetupError

FILE_NAME = "koinon.toml"
PREFIX = "KOINON_"
LANGUAGES = ("en", "zh-Hant")


@dataclass(frozen=True)
class Settings:
    """What this process was told.

    Parameters
    ----------
    home : Path
        Data directory: keys, blocks, the development chain. Made with owner-only permissions at first use.
    network : Path
        File that names the network and its contracts; ``network.json`` in the data directory by default.
    rpc_url : str or None
        Any EVM node's JSON-RPC address. Without one, Koinon runs a development chain of its own.
    anvil : Path or None
        The anvil executable to use for the development chain; found by itself when not given.
    language : str
        ``en`` or ``zh-Hant``.
    host, port : str, int
        Where this machine's services listen; port 0 takes any free one.
    data_port : int
        Where this machine's datasets are computed on; 0 takes any free one.
    agents_port : int
        Where this machine's agents are reached; 0 takes any free one.
    console_port : int
        Where this machine's pages listen; 0 takes any free one.
    console_url : str or None
        How browsers elsewhere reach the pages, such as through a proxy that brings https.
    index_url : str or None
        A ``postgresql://`` address for the index of events; without one it is a file in the data directory.
    kubo_url : str or None
        A Kubo node's RPC (IPFS) that keeps blocks; without one they are in the data directory only.
    dask_scheduler : str or None
        ``tcp://`` or ``tls://`` address of a Dask scheduler that computes; without one, processes here do.
    flower : Path or None
        Flower's own environment; ``.venv-flower`` beside Koinon's when not given.
    flower_superlink : str or None
        ``host:port`` of a Flower SuperLink that runs already; without one, a run on Flower starts its own.
    flower_certificates : Path or None
        Certificates (PEM) that the SuperLink's must descend from; the system's when not given.
    workers : int
        Processes that compute; 0 is one for each core.
    tasks_per_worker : int
        A worker is replaced after so many tasks; 0 is never.
    gateway_url : str or None
        How buyers reach this machine's gateway, where that is not ``host`` and ``port``.
    peers : tuple of str
        Gateways to ask for registration files that are not here, beside those the network names.
    spending_cap, spending_cap_eth : str or None
        Where money is real: the most coins, and the most ETH, that this data directory's keys may spend.
    """

    home: Path
    network: Path
    rpc_url: str | None = None
    anvil: Path | None = None
    language: str = "en"
    host: str = "127.0.0.1"
    port: int = 8402
    data_port: int = 8404
    agents_port: int = 8406
    console_port: int = 8400
    console_url: str | None = None
    index_url: str | None = None
    kubo_url: str | None = None
    dask_scheduler: str | None = None
    flower: Path | None = None
    flower_superlink: str | None = None
    flower_certificates: Path | None = None
    workers: int = 0
    tasks_per_worker: int = 0
    gateway_url: str | None = None
    peers: tuple[str, ...] = ()
    spending_cap: str | None = None
    spending_cap_eth: str | None = None

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, *, home: Path | None = None) -> Self:
        """Read the environment and, where there is one, the data directory's ``koinon.toml``.

        Raises BadInput, naming the setting, its source and what it may be.
        """
        variables = os.environ if environment is None else environment
        folder = _home(variables) if home is None else home.expanduser().absolute()
        given: dict[str, Any] = {"home": folder, "network": folder / "network.json"}
        given["language"] = _language_of_the_system(variables)
        file = folder / FILE_NAME
        for name, value in _read_file(file).items():
            given[name] = _parse(name, value, f"{name} in {file}", folder)
        for name in PARSERS:
            text = variables.get(variable(name), "")
            if text:
                given[name] = _parse(name, text, variable(name), None)
        return cls(**given)

    @property
    def keys(self) -> Path:
        """Folder of encrypted keystores."""
        return self.home / "keys"

    @property
    def blocks(self) -> Path:
        """Folder of content-addressed blocks."""
        return self.home / "blocks"

    @property
    def devnet(self) -> Path:
        """Folder of the embedded development chain."""
        return self.home / "devnet"

    def ensure_home(self) -> Path:
        """Make the data directory, readable by its owner only; raises SetupError where that cannot be."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"The data directory {self.home} cannot be made ({error.strerror}).",
                hint="Give it to this user, or set KOINON_HOME to a folder you may write.",
                code="setup.home",
            ) from error
        return self.home


def variable(name: str) -> str:
    """The environment variable of a setting: ``rpc_url`` is ``KOINON_RPC_URL``, ``language`` KOINON_LANG."""
    return PREFIX + ("LANG" if name == "language" else name.upper())


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """``KOINON_*`` variables that mean nothing here: most often a misspelling."""
    known = {variable(name) for name in PARSERS} | {
        PREFIX + "HOME",
        PREFIX + "PASSWORD",
        PREFIX + "PASSWORD_FILE",
        PREFIX + "BACKUP_PASSWORD",
        PREFIX + "MODEL_CODE",
        PREFIX + "DATASETS",
    }
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _home(variables: Mapping[str, str]) -> Path:
    if variables.get("KOINON_HOME"):
        return Path(variables["KOINON_HOME"]).expanduser().absolute()
    data = variables.get("XDG_DATA_HOME", "")
    if data and Path(data).is_absolute():  # relative ones are to be ignored: XDG Base Directory Specification
        return Path(data) / "koinon"
    user = Path(variables["HOME"]) if variables.get("HOME") else Path.home()
    return user / ".local" / "share" / "koinon"


def _language_of_the_system(variables: Mapping[str, str]) -> str:
    locale = variables.get("LC_ALL") or variables.get("LC_MESSAGES") or variables.get("LANG") or ""
    return "zh-Hant" if locale.startswith(("zh_TW", "zh_HK", "zh_MO")) else "en"


def _read_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{file} cannot be read.",
            hint="It must be a UTF-8 text file this user may read.",
            code="settings.file",
        ) from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(
            f"{file} is not valid TOML: {error}.", hint="Correct the line it names.", code="settings.file"
        ) from error
    strangers = sorted(set(content) - set(PARSERS))
    if strangers:
        raise BadInput(
            f"{file} sets {', '.join(strangers)}, which Koinon does not know.",
            hint=f"It knows: {', '.join(sorted(PARSERS))}.",
            code="settings.unknown",
        )
    return content


def _parse(name: str, value: object, source: str, folder: Path | None) -> object:
    try:
        return PARSERS[name](value, folder)
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"{source} is {value!r}; it must be {error}.",
            hint="Correct it, or leave it out for the default.",
            code="settings.value",
        ) from error


def _url(value: object, _folder: Path | None) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an http:// or https:// address")
    return str(value)


def _urls(value: object, folder: Path | None) -> tuple[str, ...]:
    """A list of addresses; in a variable they are separated by spaces."""
    given = value.split() if isinstance(value, str) else value
    if not isinstance(given, list):
        raise TypeError("a list of http:// or https:// addresses")
    return tuple(_url(each, folder) for each in given)


def _amount(value: object, _folder: Path | None) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
        raise ValueError('an amount like "25" or "0.05"')
    return text


def _postgres_url(value: object, _folder: Path | None) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("a postgresql:// address")
    return str(value)


def _scheduler(value: object, _folder: Path | None) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    try:
        right = parts is not None and parts.scheme in {"tcp", "tls"} and bool(parts.hostname and parts.port)
    except ValueError:
        right = False
    if not right:
        raise ValueError("a tcp:// or tls:// address with a port")
    return str(value)


def _address(value: object, _folder: Path | None) -> str:
    parts = urlsplit(f"//{value}") if isinstance(value, str) else None
    try:
        right = parts is not None and bool(parts.hostname and parts.port) and parts.netloc == value
    except ValueError:
        right = False
    if not right:
        raise ValueError("host:port")
    return str(value)


def _path(value: object, folder: Path | None) -> Path:
    if not isinstance(value, str) or not value:
        raise TypeError("a path")
    path = Path(value).expanduser()
    return (folder / path if folder else path).absolute()


def _language(value: object, _folder: Path | None) -> str:
    if value not in LANGUAGES:
        raise ValueError(" or ".join(LANGUAGES))
    return str(value)


def _host(value: object, _folder: Path | None) -> str:
    if not isinstance(value, str) or not value or any(character in value for character in " /:@"):
        raise ValueError("a host name or IPv4 address")
    return value


def _whole(low: int, high: int) -> Callable[[object, Path | None], int]:
    def parse(value: object, _folder: Path | None) -> int:
        wanted = f"a whole number from {low} to {high}"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError(wanted)
        try:
            number = int(value)
        except ValueError:
            raise ValueError(wanted) from None
        if not low <= number <= high:
            raise ValueError(wanted)
        return number

    return parse


PARSERS: Mapping[str, Callable[[object, Path | None], object]] = {
    "network": _path,
    "rpc_url": _url,
    "anvil": _path,
    "language": _language,
    "host": _host,
    "port": _whole(0, 65_535),
    "data_port": _whole(0, 65_535),
    "agents_port": _whole(0, 65_535),
    "console_port": _whole(0, 65_535),
    "console_url": _url,
    "index_url": _postgres_url,
    "kubo_url": _url,
    "dask_scheduler": _scheduler,
    "flower": _path,
    "flower_superlink": _address,
    "flower_certificates": _path,
    "workers": _whole(0, 1_024),
    "tasks_per_worker": _whole(0, 1_000_000),
    "gateway_url": _url,
    "peers": _urls,
    "spending_cap": _amount,
    "spending_cap_eth": _amount,
}

if set(PARSERS) | {"home"} != {field.name for field in fields(Settings)}:
    raise AssertionError("every setting has a parser")
