# SPDX-License-Identifier: Apache-2.0
"""Changes that a visitor makes: form → review in words → run → what happened.

A domain describes a change once, as an `Action`, and names it in its `Router`. The console brings the review
page, the account that signs (on the server for guest and operator, in the browser for a wallet), the progress
page that can be left and found again, and the page that says what happened. An action is known by its name
and the fields of its form alone, so that it outlives the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from koinon.web.visitor import Visitor

if TYPE_CHECKING:
    from koinon.chain.account import Account

Fields = Mapping[str, str]
"""What a form said: field → text."""

Say = Callable[[str], None]
"""Tells the progress page what is being done now, in the reader's language."""


@dataclass(frozen=True)
class Review:
    """What a visitor reads before anything is signed.

    Parameters
    ----------
    title : str
        The question: "Collect what Work 3 earned?"
    button : str
        What the button says: "Collect".
    changes : sequence of str
        What will be different afterwards, a sentence each.
    costs : sequence of str
        What it costs, a sentence each.
    risks : sequence of str
        What could go wrong, a sentence each.
    result : mapping of str to str
        The simulated outcome: what → how much.
    danger : bool
        It cannot be taken back: the button is clay, not sea.
    reckoned : bool
        The outcome was reckoned from what the chain says now: the change itself was not tried.
    """

    title: str
    button: str
    changes: tuple[str, ...]
    costs: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    result: Mapping[str, str] = field(default_factory=dict)
    danger: bool = False
    reckoned: bool = False


@dataclass(frozen=True)
class Outcome:
    """What happened.

    Parameters
    ----------
    sentence : str
        In one sentence.
    path : str
        Where to look (without language).
    facts : mapping of str to str
        For those who want them.
    title : str
        The page's title from then on; the review's question when empty.
    link : str
        What the link to ``path`` says; "See it" when empty.
    """

    sentence: str
    path: str
    facts: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    link: str = ""


@dataclass(frozen=True)
class Action:
    """One kind of change.

    Parameters
    ----------
    name : str
        ``<room>.<verb>``, stable: "works.collect". Its form is sent to ``url("/act/works.collect")``.
    prepare : callable
        ``(node, visitor, fields) -> Review``: checks the form and simulates. `BadInput` for a wrong form,
        other errors of Koinon's where it cannot be done.
    run : callable
        ``(node, account, fields, say) -> Outcome``: does it by the domain's ordinary API, as this account, in
        a thread of its own. ``account`` fits wherever a domain takes a key.
    back : str
        Path of the page with the form.
    """

    name: str
    prepare: Callable[[Any, Visitor, Fields], Review]
    run: Callable[[Any, Account, Fields, Say], Outcome]
    back: str = "/"


def review(request: Request, name: str, fields: Fields) -> Response:
    """The review page of an action, from a handler that has made the fields itself (as of an upload)."""
    show: Callable[[Request, str, Fields], Response] = request.app.state.review
    return show(request, name, fields)
