# SPDX-License-Identifier: Apache-2.0
"""What forms about jobs say, and the files that come with them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from koinon.chain.keys import write_private
from koinon.errors import BadInput
from koinon.services.jobs.api import Commission, Jobs
from koinon.services.jobs.contract import Job, JobStatus
from koinon.services.jobs.deliverable import LARGEST, ROOM
from koinon.web import Fields, Unit, Visitor, gettext
from koinon.web import marked as _
from koinon.works.forms import acting, read_amount, whole_number
from koinon.works.ground import Ground

UPLOADS: Final = "uploads"
MOST_UPLOADS: Final = 20
"""Files that are kept of one visitor until they are handed in; the oldest goes first."""
DAY_S: Final = 86_400
GAS: Final = _("Gas for one transaction.")
FOR_GOOD: Final = _("It cannot be taken back.")


def path_of(job_id: int) -> str:
    """A job's page."""
    return f"/commissions/{job_id}"


def job_id_of(fields: Fields) -> int:
    """The job that a form speaks of; `BadInput` otherwise."""
    found = whole_number(fields.get("job_id", ""))
    if not found:
        raise BadInput(gettext("The form names no job."), code="job.form")
    return found


def keep_upload(ground: Ground, visitor: Visitor, content: bytes) -> str:
    """Keep a file until it is handed in; its SHA-256 in hexadecimal. `BadInput` for none or a large one."""
    if not content or len(content) > LARGEST:
        raise BadInput(gettext("Choose a file of at most %(most)s bytes.", most=LARGEST), code="job.size")
    folder = _uploads(ground, acting(visitor))
    digest = hashlib.sha256(content).hexdigest()
    write_private(folder / digest, content)
    for path in sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime)[:-MOST_UPLOADS]:
        path.unlink(missing_ok=True)
    return digest


def commission_of(fields: Fields, unit: Unit) -> Commission:
    """What the form asks for; `BadInput` where it cannot be."""
    days = whole_number(fields.get("days", "").strip(), 3)
    if not days:
        raise BadInput(gettext("Say in how many whole days the money can be taken back."), code="job.time")
    price = fields.get("price", "").strip()
    return Commission(
        fields.get("text", ""),
        days * DAY_S,
        fields.get("provider", "").strip(),
        fields.get("evaluator", "").strip(),
        read_amount(price, unit, price) if price else 0,
        fields.get("private", "") == "1",
    )


def _uploads(ground: Ground, address: str) -> Path:
    folder = ground.settings.home / ROOM / UPLOADS / address
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def upload_of(ground: Ground, address: str, fields: Fields) -> bytes:
    digest = fields.get("file", "")
    path = _uploads(ground, address) / digest
    if len(digest) != 64 or not digest.isalnum() or not path.is_file():
        raise BadInput(
            gettext("There is no file with this form."),
            hint=gettext("Choose a file and send the form again."),
            code="job.upload",
        )
    return path.read_bytes()


def hook_risk(job: Job) -> tuple[str, ...]:
    if not job.hooked:
        return ()
    return (
        gettext("The contract %(hook)s may refuse each step until the job's time is over.", hook=job.hook),
    )


def reason_of(fields: Fields) -> str:
    reason = fields.get("reason", "").strip()
    if len(reason) > 4_000:
        raise BadInput(gettext("A reason has at most 4,000 characters."), code="job.reason")
    return reason


def own_job(ground: Ground, visitor: Visitor, fields: Fields, role: str, status: JobStatus) -> Job:
    me, job = acting(visitor), Jobs.of(ground).job(job_id_of(fields))
    if job.status is not status or getattr(job, role) != me:
        raise BadInput(
            gettext("This is not yours to do now."),
            hint=gettext("The job's page says what can be done, and by whom."),
            code="job.status",
        )
    return job
