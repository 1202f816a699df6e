# SPDX-License-Identifier: Apache-2.0
"""What the frame around every page says: network, rail, languages, theme, names of accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from starlette.requests import Request

from koinon.console.files import Files
from koinon.web import NavEntry, Unit
from koinon.web.language import PREFIXES
from koinon.web.pages import SECTIONS

THEMES: Final = ("system", "light", "dark")
THEME_COOKIE: Final = "theme"
ETHER: Final = Unit("ETH", 18)
"""What gas is paid in."""


@dataclass(frozen=True)
class Shown:
    """The network as the page names it."""

    name: str
    chain_id: int
    test_money: bool


@dataclass(frozen=True)
class Section:
    """A part of the rail: its key, title, first page, and the lines beneath."""

    key: str
    title: str
    path: str
    entries: tuple[NavEntry, ...]


class Layout:
    """Adds to the context of every template what the layout needs.

    Parameters
    ----------
    node : Node
    files : Files
    entries : sequence of NavEntry
        From every domain.
    """

    def __init__(self, node: Any, files: Files, entries: Sequence[NavEntry]) -> None:
        self._node = node
        self._files = files
        self._entries = sorted(entries, key=lambda entry: entry.order)
        self._rail = tuple(
            Section(key, title, path, tuple(entry for entry in self._entries if entry.section == key))
            for key, (title, path) in SECTIONS.items()
        )
        network = node.chain.network
        self._network = Shown(network.name, network.chain_id, network.test_money)
        self._names = {account: name for name, account in dict(network.contracts).items()}

    def __call__(self, request: Request) -> Mapping[str, Any]:
        path = getattr(request.state, "path", request.url.path)
        theme = request.cookies.get(THEME_COOKIE, "system")
        return {
            "network": self._network,
            "coin": self.coin,
            "ether": ETHER,
            "rail": self._rail,
            "section": self._section_of(path),
            "static": self._files.url,
            "theme": theme if theme in THEMES else "system",
            "themes": THEMES,
            "csrf_token": getattr(request.state, "csrf_token", ""),
            "name_of": self.name_of,
            "translations": self._translations(request, path),
        }

    @cached_property
    def coin(self) -> Unit:
        """What prices are counted in on this network."""
        coin = self._node.chain.coin
        return Unit(str(coin.call("symbol")), int(coin.call("decimals")))

    def name_of(self, account: str) -> str | None:
        """What an account is called here: a contract of the network, or this node's operator."""
        operator = getattr(self._node, "operator", None)
        if operator is not None and account == operator.address:
            return "operator"
        return self._names.get(account)

    def _section_of(self, path: str) -> str:
        known = [(entry.path, entry.section) for entry in self._entries]
        known += [(section.path, section.key) for section in self._rail if section.path != "/"]
        fits = [each for each in known if path == each[0] or path.startswith(f"{each[0]}/")]
        return max(fits, key=lambda each: len(each[0]))[1] if fits else "explore"

    @staticmethod
    def _translations(request: Request, path: str) -> dict[str, str]:
        query = f"?{request.url.query}" if request.url.query else ""
        return {name: f"{prefix}{path}{query}" for name, prefix in PREFIXES.items()}
