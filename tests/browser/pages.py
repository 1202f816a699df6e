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
        "/jobs/{job_id}/files/{name}",
        "/commissions/{job_id}/deliverable",
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
    _page("market", "/market"),
    _page("market-found", "/market", "/market?q=credit+score&price=1&ms=60000"),
    _page("market-nothing", "/market", "/market?q=nothing+like+it"),
    _page("service", "/services/{work_id}", "/services/{service}"),
    _page("service-away", "/services/{work_id}", "/services/{song}"),
    _page("earnings", "/services/{work_id}/earnings", "/services/{service}/earnings"),
    _page("earnings-nothing", "/services/{work_id}/earnings", "/services/{song}/earnings"),
    _page("answers", "/services/{work_id}/answers", "/services/{service}/answers"),
    _page("answers-nothing", "/services/{work_id}/answers", "/services/{song}/answers"),
    _page("promises", "/me/promises"),
    _page("promises-mine", "/me/promises", "", "operator"),
    _page("channels", "/money/channels"),
    _page("agents", "/agents", visitor="operator"),
    _page("agents-seen", "/agents"),
    _page("agent", "/agents/{work_id}", "/agents/{agent}", visitor="operator"),
    _page("agent-none", "/agents/{work_id}", "/agents/{song}", status=404),
    _page("credit", "/credit"),
    _page("credit-wrong", "/credit", "/credit?address=harbour", status=422),
    _page("wallet-unknown", "/credit/{wallet}", f"/credit/0x{'11' * 20}"),
    _page("pools", "/pools"),
    _page("pool-none", "/pools/{address}", f"/pools/0x{'11' * 20}", status=404),
    _page("tour", "/tour"),
    _page("datasets", "/datasets"),
    _page("datasets-nothing", "/datasets", "/datasets?q=nothing+like+it"),
    _page("dataset", "/datasets/{work_id}", "/datasets/{market}"),
    _page("compute", "/datasets/{work_id}/compute", "/datasets/{market}/compute"),
    _page("jobs", "/jobs"),
    _page("commissions", "/commissions"),
    _page("commission", "/commissions/{job_id}", "/commissions/{commission}"),
    _page("commission-new", "/commissions/new"),
    _page("commissions-mine", "/me/commissions"),
    _page("runs", "/runs"),
    _page("run", "/runs/{run}"),
    _page("markets", "/markets"),
    _page("market-none", "/markets/{address}", f"/markets/0x{'11' * 20}", status=404),
    _page("arbitrage", "/arbitrage"),
    _page("vaults", "/vaults"),
    _page("vault-none", "/vaults/{address}", f"/vaults/0x{'11' * 20}", status=404),
    _page("decide", "/decide"),
    _page("watch", "/watch"),
    _page("watch-case", "/watch/cases/{case_id}", "/watch/cases/{case}"),
    _page("watch-no-case", "/watch/cases/{case_id}", "/watch/cases/999999", status=404),
    _page("watch-judged", "/watch", "", "operator"),
    _page("watch-case-judged", "/watch/cases/{case_id}", "/watch/cases/{case}?until=1760014400", "operator"),
    _page("liquidity", "/liquidity"),
    _page("money", "/money"),
    _page("me", "/me"),
    _page("mandates", "/me/mandates"),
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
    _page("guest-market", "/market", "/market?q=score", "guest"),
    _page("guest-service", "/services/{work_id}", "/services/{service}", "guest"),
    _page("guest-channels", "/money/channels", "", "guest"),
    _page("guest-call", "/works/{work_id}/call", "/works/{service}/call", "guest"),
    _page("guest-jobs", "/jobs", "", "guest"),
    _page("guest-job", "/jobs/{job_id}", "{job}", "guest"),
    _page("guest-money", "/money", "", "guest"),
    _page("guest-me", "/me", "", "guest"),
    _page("guest-login", "/login", "", "guest"),
    _page("guest-actions", "/actions", "", "guest"),
    _page("guest-review", "/actions/{action_id}", "{review}", "guest"),
    _page("guest-done", "/actions/{action_id}", "{done}", "guest"),
    _page("guest-failed", "/actions/{action_id}", "{failed}", "guest"),
    _page("guest-cancelled", "/actions/{action_id}", "{cancelled}", "guest"),
    _page("operator-work", "/works/{work_id}", "/works/{model}", "operator"),
    _page("operator-commissions", "/me/commissions", "", "operator"),
    _page("operator-money", "/money", "", "operator"),
    _page("operator-earnings", "/services/{work_id}/earnings", "/services/{service}/earnings", "operator"),
    _page("operator-me", "/me", "", "operator"),
    _page("operator-mandates", "/me/mandates", "", "operator"),
    _page("operator-publish-function", "/publish/service", "", "operator"),
    _page("operator-publish-model", "/publish/service", "/publish/service?kind=model", "operator"),
    _page("operator-publish-endpoint", "/publish/service", "/publish/service?kind=endpoint", "operator"),
    _page("operator-contract", "/chain/contract/{name}", "/chain/contract/Coin", "operator"),
)
