# SPDX-License-Identifier: Apache-2.0
"""Commissioned work in the console: what is open, what is mine, and one job from its text to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from koinon.errors import KoinonError, NotFound
from koinon.services.jobs import commissioning, judging
from koinon.services.jobs.api import Jobs
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import Job, JobStatus
from koinon.services.jobs.forms import keep_upload, path_of
from koinon.services.jobs.listing import Happened, Listing, Row, roles
from koinon.services.jobs.outcome import job_name
from koinon.services.jobs.pictured import WORDS, draw_line_of, stations
from koinon.store.cid import cid_from_digest
from koinon.web import NavEntry, Router, gettext, node, render, review, url, visitor
from koinon.web import marked as _
from koinon.works.pages import hall

router: Final = Router(
    "services",
    nav=[
        NavEntry("explore", "/commissions", _("Commissions"), order=25),
        NavEntry("me", "/me/commissions", _("My commissions"), order=45),
    ],
    actions=(*commissioning.ACTIONS, *judging.ACTIONS),
)

STATES: Final = {
    JobStatus.OPEN: _("open"),
    JobStatus.FUNDED: _("paid into escrow"),
    JobStatus.SUBMITTED: _("handed in"),
    JobStatus.COMPLETED: _("accepted"),
    JobStatus.REJECTED: _("rejected"),
    JobStatus.EXPIRED: _("expired"),
}
BADGES: Final = {
    JobStatus.OPEN: "info",
    JobStatus.FUNDED: "moving",
    JobStatus.SUBMITTED: "moving",
    JobStatus.COMPLETED: "good",
    JobStatus.REJECTED: "danger",
    JobStatus.EXPIRED: "warning",
}
ROLES: Final = {"client": _("client"), "provider": _("provider"), "evaluator": _("evaluator")}


@router.page("/commissions")
def commissions(request: Request) -> Response:
    """Work that somebody may still take on."""
    return _list(request, Listing(node(request).chain, node(request).index).open(), mine=False)


@router.page("/me/commissions")
def my_commissions(request: Request) -> Response:
    """Where the visitor is client, provider or evaluator."""
    me = visitor(request).address
    found = [] if me is None else Listing(node(request).chain, node(request).index).of(me)
    return _list(request, found, mine=True)


def _list(request: Request, rows: Sequence[Row], *, mine: bool) -> Response:
    return render(
        request,
        "services/commissions.html",
        rows=rows,
        mine=mine,
        states=STATES,
        badges=BADGES,
        roles=ROLES,
        section="me" if mine else "explore",
    )


@router.page("/commissions/new")
def commission_form(request: Request) -> Response:
    """What is to be done, by whom, for how much, judged by whom."""
    wanted = request.query_params.get("provider", "")
    return render(request, "services/commission_new.html", provider=wanted[:60], section="explore")


@router.page("/commissions/{job_id}")
def commission(request: Request, job_id: int) -> Response:
    """One job: how far it is, what was handed in, and what the visitor can do now."""
    ground, me = node(request), visitor(request).address
    jobs = Jobs.of(ground)
    job = jobs.job(job_id)
    happened = Listing(ground.chain, ground.index).history(job_id)
    work_id = jobs.contract.work_of_till(job.provider)
    does = me is not None and jobs.contract.is_provider(job_id, me)
    mine = roles(job, me or "", [job.provider] if does else [])
    now = ground.chain.timestamp()
    digest, why = jobs.contract.deliverable(job_id), jobs.contract.reason(job_id)
    return render(
        request,
        "services/commission.html",
        job=job,
        brief=Brief.read(job.description),
        work_id=work_id,
        work_name=hall(request).directory.names([work_id]).get(work_id, "") if work_id else "",
        picture=draw_line_of(job, stations(job, happened)),
        happened=happened,
        words=WORDS,
        can=_can(job, mine, now),
        mine=mine,
        overdue=not job.status.over and now >= job.expires_at,
        deliverable=None if digest is None else cid_from_digest(digest),
        readable=_may_read(job, mine),
        reason=None if why is None else _words(jobs, why),
        tells=bool(work_id)
        and job.status.over
        and bool({"client", "evaluator"} & set(mine))
        and _tells(happened),
        name=job_name(ground.chain, job_id),
        states=STATES,
        badges=BADGES,
        roles=ROLES,
        section="explore",
    )


@router.page("/commissions/{job_id}/deliverable")
def deliverable(request: Request, job_id: int) -> Response:
    """What was handed in, as a file: whatever it is, no browser runs it."""
    ground, me = node(request), visitor(request).address
    jobs = Jobs.of(ground)
    if not _may_read(jobs.job(job_id), roles(jobs.job(job_id), me or "", [])):
        raise NotFound(
            gettext("This was sealed for the job's client and evaluator."),
            hint=gettext("Come in with the account that commissioned or judges it."),
            code="job.sealed",
        )
    return Response(
        jobs.deliverable(job_id),
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="job-{job_id}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.change("/commissions/{job_id}/submit")
async def submit(request: Request, job_id: int) -> Response:
    """The form with its file: kept in the data directory, then reviewed."""
    async with request.form(max_files=1) as form:
        upload = form.get("file")
        content = await upload.read() if isinstance(upload, UploadFile) else b""
    if visitor(request).address is None:
        return RedirectResponse(url("/login", next=path_of(job_id)), 303)
    return await run_in_threadpool(_submitted, request, job_id, content)


def _submitted(request: Request, job_id: int, content: bytes) -> Response:
    kept = keep_upload(node(request), visitor(request), content)
    return review(request, "services.job_submit", {"job_id": str(job_id), "file": kept})


def _can(job: Job, mine: Sequence[str], now: int) -> set[str]:
    """What the visitor can do now, by the names of the actions."""
    found: set[str] = set()
    expired = now >= job.expires_at
    if job.status is JobStatus.OPEN and not expired:
        if "client" in mine:
            found |= {"fund"} if job.taken else {"assign"}
        if "client" in mine or "provider" in mine:
            found.add("propose")
    if job.status is JobStatus.OPEN and "client" in mine:
        found.add("reject")
    if job.status is JobStatus.FUNDED and "provider" in mine:
        found.add("submit")
    if job.status in (JobStatus.FUNDED, JobStatus.SUBMITTED):
        if "evaluator" in mine:
            found.add("reject")
            if job.status is JobStatus.SUBMITTED:
                found.add("accept")
        if expired:
            found.add("refund")
    return found


def _may_read(job: Job, mine: Sequence[str]) -> bool:
    return not Brief.read(job.description).private or bool({"client", "evaluator"} & set(mine))


def _tells(happened: Sequence[Happened]) -> bool:
    """Whether it says something of the provider: it was paid for, and judged or not done in time."""
    what = {each.what for each in happened}
    return "funded" in what and not {"submitted", "expired"} <= what


def _words(jobs: Jobs, digest: bytes) -> str:
    """The judge's reason, where anybody who is asked has it."""
    try:
        return jobs.desk.reason(digest)
    except KoinonError:
        return f"ipfs://{cid_from_digest(digest)}"
