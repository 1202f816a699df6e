# SPDX-License-Identifier: Apache-2.0
"""A domain's pages: its router, what it adds to the rail, and long lists a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from koinon.web.actions import Action
from koinon.web.language import marked as _

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

SECTIONS: Final = {
    "explore": (_("Explore"), "/"),
    "publish": (_("Publish"), "/publish"),
    "decide": (_("Decide"), "/decide"),
    "money": (_("Money"), "/money"),
    "me": (_("Me"), "/me"),
    "trust": (_("Trust"), "/trust"),
    "chain": (_("Chain"), "/chain"),
}
"""The rail: section → its title and first page."""


@dataclass(frozen=True)
class NavEntry:
    """A line in the rail beneath a section.

    ``section`` is a key of `SECTIONS`; ``title`` an English message id (write it ``_("Models")`` with
    ``from koinon.web import marked as _``); lower ``order`` stands higher.
    """

    section: str
    path: str
    title: str
    order: int = 100


@dataclass(frozen=True)
class Link:
    """Where another domain tells more of a Work: a path without its language, and what stands there."""

    path: str
    words: str


Beside = Callable[[Request, int], Sequence[Link]]
"""What a domain has to say of a Work, by its id: links on the Work's own page."""


class Router(APIRouter):
    """The pages of one domain.

    Parameters
    ----------
    room : str
        The domain's name; templates are named ``<room>/<file>.html``.
    nav : sequence of NavEntry
        What the rail shows of it.
    actions : sequence of Action
        What visitors can change here.
    beside : Beside, optional
        Its links on the page of a Work.
    """

    def __init__(
        self,
        room: str,
        nav: Sequence[NavEntry] = (),
        actions: Sequence[Action] = (),
        beside: Beside | None = None,
    ) -> None:
        super().__init__(default_response_class=HTMLResponse, include_in_schema=False)
        self.room = room
        self.nav = tuple(nav)
        self.actions = tuple(actions)
        self.beside = beside

    def page(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """A page that is looked at: GET. Write a plain function; it runs in a thread of its own."""
        return self.api_route(path, methods=["GET", "HEAD"], response_model=None)

    def change(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """A form that is sent in: POST, refused without this visitor's CSRF token."""
        return self.api_route(path, methods=["POST"], response_model=None)


@dataclass(frozen=True)
class Pages:
    """One page of a long list: ``rows[offset:offset + size]``, or ``LIMIT size OFFSET offset``.

    ``number`` counts from 1.
    """

    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def first_shown(self) -> int:
        return min(self.total, self.offset + 1)

    @property
    def last_shown(self) -> int:
        return min(self.total, self.offset + self.size)


def paginate(request: Request, total: int, size: int = 25) -> Pages:
    """The page that ``?page=`` asks for; a wrong number counts as the nearest there is."""
    text = request.query_params.get("page", "1")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    last = max(1, -(-total // size))
    return Pages(min(max(1, wanted), last), size, total)
