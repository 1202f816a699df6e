# SPDX-License-Identifier: Apache-2.0
"""Who looks at a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

Kind = Literal["nobody", "guest", "wallet", "operator"]


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page: how they came in, their account, their language.

    ``kind`` is ``nobody`` (reads only), ``guest`` (a funded account of a development chain that the node
    keeps), ``wallet`` (signs in the browser) or ``operator`` (the node's own key). ``address`` is EIP-55
    text, None for nobody.
    """

    kind: Kind = "nobody"
    address: str | None = None
    language: str = "en"

    @property
    def can_act(self) -> bool:
        """Whether there is an account to act with."""
        return self.address is not None


def visitor(request: Request) -> Visitor:
    """Who sent this request; nobody where no one came in."""
    found = getattr(request.state, "visitor", None)
    return found if isinstance(found, Visitor) else Visitor(language=language_of(request))


def language_of(request: Request) -> str:
    """The language of the address that was asked for."""
    return str(getattr(request.state, "language", "en"))


def node(request: Request) -> Any:
    """The open node behind this console; domains know it as a `koinon.works.ground.Ground`."""
    return request.app.state.node
