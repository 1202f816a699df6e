# SPDX-License-Identifier: Apache-2.0
"""Named keystores in one folder: the keys of whoever runs this machine."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import orjson

from koinon.chain.address import checksum
from koinon.chain.keys import Key, write_private
from koinon.chain.keystore import Derivation
from koinon.errors import BadInput, KeyFault

PASSWORD_VARIABLE = "KOINON_PASSWORD"  # noqa: S105  (the variable's name, not a password)
PASSWORD_FILE_VARIABLE = "KOINON_PASSWORD_FILE"  # noqa: S105  (the variable's name, not a password)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Keyring:
    """Opens keys by name and makes those that do not exist yet.

    The password is ``KOINON_PASSWORD`` where that is set, else the content of the file that
    ``KOINON_PASSWORD_FILE`` names (a service's credential), else that of ``password`` in the folder, made at
    random on first use and readable by its owner only.

    Parameters
    ----------
    folder : Path
        Where ``<name>.json`` keystores lie.
    derivation : str
        ``scrypt``; ``pbkdf2`` (few rounds) only where keys hold test money.
    environment : mapping, optional
        Where the password variable is looked up; this process's environment by default.
    """

    def __init__(
        self,
        folder: Path,
        *,
        derivation: Derivation = "scrypt",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._derivation = derivation
        self._environment = os.environ if environment is None else environment

    @property
    def password_file(self) -> Path:
        """Where the password is kept when the environment does not give one."""
        return self.folder / "password"

    def path(self, name: str) -> Path:
        """The keystore of a name (lower-case letters, digits, hyphens)."""
        if not _NAME.fullmatch(name):
            raise BadInput(f"{name!r} cannot name a key.", hint="Use a-z, 0-9 and hyphens.", code="key.name")
        return self.folder / f"{name}.json"

    def address(self, name: str) -> str:
        """The account of a key, which its file says openly; empty where there is none yet."""
        try:
            return checksum("0x" + str(orjson.loads(self.path(name).read_bytes())["address"]))
        except (OSError, ValueError, TypeError, KeyError, BadInput):
            return ""

    def open(self, name: str) -> Key:
        """The key of that name; KeyFault when the password does not open it."""
        path = self.path(name)
        password = self.password()
        if path.exists():
            return Key.load(path, password)
        key = Key.generate()
        key.save(path, password, derivation=self._derivation)
        return key

    def password(self) -> str:
        """The password; made on first use. KeyFault when its file cannot be read."""
        given = self._environment.get(PASSWORD_VARIABLE, "")
        if given:
            return given
        named = self._environment.get(PASSWORD_FILE_VARIABLE, "")
        if named:
            return _read(Path(named))
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.password_file.exists():
            write_private(self.password_file, secrets.token_urlsafe(32).encode())
        return _read(self.password_file)


def _read(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFault(
            f"The password at {file} cannot be read ({getattr(error, 'strerror', 'not UTF-8')}).",
            hint=f"Give it back to this user, or set {PASSWORD_VARIABLE}.",
            code="key.password_file",
        ) from error
    if not password:
        raise KeyFault(
            f"The password at {file} is empty.",
            hint="Write the password that the keys were made with into it.",
            code="key.password_file",
        )
    return password
