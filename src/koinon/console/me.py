# SPDX-License-Identifier: Apache-2.0
"""What is mine: my Works, who uses them, what I may use, rights I lent, everything as a file, a backup."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from fastapi import Form
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from koinon.backup.api import back_up
from koinon.backup.archive import Secret
from koinon.errors import BadInput, KeyFault
from koinon.web import NavEntry, Router, gettext, node, render, visitor
from koinon.web import marked as _
from koinon.works.forms import USES
from koinon.works.pages import hall
from koinon.works.standing import REVOKE, held, lent, sold, spoken

LEAST_PASSWORD: Final = 12
"""Characters of a backup's password."""

_CHUNK: Final = 1 << 20

router: Final = Router(
    "console",
    nav=[
        NavEntry("me", "/me", _("What is mine"), order=10),
        NavEntry("me", "/actions", _("What I began"), order=20),
    ],
    actions=[REVOKE],
)


@router.page("/me")
def me(request: Request) -> Response:
    """The visitor's Works, grants and lent rights."""
    who, here, ground = visitor(request), hall(request), node(request)
    if who.address is None:
        return render(request, "me.html", works=None, section="me")
    here.directory.catch_up()
    grants = held(here.index, who.address)
    used = sold(here.index, who.address)
    return render(
        request,
        "me.html",
        works=here.directory.newest(owner=who.address, limit=50).entries,
        held=grants,
        sold=used,
        lent=lent(here.index, ground.chain, who.address),
        names=here.directory.names(sorted({each.work_id for each in (*grants, *used)})),
        uses=USES,
        now=ground.chain.timestamp(),
        section="me",
    )


@router.page("/me/export.json")
def export(request: Request) -> Response:
    """Everything this node knows of the visitor, as one JSON file."""
    who, here, ground = visitor(request), hall(request), node(request)
    if who.address is None:
        raise KeyFault(gettext("Nobody has come in."), hint=gettext("Come in first."), code="web.nobody")
    works = here.directory.newest(owner=who.address, limit=1_000).entries
    shared = here.directory.of_payee(who.address)
    purse = here.purses.of(who.address, [*(work.work_id for work in works), *shared])
    document = {
        "account": who.address,
        "network": ground.chain.network.name,
        "chain_id": ground.chain.chain_id,
        "exported_at": int(time.time()),
        "works": [_work(here, work) for work in works],
        "income": {
            "received": str(purse.received),
            "withdrawable": str(purse.withdrawable),
            "parts": [_plain(asdict(part)) for part in purse.parts],
            "newest_works_only": purse.more,
        },
        "grants_held": [_plain(asdict(each)) for each in held(here.index, who.address)],
        "grants_sold": [_plain(asdict(each)) for each in sold(here.index, who.address)],
        "words_given": [_plain(asdict(each)) for each in spoken(here.index, who.address)],
        "channels": [_plain(asdict(each)) for each in here.purses.channels(who.address)],
        "rights_lent": [_plain(asdict(each)) for each in lent(here.index, ground.chain, who.address)],
    }
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    return Response(
        content, media_type="application/json", headers=_attachment(f"koinon-{who.address[:10]}.json")
    )


@router.change("/me/backup")
def backup(
    request: Request, password: Annotated[str, Form()] = "", again: Annotated[str, Form()] = ""
) -> Response:
    """The operator's whole data directory in one encrypted file."""
    if visitor(request).kind != "operator":
        raise KeyFault(
            gettext("Only the operator of this node takes its backup."),
            hint=gettext("Your own things are in the export on this page."),
            code="me.operator_only",
        )
    if password != again or len(password) < LEAST_PASSWORD:
        raise BadInput(
            gettext(
                "The password must be the same twice and have %(least)s characters or more.",
                least=LEAST_PASSWORD,
            ),
            code="me.password",
        )
    folder = tempfile.TemporaryDirectory(prefix="koinon-backup-")
    file = Path(folder.name) / "backup.age"
    try:
        back_up(Path(node(request).settings.home), file, Secret(password=password))
    except BaseException:
        folder.cleanup()
        raise
    headers = {
        **_attachment(time.strftime("koinon-%Y%m%d-%H%M%S.backup")),
        "content-length": str(file.stat().st_size),
    }
    return StreamingResponse(_sent(file, folder), media_type="application/octet-stream", headers=headers)


def _sent(file: Path, folder: tempfile.TemporaryDirectory[str]) -> Iterator[bytes]:
    with folder, file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            yield chunk


def _work(here: Any, entry: Any) -> dict[str, Any]:
    income = here.book.of(entry.work_id)
    return {
        **_plain(asdict(entry)),
        "till": here.family.till_of(entry.work_id),
        "earned": str(income.earned),
        "waiting": str(income.waiting),
        "payments": [_plain(asdict(payment)) for payment in income.payments],
        "releases": [_plain(asdict(release)) for release in income.releases],
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers beyond 53 bits as text: JavaScript's lose digits there."""
    return {
        name: str(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53
        else value
        for name, value in fields.items()
    }


def _attachment(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
