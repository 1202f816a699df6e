# SPDX-License-Identifier: Apache-2.0
"""How a job ends, on pages: hand it in, accept or reject it, send the money back, tell how it ended."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput
from koinon.services.jobs.api import Jobs
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import JobStatus
from koinon.services.jobs.forms import (
    FOR_GOOD,
    GAS,
    hook_risk,
    job_id_of,
    own_job,
    path_of,
    reason_of,
    upload_of,
)
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.forms import acting, coin_unit, money
from koinon.works.ground import Ground


def _prepare_submit(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    me, jobs = acting(visitor), Jobs.of(ground)
    job = jobs.job(job_id_of(fields))
    if job.status is not JobStatus.FUNDED or not jobs.contract.is_provider(job.job_id, me):
        raise BadInput(gettext("Only its provider hands something in, once it is paid."), code="job.status")
    content = upload_of(ground, me, fields)
    private = Brief.read(job.description).private
    return Review(
        title=gettext("Hand this file in for job %(id)s?", id=job.job_id),
        button=gettext("Hand it in"),
        changes=(
            gettext("The file is sealed: only those whom the client named can open it.")
            if private
            else gettext("Everyone can fetch the file from this node by its digest on chain."),
        ),
        costs=(gettext(GAS),),
        risks=(gettext("It is handed in once: it cannot be exchanged for another file."), *hook_risk(job)),
        result={gettext("Bytes"): f"{len(content):,}"},
    )


def _run_submit(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Handing it in"))
    Jobs.of(ground, account).submit(job_id, upload_of(ground, account.address, fields))
    return Outcome(
        gettext("It is handed in; now %(who)s judges it.", who=Jobs.of(ground).job(job_id).evaluator),
        path_of(job_id),
    )


def _prepare_accept(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    unit = coin_unit(ground)
    job = own_job(ground, visitor, fields, "evaluator", JobStatus.SUBMITTED)
    return Review(
        title=gettext("Accept what was handed in for job %(id)s?", id=job.job_id),
        button=gettext("Accept it"),
        changes=(gettext("%(who)s is paid %(price)s.", who=job.provider, price=money(job.budget, unit)),),
        costs=(gettext(GAS),),
        risks=(gettext(FOR_GOOD), gettext("Your reason is public.")),
    )


def _run_accept(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Accepting it"))
    paid = Jobs.of(ground, account).accept(job_id, reason_of(fields))
    return Outcome(
        gettext("Accepted: %(price)s are paid.", price=money(paid, coin_unit(ground))), path_of(job_id)
    )


def _prepare_reject(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    unit, me = coin_unit(ground), acting(visitor)
    job = Jobs.of(ground).job(job_id_of(fields))
    opened = job.status is JobStatus.OPEN
    if job.status.over or me != (job.client if opened else job.evaluator):
        raise BadInput(gettext("This is not yours to reject now."), code="job.status")
    back = (
        gettext("Nothing was paid, so nothing comes back.")
        if opened
        else gettext("%(price)s go back to %(who)s.", price=money(job.budget, unit), who=job.client)
    )
    return Review(
        title=gettext("Call job %(id)s off?", id=job.job_id)
        if opened
        else gettext("Reject job %(id)s?", id=job.job_id),
        button=gettext("Call it off") if opened else gettext("Reject it"),
        changes=(back, gettext("Its provider gets nothing.")),
        costs=(gettext(GAS),),
        risks=(gettext(FOR_GOOD), gettext("Your reason is public.")),
        danger=True,
    )


def _run_reject(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Rejecting it"))
    Jobs.of(ground, account).reject(job_id, reason_of(fields))
    return Outcome(gettext("The job is over, without pay."), path_of(job_id))


def _prepare_refund(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    acting(visitor)
    unit, job = coin_unit(ground), Jobs.of(ground).job(job_id_of(fields))
    if job.status not in (JobStatus.FUNDED, JobStatus.SUBMITTED) or ground.chain.timestamp() < job.expires_at:
        raise BadInput(gettext("The money of this job cannot be sent back now."), code="job.not_expired")
    return Review(
        title=gettext("Send the money of job %(id)s back?", id=job.job_id),
        button=gettext("Send it back"),
        changes=(
            gettext("%(price)s go back to %(who)s.", price=money(job.budget, unit), who=job.client),
            gettext("Its provider gets nothing."),
        ),
        costs=(gettext(GAS),),
        risks=(gettext(FOR_GOOD),),
    )


def _run_refund(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Sending the money back"))
    paid = Jobs.of(ground, account).refund(job_id)
    return Outcome(gettext("%(price)s went back.", price=money(paid, coin_unit(ground))), path_of(job_id))


def _prepare_feedback(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    me, jobs = acting(visitor), Jobs.of(ground)
    job = jobs.job(job_id_of(fields))
    work_id = jobs.contract.work_of_till(job.provider)
    if not job.status.over or me not in (job.client, job.evaluator) or not work_id:
        raise BadInput(gettext("There is no outcome for you to tell of a Work."), code="job.no_outcome")
    reason_of(fields)
    return Review(
        title=gettext("Tell on Work %(work)s how job %(id)s ended?", work=work_id, id=job.job_id),
        button=gettext("Tell it"),
        changes=(gettext("Your feedback names this job, its price and its outcome."),),
        costs=(gettext(GAS),),
        risks=(gettext("It is public. You can take it back, and it stays readable."),),
    )


def _run_feedback(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Giving feedback"))
    Jobs.of(ground, account).feedback(job_id, reason_of(fields))
    return Outcome(gettext("Your feedback is given."), path_of(job_id))


ACTIONS: Final = (
    Action("services.job_submit", _prepare_submit, _run_submit, back="/commissions"),
    Action("services.job_accept", _prepare_accept, _run_accept, back="/commissions"),
    Action("services.job_reject", _prepare_reject, _run_reject, back="/commissions"),
    Action("services.job_refund", _prepare_refund, _run_refund, back="/commissions"),
    Action("services.job_feedback", _prepare_feedback, _run_feedback, back="/commissions"),
)
