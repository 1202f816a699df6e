# SPDX-License-Identifier: Apache-2.0
"""What an agent remembers: a durable dictionary, written with the mark that a message is done."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from koinon.errors import BadInput

VALUE_LIMIT: Final = 1 << 16
"""Bytes of a value as JSON."""

Table = dict[str, dict[str, str]]
"""Scope to key to value as JSON."""

Writes = dict[tuple[str, str], str | None]
"""(scope, key) to the new value as JSON, None where it is deleted."""


class Memory(MutableMapping[str, Any]):
    """One scope of an agent's memory. Values are JSON (whole numbers of any size), copied in and out.

    Changes are seen by whoever looks through the same ``writes`` at once, and by everybody once they are
    taken over (see `take_over`).
    """

    __slots__ = ("_scope", "_table", "_writes")

    def __init__(self, table: Table, writes: Writes, scope: str) -> None:
        self._table, self._writes, self._scope = table, writes, scope

    def __getitem__(self, key: str) -> Any:
        text = self._text(key)
        if text is None:
            raise KeyError(key)
        return json.loads(text)

    def __setitem__(self, key: str, value: Any) -> None:
        try:
            text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{key} cannot be remembered: {error}.", code="agents.memory") from None
        if len(text) > VALUE_LIMIT:
            raise BadInput(
                f"{key} is too long to be remembered ({len(text)} bytes).",
                hint=f"At most {VALUE_LIMIT} bytes: put it into the store and remember its CID.",
                code="agents.memory",
            )
        self._writes[self._scope, key] = text

    def __delitem__(self, key: str) -> None:
        if self._text(key) is None:
            raise KeyError(key)
        self._writes[self._scope, key] = None

    def __iter__(self) -> Iterator[str]:
        known = set(self._table.get(self._scope, ()))
        known |= {key for scope, key in self._writes if scope == self._scope}
        return iter(sorted(key for key in known if self._text(key) is not None))

    def __len__(self) -> int:
        return sum(1 for _key in self)

    def _text(self, key: str) -> str | None:
        if (self._scope, key) in self._writes:
            return self._writes[self._scope, key]
        return self._table.get(self._scope, {}).get(key)


def take_over(table: Table, writes: Writes) -> None:
    """Make changes part of the table."""
    for (scope, key), text in writes.items():
        if text is not None:
            table.setdefault(scope, {})[key] = text
        elif scope in table:
            table[scope].pop(key, None)
            if not table[scope]:
                del table[scope]
