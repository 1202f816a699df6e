# SPDX-License-Identifier: Apache-2.0
"""Every page of the console: its route, who looks at it, and where it stands in the small world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.browser.world import World

LANGUAGES: Final = {"en": "", "zh": "/zh-hant"}
VISITORS: Final = ("nobody", "guest", "operator")

NO_PAGE: Final = frozenset(
    {
        "/events",
        "/static/{digest}/{name:path}",
        "/me/export.json",
        "/actions/{action_id}/wish",
        "/actions/{action_id}/events",
    }
)
"""Routes that answer programs, not people."""


@dataclass(frozen=True)
class Page:
    """One thing to look at. ``name`` is a picture's file name; ``status`` what the server answers."""

    name: str
    route: str
    path: Callable[[World], str]
    visitor: str = "nobody"
    status: int = 200


def _page(name: str, route: str, path: str = "", visitor: str = "nobody", status: int = 200) -> Page:
    return Page(name, route, lambda world: (path or route).format_map(vars(world)), visitor, status)


PAGES: Final = (
    _page("home", "/"),
    _page("explore", "/explore"),
    _page("explore-services", "/explore/{kind}", "/explore/service"),
    _page("explore-nothing", "/explore/{kind}", "/explore/creature"),
    _page("work", "/works/{work_id}", "/works/{model}"),
    _page("work-taught", "/works/{work_id}", "/works/{taught}"),
    _page("work-sold", "/works/{work_id}", "/works/{service}"),
    _page("work-data", "/works/{work_id}", "/works/{loans}"),
    _page("work-unpaid", "/works/{work_id}", "/works/{song}"),
    _page("call", "/works/{work_id}/call", "/works/{service}/call"),
    _page("publish", "/publish"),
    _page("publish-dataset", "/publish/dataset"),
    _page("publish-model", "/publish/model"),
    _page("publish-artwork", "/publish/artwork"),
    _page("publish-other", "/publish/other"),
    _page("publish-service", "/publish/service"),
    _page("services", "/services"),
    _page("tour", "/tour"),
    _page("runs", "/runs"),
    _page("run", "/runs/{run}"),
    _page("decide", "/decide"),
    _page("money", "/money"),
    _page("me", "/me"),
    _page("actions", "/actions"),
    _page("trust", "/trust"),
    _page("login", "/login"),
    _page("login-operator", "/login/operator"),
    _page("chain", "/chain"),
    _page("block", "/chain/block/{wanted}", "/chain/block/{block}"),
    _page("transaction", "/chain/transaction/{transaction_hash}", "/chain/transaction/{transaction}"),
    _page("address", "/chain/address/{account}", "/chain/address/{till}"),
    _page("contracts", "/chain/contracts"),
    _page("contract", "/chain/contract/{name}", "/chain/contract/Works"),
    _page(
        "contract-read",
        "/chain/contract/{name}",
        "/chain/contract/Works?function=ownerOf%28uint256%29&argument_0=1",
    ),
    _page("search", "/search", "/search?q=loans"),
    _page("search-nothing", "/search", "/search?q=nothing+like+it"),
    _page("not-found", "", "/no/such/page", status=404),
    _page("no-work", "/works/{work_id}", "/works/999999", status=404),
    _page("guest-work", "/works/{work_id}", "/works/{model}", "guest"),
    _page("guest-tour", "/tour", "", "guest"),
    _page("guest-call", "/works/{work_id}/call", "/works/{service}/call", "guest"),
    _page("guest-money", "/money", "", "guest"),
    _page("guest-me", "/me", "", "guest"),
    _page("guest-login", "/login", "", "guest"),
    _page("guest-actions", "/actions", "", "guest"),
    _page("guest-review", "/actions/{action_id}", "{review}", "guest"),
    _page("guest-done", "/actions/{action_id}", "{done}", "guest"),
    _page("guest-failed", "/actions/{action_id}", "{failed}", "guest"),
    _page("guest-cancelled", "/actions/{action_id}", "{cancelled}", "guest"),
    _page("operator-work", "/works/{work_id}", "/works/{model}", "operator"),
    _page("operator-money", "/money", "", "operator"),
    _page("operator-me", "/me", "", "operator"),
    _page("operator-publish-function", "/publish/service", "", "operator"),
    _page("operator-publish-model", "/publish/service", "/publish/service?kind=model", "operator"),
    _page("operator-publish-endpoint", "/publish/service", "/publish/service?kind=endpoint", "operator"),
    _page("operator-contract", "/chain/contract/{name}", "/chain/contract/Coin", "operator"),
)
