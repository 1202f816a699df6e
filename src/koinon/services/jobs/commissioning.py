# SPDX-License-Identifier: Apache-2.0
"""What a client changes about jobs on pages: commission, name who does it, settle on a price, pay."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.errors import BadInput, PaymentError
from koinon.services.jobs.api import Jobs
from koinon.services.jobs.contract import JobStatus
from koinon.services.jobs.forms import (
    DAY_S,
    FOR_GOOD,
    GAS,
    commission_of,
    hook_risk,
    job_id_of,
    own_job,
    path_of,
)
from koinon.web import Action, Fields, Outcome, Review, Say, Unit, Visitor, gettext
from koinon.works.forms import acting, coin_unit, money, read_amount, whole_number
from koinon.works.ground import Ground


def _prepare_create(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    me, unit = acting(visitor), coin_unit(ground)
    asked = commission_of(fields, unit)
    brief = Jobs.of(ground).check(asked)
    evaluator = checksum(asked.evaluator) if asked.evaluator else me
    risks = [gettext("What you ask for is public, and stays so.")]
    if evaluator != me:
        risks.append(gettext("Once you have paid, %(who)s alone decides who gets the money.", who=evaluator))
    changes = [gettext("Everyone can read what you ask for. Nothing is paid yet.")]
    if asked.private:
        changes.append(
            gettext("What is handed in will be sealed: this node opens it for you and for whoever judges it.")
        )
    if not asked.provider:
        changes.append(gettext("You name who does it later."))
    return Review(
        title=gettext("Commission “%(title)s”?", title=brief.title),
        button=gettext("Commission it"),
        changes=tuple(changes),
        costs=(gettext("Gas for up to three transactions."),),
        risks=tuple(risks),
        result={
            gettext("Done by"): _provider_words(asked.provider),
            gettext("Judged by"): gettext("you") if evaluator == me else evaluator,
            gettext("Price you propose"): money(asked.budget, unit) if asked.budget else gettext("none yet"),
            gettext("Days until the money can be taken back"): str(asked.lasts_s // DAY_S),
        },
    )


def _provider_words(provider: str) -> str:
    if not provider:
        return gettext("nobody yet")
    return gettext("Work %(id)s", id=provider) if provider.isdigit() else provider


def _run_create(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    say(gettext("Commissioning it"))
    job_id = Jobs.of(ground, account).create(commission_of(fields, coin_unit(ground)))
    return Outcome(gettext("Job %(id)s is commissioned.", id=job_id), path_of(job_id))


def _prepare_assign(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    job = own_job(ground, visitor, fields, "client", JobStatus.OPEN)
    provider = _given_provider(fields)
    if job.taken:
        raise BadInput(gettext("Somebody does this job already."), code="job.taken")
    return Review(
        title=gettext("Give job %(id)s to %(who)s?", id=job.job_id, who=_provider_words(provider)),
        button=gettext("Name the provider"),
        changes=(gettext("Only %(who)s can hand something in.", who=_provider_words(provider)),),
        costs=(gettext("Gas for up to two transactions."),),
        risks=(gettext(FOR_GOOD),),
    )


def _given_provider(fields: Fields) -> str:
    provider = fields.get("provider", "").strip()
    if whole_number(provider):
        return provider
    return checksum(provider)


def _run_assign(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Naming the provider"))
    Jobs.of(ground, account).assign(job_id, _given_provider(fields))
    return Outcome(gettext("The provider is named."), path_of(job_id))


def _prepare_propose(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    unit, me = coin_unit(ground), acting(visitor)
    jobs = Jobs.of(ground)
    job = jobs.job(job_id_of(fields))
    if job.status is not JobStatus.OPEN or not (
        me == job.client or jobs.contract.is_provider(job.job_id, me)
    ):
        raise BadInput(
            gettext("Only client and provider name a price, while nothing is paid."), code="job.status"
        )
    price = _price(fields, unit)
    return Review(
        title=gettext("Propose %(price)s for job %(id)s?", price=money(price, unit), id=job.job_id),
        button=gettext("Propose this price"),
        changes=(
            gettext(
                "The price was %(before)s and becomes %(after)s.",
                before=money(job.budget, unit),
                after=money(price, unit),
            ),
        ),
        costs=(gettext(GAS),),
        risks=(gettext("The other side may propose another one until it is paid."),),
    )


def _price(fields: Fields, unit: Unit) -> int:
    text = fields.get("price", "").strip()
    price = read_amount(text, unit, text)
    if not price:
        raise BadInput(gettext("A price is more than nothing."), code="job.price")
    return price


def _run_propose(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Proposing the price"))
    Jobs.of(ground, account).propose(job_id, _price(fields, coin_unit(ground)))
    return Outcome(gettext("The price is proposed."), path_of(job_id))


def _prepare_fund(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    unit = coin_unit(ground)
    job = own_job(ground, visitor, fields, "client", JobStatus.OPEN)
    price = _price(fields, unit)
    have = int(ground.chain.coin.call("balanceOf", job.client))
    if not job.taken:
        raise BadInput(gettext("Name who does it first."), code="job.no_provider")
    if job.budget not in (0, price):
        raise PaymentError(
            gettext("The price is %(price)s by now.", price=money(job.budget, unit)),
            hint=gettext("Load the job's page again."),
            code="job.price",
        )
    if have < price:
        raise PaymentError(
            gettext(
                "You have %(have)s, and this takes %(needed)s.",
                have=money(have, unit),
                needed=money(price, unit),
            ),
            hint=gettext(
                "Where money is test money, the page Money gives you some; else send your account some."
            ),
            code="job.too_little",
        )
    return Review(
        title=gettext("Pay %(price)s into escrow for job %(id)s?", price=money(price, unit), id=job.job_id),
        button=gettext("Pay into escrow"),
        changes=(
            gettext(
                "The contract holds the price until it is judged: then %(who)s gets it, or you.",
                who=job.provider,
            ),
        ),
        costs=(money(price, unit), gettext("Gas for up to three transactions.")),
        risks=(
            gettext("From then on you cannot call it off; %(who)s decides.", who=job.evaluator),
            gettext("If nobody answers, the money can be sent back after the job's time, and not before."),
            *hook_risk(job),
        ),
    )


def _run_fund(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    job_id = job_id_of(fields)
    say(gettext("Paying into escrow"))
    paid = Jobs.of(ground, account).fund(job_id, _price(fields, coin_unit(ground)))
    return Outcome(gettext("%(price)s are in escrow.", price=money(paid, coin_unit(ground))), path_of(job_id))


ACTIONS: Final = (
    Action("services.job_create", _prepare_create, _run_create, back="/commissions/new"),
    Action("services.job_assign", _prepare_assign, _run_assign, back="/commissions"),
    Action("services.job_propose", _prepare_propose, _run_propose, back="/commissions"),
    Action("services.job_fund", _prepare_fund, _run_fund, back="/commissions"),
)
