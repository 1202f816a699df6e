# SPDX-License-Identifier: Apache-2.0
"""Buying a compute job from a page, as guest, operator or with a wallet.

The program is kept in the data directory under its digest before the review, and the form carries the digest,
the most that may be paid, and the order's own number, so that a wish tried again is never paid twice. The key
that opens the result is kept on this node, with the order.
"""

from __future__ import annotations

import io
import secrets
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.keys import write_private
from koinon.compute.sandbox.driver import MAIN
from koinon.data.api import ROOM, Data
from koinon.data.job_orders import NUMBER_BYTES, JobReview
from koinon.data.jobs import PROGRAM_BYTES, PROGRAM_FILES, SCHEMA_BYTES, Bundle
from koinon.data.order_folder import JobOrder
from koinon.errors import BadInput, KeyFault, NotFound, PaymentError
from koinon.web import Action, Fields, Outcome, Review, Say, Unit, Visitor, gettext
from koinon.web import marked as _
from koinon.works.forms import acting, coin_unit, money, whole_number, work_id_of
from koinon.works.terms import Consent, SignedConsent

UPLOADS: Final = "uploads"
MOST_UPLOADS: Final = 50
"""Programs that are kept of one visitor; the oldest goes first."""

_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The others are unpacked to the end at once, however large that is."""

STEPS: Final = {
    "grant": _("Buying leave to compute"),
    "order": _("Locking the price of the run"),
    "submit": _("Handing the program in"),
}


def read_upload(name: str, content: bytes) -> Bundle:
    """A program from an uploaded file: one Python file, or a zip of ``main.py`` and its lock file."""
    if name.lower().endswith(".zip"):
        return _unzipped(content)
    if not name.lower().endswith(".py") or not content:
        raise BadInput(
            gettext("Give a Python file (.py), or a zip of main.py and requirements.txt."),
            code="data.upload",
        )
    return Bundle({MAIN: content})


def keep_program(ground: Any, visitor: Visitor, bundle: Bundle) -> str:
    """Keep a program until its job is bought; its digest in hexadecimal."""
    folder = _uploads(ground, acting(visitor))
    digest = bundle.digest.hex()
    write_private(folder / f"{digest}.json", orjson.dumps(bundle.to_fields()))
    kept = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-MOST_UPLOADS]:
        path.unlink(missing_ok=True)
    return digest


def new_number() -> str:
    """A number for an order."""
    return secrets.token_hex(NUMBER_BYTES)


def quoted(ground: Any, visitor: Visitor, fields: Fields) -> JobReview:
    """What the dataset's node asks for a job; the reason where it would not take it."""
    return _reviewed(ground, Data.of(ground), acting(visitor), fields)


def _prepare(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    buyer, unit = acting(visitor), coin_unit(ground)
    data = Data.of(ground)
    review = _reviewed(ground, data, buyer, fields)
    quote, name = review.quote, data.dataset(review.asked.work_id).registration.name
    have = int(ground.chain.coin.call("balanceOf", buyer))
    if have < review.most:
        raise PaymentError(
            gettext(
                "You have %(have)s, and this takes %(needed)s at most.",
                have=money(have, unit),
                needed=money(review.most, unit),
            ),
            hint=gettext(
                "Where money is test money, the page Money gives you some; else send your account some."
            ),
            code="data.too_little",
        )
    changes = [
        gettext(
            "Your program runs where the data are; you get the declared results, with noise, and no row."
        ),
        gettext(
            "%(epsilon)s of the dataset's privacy budget is spent, however the run ends.",
            epsilon=f"{quote.epsilon:g}",
        ),
    ]
    costs = []
    if review.offer is not None:
        costs.append(gettext("%(price)s for leave to compute.", price=money(review.grant_price, unit)))
    costs += [
        gettext(
            "At most %(locked)s for the run: %(price)s a second, up to %(seconds)s seconds.",
            locked=money(review.locked, unit),
            price=money(quote.price_per_second, unit),
            seconds=quote.max_seconds,
        ),
        gettext("All of it is paid for a result: how long a run took would tell of the data.")
        if quote.private
        else gettext(
            "What the run does not use comes back to you in the same transaction that pays its owner."
        ),
    ]
    return Review(
        title=gettext("Compute on “%(name)s”?", name=name),
        button=gettext("Pay and hand it in"),
        changes=tuple(changes),
        costs=tuple(costs),
        risks=_risks(review),
        result=_simulated(review, unit),
    )


def _risks(review: JobReview) -> tuple[str, ...]:
    how = (
        gettext("A program that fails is not told of: you get noise, and pay for the seconds. Try it first.")
        if review.quote.private
        else gettext(
            "If the program fails or the owner's rules stop its result, you learn only that, and the price "
            "of the run comes back."
        )
    )
    return (
        how,
        gettext(
            "If the owner does not answer within about %(minutes)s minutes, you take the price of the run "
            "back.",
            minutes=max(1, round((review.quote.deadline_s + 600) / 60)),
        ),
        gettext("This node keeps the key to your result. Whoever operates it could read it."),
    )


def _simulated(review: JobReview, unit: Unit) -> dict[str, str]:
    found = {gettext("You pay at most"): money(review.most, unit)}
    for name, bound in review.quote.noise.items():
        label = gettext("Noise of %(name)s, 19 times in 20", name=name)
        found[label] = gettext("less than %(bound)s", bound=f"{bound:.3g}")
    if review.quote.waiting:
        found[gettext("Jobs before yours")] = str(review.quote.waiting)
    return found


def _run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    data = Data.of(ground, account)
    review = _reviewed(ground, data, account.address, fields)
    agreed, unit = whole_number(fields.get("most", ""), 40), coin_unit(ground)
    if agreed is None or review.most > agreed:
        raise PaymentError(
            gettext("The price rose since you looked at it."),
            hint=gettext("Load the dataset's page again."),
            code="data.price_rose",
        )
    number = fields.get("number", "")
    leave = _consent(fields)
    order = data.submit(review, number=number, consent=leave, say=lambda step: say(gettext(STEPS[step])))
    if order.why:
        return Outcome(
            gettext("The owner's node refused it: %(why)s", why=order.why), f"/jobs/{order.job_id}"
        )
    return Outcome(
        gettext("Your job is handed in; its number is %(id)s.", id=order.job_id),
        f"/jobs/{order.job_id}",
        {gettext("Locked for the run"): money(review.locked, unit)},
    )


def _reviewed(ground: Any, data: Data, buyer: str, fields: Fields) -> JobReview:
    work_id = work_id_of(fields)
    bundle = _kept(ground, buyer, fields.get("program", ""))
    schema = fields.get("schema", "").replace("\r\n", "\n")
    seconds, blocks = (whole_number(fields.get(name, ""), 6) for name in ("seconds", "blocks"))
    if seconds is None or blocks is None:
        raise BadInput(gettext("Seconds and blocks are whole numbers."), code="data.form")
    if not schema.strip() or len(schema) > SCHEMA_BYTES:
        raise BadInput(
            gettext("Say what your program returns."),
            hint=gettext("The form shows an example."),
            code="data.form",
        )
    url = asked_node(data, work_id, operator=buyer == ground.operator.address)
    review = data.review(work_id, bundle, schema, blocks=blocks, seconds=seconds, url=url, buyer=buyer)
    if review.offer is not None and review.offer.consent is Consent.SIGNED and _consent(fields) is None:
        raise PaymentError(
            gettext("Its owner lets only some compute on it, and you have no leave yet."),
            hint=gettext("Ask its owner for a signed consent, and put it into the form."),
            code="data.consent",
        )
    return review


def _consent(fields: Fields) -> SignedConsent | None:
    """The owner's, where one was given."""
    told = fields.get("consent", "").strip()
    return SignedConsent.from_text(told) if told else None


def asked_node(data: Data, work_id: int, *, operator: bool) -> str:
    """The address of a dataset's node, where this visitor may have it asked.

    A registration file can name any address, and this node would ask it from inside its owner's network; so
    nodes of others are asked for the operator alone.
    """
    if work_id in data.kept() and (own := data.serving()):
        return own
    if work_id in data.kept():
        raise NotFound(
            gettext("The node for this dataset does not run now."),
            hint=gettext("Its owner starts it with: koinon data serve"),
            code="data.no_node",
        )
    if not operator:
        raise KeyFault(
            gettext("Other people's datasets are computed on from here by this node's operator alone."),
            hint=gettext("Run a node of your own, or use the dataset's own console."),
            code="data.operator_only",
        )
    return data.node_url(work_id)


def _refund_review(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    order = own_order(ground, acting(visitor), fields.get("job_id", ""))
    job = Data.of(ground).orders.progress(order).chain
    amount = money(job.locked, coin_unit(ground))
    return Review(
        title=gettext("Take the price of job %(id)s back?", id=order.job_id),
        button=gettext("Take it back"),
        changes=(gettext("%(amount)s comes back to the account that ordered it.", amount=amount),),
        costs=(gettext("Gas for one transaction."),),
    )


def _refund(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    order = own_order(ground, account.address, fields.get("job_id", ""))
    say(gettext("Taking it back"))
    returned = Data.of(ground, account).refund(order.job_id)
    sentence = gettext("%(amount)s came back.", amount=money(returned, coin_unit(ground)))
    return Outcome(sentence, f"/jobs/{order.job_id}")


def own_order(ground: Any, account: str | None, text: str) -> JobOrder:
    """A visitor's own order; NotFound for everybody else's."""
    job_id = whole_number(text)
    found = [each for each in Data.of(ground).orders.all() if job_id and each.job_id == job_id]
    if not found or account is None or found[0].buyer != account:
        raise NotFound(
            gettext("This job is not yours, or was not bought here."),
            hint=gettext("Come in with the account that bought it."),
            code="data.no_order",
        )
    return found[0]


def _uploads(ground: Any, buyer: str) -> Path:
    return Path(ground.settings.home) / ROOM / UPLOADS / buyer


def _kept(ground: Any, buyer: str, digest: str) -> Bundle:
    path = _uploads(ground, buyer) / f"{digest}.json"
    if len(digest) != 64 or not digest.isalnum() or not path.is_file():
        raise BadInput(
            gettext("The program is not here any more."),
            hint=gettext("Upload it again."),
            code="data.no_upload",
        )
    return Bundle.from_fields(orjson.loads(path.read_bytes()))


def _unzipped(content: bytes) -> Bundle:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = [each for each in archive.infolist() if not each.is_dir()]
            if len(inside) > PROGRAM_FILES or sum(each.file_size for each in inside) > PROGRAM_BYTES:
                raise BadInput(
                    gettext("The program is larger than 4 MiB, or has more than 256 files."),
                    code="data.program_size",
                )
            if all(each.compress_type in _PACKED for each in inside):
                return Bundle({each.filename: archive.read(each) for each in inside})
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError):
        pass
    raise BadInput(gettext("This is not a zip file that can be read."), code="data.upload")


BUY: Final = Action("data.compute", _prepare, _run, back="/datasets")
REFUND: Final = Action("data.refund", _refund_review, _refund, back="/jobs")
