# SPDX-License-Identifier: Apache-2.0
"""Changes: review in words, signing, progress that can be left and found again, and what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from koinon.console.desk import Desk
from koinon.console.login import chain_words, read_json
from koinon.errors import NotFound
from koinon.web import Action, Fields, Review, Router, node, render, url, visitor

router: Final = Router("console")
_LOOK_EVERY_S: Final = 0.25
_SIGN_OF_LIFE_S: Final = 15.0
_STREAMS: Final = 200


@router.change("/act/{name}")
async def act(request: Request, name: str) -> Response:
    """A domain's form: kept, and led to its review."""
    if name not in request.app.state.actions:
        raise NotFound(
            f"There is no change named {name!r}.", hint="Go back and try again.", code="action.name"
        )
    async with request.form() as form:
        fields = {key: value for key, value in form.items() if isinstance(value, str) and key != "csrf_token"}
    return await run_in_threadpool(show_review, request, name, fields)


def show_review(request: Request, name: str, fields: Fields) -> Response:
    """Keep what was asked for and go to its review; who has not come in yet goes there after that."""
    desk: Desk = request.app.state.desk
    action: Action = request.app.state.actions[name]
    who = visitor(request)
    title = ""
    if who.can_act:
        title = action.prepare(node(request), who, fields).title  # a wrong form is told at once
    kept = desk.keep(owner(request), name, fields, who.language, title)
    where = f"/actions/{kept}"
    return RedirectResponse(url(where) if who.can_act else url("/login", next=where), 303)


@router.page("/actions")
def mine(request: Request) -> Response:
    """Everything this visitor began, newest first."""
    desk: Desk = request.app.state.desk
    return render(request, "actions.html", section="me", actions=desk.of(owner(request)))


@router.page("/actions/{action_id}")
def one(request: Request, action_id: str) -> Response:
    """The review, the progress, or what happened."""
    desk: Desk = request.app.state.desk
    who = visitor(request)
    if not who.can_act:
        return RedirectResponse(url("/login", next=f"/actions/{action_id}"), 303)
    row = desk.find(action_id, owner(request))
    action: Action | None = request.app.state.actions.get(row["name"])
    back = action.back if action is not None else "/"
    if row["state"] == "review":
        if action is None:
            raise NotFound("This change is not offered any more.", code="action.name")
        review = action.prepare(node(request), who, row["fields"])
        return render(request, "action_review.html", section="me", review=review, action=row, back=back)
    return render(
        request,
        "action.html",
        section="me",
        action=row,
        back=back,
        task=desk.task(action_id),
        chain=chain_words(request),
        transactions=desk.transactions(action_id),
    )


@router.change("/actions/{action_id}/begin")
def begin(request: Request, action_id: str) -> Response:
    """Agreed: do it. A second press changes nothing."""
    desk: Desk = request.app.state.desk
    row = desk.find(action_id, owner(request))
    if row["state"] == "review":
        action: Action = request.app.state.actions[row["name"]]
        review: Review = action.prepare(node(request), visitor(request), row["fields"])
        desk.begin(row, action, visitor(request), review.title)
    return RedirectResponse(url(f"/actions/{action_id}"), 303)


@router.change("/actions/{action_id}/again")
def again(request: Request, action_id: str) -> Response:
    """The same wish once more, from its review on."""
    desk: Desk = request.app.state.desk
    row = desk.find(action_id, owner(request))
    return show_review(request, row["name"], row["fields"])


@router.change("/actions/{action_id}/cancel")
def cancel(request: Request, action_id: str) -> Response:
    """Sign nothing more."""
    desk: Desk = request.app.state.desk
    desk.cancel(desk.find(action_id, owner(request)))
    return RedirectResponse(url(f"/actions/{action_id}"), 303)


@router.page("/actions/{action_id}/wish")
def wish(request: Request, action_id: str) -> Response:
    """What the wallet is asked for now, for the page's script."""
    desk: Desk = request.app.state.desk
    desk.find(action_id, owner(request))
    task = desk.task(action_id)
    waiting = task.wish if task is not None else None
    return JSONResponse(None if waiting is None else waiting.to_json())


@router.change("/actions/{action_id}/answer")
async def answer(request: Request, action_id: str) -> Response:
    """What the wallet said: a result or a refusal."""
    fields = await read_json(request, "wish", "kind", "text")
    desk: Desk = request.app.state.desk
    desk.find(action_id, owner(request))
    task = desk.task(action_id)
    kind: Any = fields["kind"]
    taken = kind in ("result", "refused") and task is not None
    if task is not None and taken:
        text = fields["text"] if kind == "result" else fields["text"][:200]
        taken = task.answer(fields["wish"], kind, text)
    return JSONResponse({"taken": taken})


@router.page("/actions/{action_id}/events")
async def events(request: Request, action_id: str) -> Response:
    """Says when the page has something new (server-sent events)."""
    desk: Desk = request.app.state.desk
    desk.find(action_id, owner(request))
    if desk.streams >= _STREAMS:
        return Response(status_code=204)
    return StreamingResponse(_stream(desk, action_id), media_type="text/event-stream")


async def _stream(desk: Desk, action_id: str) -> AsyncIterator[bytes]:
    seen, said_at = -1, time.monotonic()
    desk.streams += 1
    try:
        while (task := desk.task(action_id)) is not None:
            if task.version != seen:
                seen, said_at = task.version, time.monotonic()
                yield f"event: change\ndata: {seen}\n\n".encode()
            elif time.monotonic() - said_at > _SIGN_OF_LIFE_S:
                said_at = time.monotonic()
                yield b": still here\n\n"
            await asyncio.sleep(_LOOK_EVERY_S)
        yield b"event: end\ndata: 0\n\n"
    finally:
        desk.streams -= 1


def owner(request: Request) -> str:
    """Whose actions these are: an account in one of its roles, or a visit that nobody came in from yet."""
    who = visitor(request)
    return f"{who.kind}:{who.address}" if who.can_act else f"visit:{request.state.csrf_token}"


def install(app: FastAPI) -> None:
    """Add the pages; tell the house how reviews are shown."""
    desk = Desk(app.state.node, app.state.records, app.state.guests)
    app.state.desk = desk
    app.state.review = show_review

    def came_in(before: str, kind: str, address: str) -> None:
        desk.hand_over(f"visit:{app.state.sessions.token(before)}", f"{kind}:{address}")

    app.state.came_in = came_in
    app.include_router(router)
