# SPDX-License-Identifier: Apache-2.0
"""Makes the page of settings from the docstring and the fields of `koinon.settings.Settings`."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, Field, fields
from typing import Final

from koinon.settings import FILE_NAME, PARSERS, Settings, variable
from tools.markdown import code, plain, table

PATH = "reference/settings.md"

_HEAD: Final = f"""# Settings

Everything Koinon can be told. Three places, the later winning: the defaults below, `{FILE_NAME}` in the
data directory, the environment. A variable that is set to nothing counts as not set; a name Koinon does not
know is an error in the file ([`settings.unknown`](errors/settings.unknown.md)), and `koinon doctor` names
unknown variables.
"""
_TAIL: Final = f"""
`KOINON_PASSWORD` opens the encrypted keys. Without it a password is made at random at the first start and
kept in the data directory, readable by its owner only. It stands in the environment alone, never in
`{FILE_NAME}`.

A relative path in `{FILE_NAME}` starts from the data directory. For example:

```toml
rpc_url = "https://rpc.example.org"
language = "zh-Hant"
port = 8500
```
"""
_COMPUTED: Final = {
    "home": "`~/.local/share/koinon` (`XDG_DATA_HOME`)",
    "network": "`network.json` in the data directory",
    "language": "the system's",
}


def pages() -> dict[str, str]:
    """The page by its path in the documents."""
    told = meanings()
    rows = []
    for field in fields(Settings):
        if field.name not in told:
            raise SystemExit(f"The docstring of Settings does not say what {field.name} is.")
        in_file = code(field.name) if field.name in PARSERS else ""
        rows.append((code(variable(field.name)), in_file, plain(told[field.name]), _default(field)))
    rows.append(("`KOINON_PASSWORD`", "", "Opens the encrypted keys.", "made at random"))
    listed = table(["Variable", f"In {code(FILE_NAME)}", "Meaning", "Default"], rows)
    return {PATH: f"{_HEAD}\n{listed}{_TAIL}"}


def meanings() -> dict[str, str]:
    """Setting → what the docstring says about it."""
    text = inspect.getdoc(Settings) or ""
    _, _, parameters = text.partition("Parameters\n----------\n")
    found = re.findall(r"^(\w[\w, ]*) : .*\n((?:[ \t]+\S.*\n?|\n(?=[ \t]))+)", parameters, re.MULTILINE)
    return {name.strip(): " ".join(words.split()) for names, words in found for name in names.split(",")}


def _default(field: Field[object]) -> str:
    if field.name in _COMPUTED:
        return _COMPUTED[field.name]
    value = field.default
    if value is MISSING or value is None or value in ("", ()):
        return "none"
    return code(str(value))
