# SPDX-License-Identifier: Apache-2.0
"""Configs of processes that hold a key: plain fields in a JSON file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import orjson

from koinon.chain.keys import Key
from koinon.errors import BadInput, NotFound


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """Base of such configs; fields are text, whole numbers or yes and no.

    ``keystore`` is an encrypted key, whose password is in ``password_file`` or the variable
    ``KOINON_PASSWORD``.
    """

    keystore: str
    password_file: str = ""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a config file; BadInput when a field is missing, unknown or of another kind."""
        try:
            content = orjson.loads(path.read_bytes())
        except OSError as error:
            raise NotFound(f"There is no config at {path}.", code="learning.config") from error
        except ValueError as error:
            raise BadInput(f"{path.name} is not JSON.", code="learning.config") from error
        kinds: dict[str, type] = {"str": str, "int": int, "bool": bool}
        known = {field.name: kinds[str(field.type)] for field in fields(cls)}
        if not isinstance(content, dict) or set(content) - set(known):
            raise BadInput(f"{path.name} has fields nobody knows.", code="learning.config")
        for name, value in content.items():
            if type(value) is not known[name]:
                raise BadInput(
                    f"{path.name}: '{name}' must be {known[name].__name__}.", code="learning.config"
                )
        try:
            return cls(**content)
        except TypeError as error:
            raise BadInput(f"{path.name} lacks a field: {error}.", code="learning.config") from error

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    def key(self) -> Key:
        """Unlock the keystore."""
        password = os.environ.get("KOINON_PASSWORD", "")
        if self.password_file:
            try:
                password = Path(self.password_file).read_text(encoding="utf-8").rstrip("\n")
            except OSError as error:
                raise NotFound(
                    f"There is no password at {self.password_file}.", code="learning.config"
                ) from error
        return Key.load(self.keystore, password)
