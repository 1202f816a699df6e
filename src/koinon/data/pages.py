# SPDX-License-Identifier: Apache-2.0
"""The data market in the console: find a dataset, look at it, compute on it, read the result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from koinon.data.api import Data
from koinon.data.budget import MILLION
from koinon.data.document import DatasetDocument
from koinon.data.earnings import earnings
from koinon.data.gate import Policy, read_schema
from koinon.data.histogram import count_noise, draw_histogram
from koinon.data.noise_bounds import noise_bounds
from koinon.data.order_folder import JobOrder
from koinon.data.pictured import earnings_river, source_label
from koinon.data.shopping import BUY, REFUND, keep_program, new_number, own_order, quoted, read_upload
from koinon.data.statistics import LABEL, Statistics
from koinon.data.views import document_at, listed, result_rows
from koinon.errors import BadInput, KoinonError, NotFound
from koinon.web import Link, NavEntry, Router, Unit, gettext, node, render, review, url, visitor
from koinon.web import marked as _
from koinon.web.pictures import draw_river
from koinon.works.pages import CONSENTS, hall
from koinon.works.terms import Consent, Use

PAGE: Final = 24
USES: Final = {"download": _("download it"), "compute": _("compute on it"), "train": _("train with it")}
WORDS: Final = {
    "open": _("under way"),
    "unsent": _("on its way to the owner's node"),
    "silent": _("the owner's node is silent"),
    "waiting": _("waiting for its turn"),
    "running": _("running"),
    "released": _("released"),
    "failed": _("no result"),
    "refused": _("refused"),
    "overdue": _("overdue"),
    "refunded": _("money taken back"),
}
BADGES: Final = {
    "released": "good",
    "failed": "danger",
    "refused": "danger",
    "overdue": "warning",
    "silent": "warning",
    "waiting": "moving",
    "running": "moving",
    "unsent": "moving",
    "open": "moving",
}


def beside(request: Request, work_id: int) -> Sequence[Link]:
    """On a dataset's own page: where one computes on it."""
    if document_at(hall(request), node(request).store, work_id) is None:
        return ()
    return (Link(f"/datasets/{work_id}", gettext("Its columns, statistics and terms; compute on it")),)


router: Final = Router(
    "data",
    nav=[
        NavEntry("explore", "/datasets", _("Compute on data"), order=15),
        NavEntry("me", "/jobs", _("My compute jobs"), order=40),
    ],
    actions=(BUY, REFUND),
    beside=beside,
)


@router.page("/datasets")
def datasets(request: Request) -> Response:
    """Datasets that can be computed on, newest first."""
    ground, found = node(request), hall(request)
    found.directory.catch_up()
    query = request.query_params.get("q", "").replace("\0", "").strip()[:200]
    before = request.query_params.get("before", "")
    listing = found.directory.newest(
        kind="dataset",
        search=query,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None,
        limit=PAGE,
    )
    return render(
        request,
        "data/datasets.html",
        rows=listed(found, ground.chain, ground.store, listing.entries),
        query=query,
        before=listing.before,
        section="explore",
    )


@router.page("/datasets/{work_id}")
def dataset(request: Request, work_id: int) -> Response:
    """One dataset: what may be known of it, on what terms, what it earned."""
    ground, found = node(request), hall(request)
    found.directory.catch_up()
    seen = Data.of(ground).dataset(work_id)
    told = earnings(found, work_id)
    known = _statistics(seen.document)
    noise = count_noise(known) if known else 0.0
    unit: Unit = request.app.state.contribute.coin
    return render(
        request,
        "data/dataset.html",
        work_id=work_id,
        dataset=seen,
        statistics=known,
        noise=noise,
        histograms=[
            draw_histogram(column, noise, f"column-{number}")
            for number, column in enumerate(known.columns if known else ())
        ],
        picture=draw_river(earnings_river(told, unit)),
        earnings=told,
        sources=[(source_label(source), source) for source in told.sources],
        uses=USES,
        consents=CONSENTS,
        spent=seen.budget.spent / MILLION,
        total=seen.budget.total / MILLION,
        known={column.name: column for column in (known.columns if known else ())},
        label=LABEL,
        columns=list(dict.fromkeys((*seen.document.columns, LABEL))),
        section="explore",
    )


@router.page("/datasets/{work_id}/compute")
def compute_form(request: Request, work_id: int) -> Response:
    """Upload a program, and say what it returns."""
    return _form(request, work_id)


def _form(
    request: Request, work_id: int, fields: Mapping[str, str] | None = None, fault: KoinonError | None = None
) -> Response:
    """The form, new or as it was sent in with what is wrong with it."""
    seen = Data.of(node(request)).dataset(work_id)
    terms = seen.document.terms.get("compute")
    if terms is None:
        raise NotFound(
            gettext("Nobody may compute on this dataset."),
            hint=gettext("See its terms on its own page."),
            code="data.no_compute",
        )
    schema, program = _example(seen.document, terms)
    blocks, seconds = min(int(terms["max_blocks"]), 16), min(int(terms["max_seconds"]), 30)
    usual = {"schema": schema, "blocks": str(blocks), "seconds": str(seconds), "program": "", "consent": ""}
    offer = seen.offers.get(Use.COMPUTE)
    return render(
        request,
        "data/compute.html",
        work_id=work_id,
        dataset=seen,
        terms=terms,
        given=usual | dict(fields or {}),
        program=program,
        asks_leave=offer is not None and offer.consent is Consent.SIGNED,
        fault=fault,
        status=200 if fault is None else fault.http_status,
        section="explore",
    )


@router.change("/datasets/{work_id}/compute")
async def compute(request: Request, work_id: int) -> Response:
    """The form with its program: kept, then reviewed with what the dataset's node says."""
    async with request.form(max_files=1) as form:
        wanted = ("schema", "seconds", "blocks", "program", "consent")
        fields = {name: text for name in wanted if isinstance(text := form.get(name), str)}
        upload, name, content = form.get("file"), "", b""
        if isinstance(upload, UploadFile) and upload.filename:
            name, content = upload.filename, await upload.read()
    return await run_in_threadpool(_sent, request, work_id, fields, (name, content))


def _sent(request: Request, work_id: int, fields: dict[str, str], upload: tuple[str, bytes]) -> Response:
    """The review; or the form again, with the reason, where this job would not be taken."""
    who, ground = visitor(request), node(request)
    if who.address is None:
        return RedirectResponse(url("/login", next=f"/datasets/{work_id}/compute"), 303)
    try:
        if upload[0]:
            fields["program"] = keep_program(ground, who, read_upload(*upload))
        elif not fields.get("program"):
            raise BadInput(gettext("Choose your program first."), code="data.upload")
        asked = fields | {"work_id": str(work_id), "number": new_number()}
        most = quoted(ground, who, asked).most  # what is agreed to is what the node asks for now
    except KoinonError as fault:
        return _form(request, work_id, fields, fault)
    return review(request, "data.compute", asked | {"most": str(most)})


@router.page("/jobs")
def jobs(request: Request) -> Response:
    """What this visitor bought."""
    me, orders = visitor(request).address, Data.of(node(request)).orders
    mine = [order for order in orders.all() if me is not None and order.buyer == me and order.job_id]
    shown = [orders.glance(order) for order in mine[:PAGE]]
    names = hall(request).directory.names([each.order.work_id for each in shown])
    return render(
        request, "data/jobs.html", jobs=shown, names=names, words=WORDS, badges=BADGES, section="me"
    )


@router.page("/jobs/{job_id}")
def job(request: Request, job_id: int) -> Response:
    """One job: where it stands, then its result."""
    order, data = _own(request, job_id), Data.of(node(request))
    found = data.orders.progress(order)
    files: dict[str, bytes] = {}
    fault: KoinonError | None = None
    if found.word == "released":
        try:
            files = data.orders.fetch(order)
        except KoinonError as error:
            fault = error
    return render(
        request,
        "data/job.html",
        job=found,
        order=found.order,
        rows=(rows := result_rows(order.schema_text, files) if files else []),
        grouped=any(row.group for row in rows),
        noise=_noise(data, order) if rows else {},
        files={name: len(content) for name, content in files.items()},
        fault=fault,
        words=WORDS,
        badges=BADGES,
        name=hall(request).directory.names([order.work_id]).get(order.work_id, ""),
        now=time.time(),
        section="me",
    )


@router.page("/jobs/{job_id}/files/{name}")
def result_file(request: Request, job_id: int, name: str) -> Response:
    """One file of a result, as it was released."""
    files = Data.of(node(request)).orders.fetch(_own(request, job_id))
    if name not in files:
        raise NotFound(gettext("The result has no such file."), code="data.no_file")
    return Response(
        files[name],
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="job-{job_id}-{name}"'},
    )


def _noise(data: Data, order: JobOrder) -> dict[str, float]:
    """How far noise moved each output at most, 19 times in 20, by the terms that stand."""
    try:
        terms = data.dataset(order.work_id).document.terms.get("compute", {})
    except KoinonError:
        return {}
    policy = Policy(trust_sensitivity=terms.get("trusts_sensitivity") is True)
    return noise_bounds(read_schema(order.schema_text), policy, order.blocks)


def _own(request: Request, job_id: int) -> JobOrder:
    return own_order(node(request), visitor(request).address, str(job_id))


def _statistics(document: DatasetDocument) -> Statistics | None:
    return None if document.statistics is None else Statistics.from_json(document.statistics)


def _example(document: DatasetDocument, terms: dict[str, Any]) -> tuple[str, str]:
    """A declaration and a program for it, for the dataset's first column with bounds."""
    known = _statistics(document)
    features = [one for one in known.columns if one.name in document.columns] if known else []
    column = features[0].name if features else document.columns[0]
    low, high = (features[0].edges[0], features[0].edges[-1]) if features else (0.0, 1.0)
    epsilon = min(1.0, float(terms["epsilon_per_job"]))
    schema = (
        f'[mean]\nkind = "scalar"\nbounds = [{low:g}, {high:g}]\n'
        f"sensitivity = {(high - low) / 100:g}\nepsilon = {epsilon:g}\n"
    )
    program = (
        "import json, sys\nimport numpy as np\n\n"
        'stored = np.load(f"{sys.argv[1]}/table.npz")\n'
        f'column = list(stored["columns"]).index({column!r})\n'
        'values = stored["features"][:, column]\n'
        'with open(f"{sys.argv[2]}/result.json", "w") as file:\n'
        '    json.dump({"mean": float(values.mean())}, file)\n'
    )
    return schema, program
