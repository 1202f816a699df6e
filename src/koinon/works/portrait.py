# SPDX-License-Identifier: Apache-2.0
"""One Work as people look at it: what it is, whose, on what terms, and what others say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.directory import Entry
from koinon.works.earnings import Income
from koinon.works.hall import Hall
from koinon.works.offers import offer_mark
from koinon.works.registration import Registration
from koinon.works.way import Way

CONTEST: Final = "contest"
"""First tag of feedback that contests what a Work's card says."""

MOST: Final = 50
"""Feedbacks, validations and grants that a page shows, newest first."""


@dataclass(frozen=True)
class OpenUse:
    """An offer that stands. ``use`` as in `terms.Use`; ``price`` in the token's smallest unit."""

    use: int
    token: str
    price: int
    period_s: int
    consent: int
    expires_at: int
    terms_digest: str

    @property
    def mark(self) -> str:
        """What the form that takes it up carries."""
        return offer_mark(self.price, self.period_s, self.terms_digest)


@dataclass(frozen=True)
class Word:
    """One feedback. ``figure`` is value × 10**-decimals; ``paid`` what this client's payments to the Work's
    till came to before, in the coin's smallest unit."""

    client: str
    index: int
    figure: float
    tag1: str
    tag2: str
    uri: str
    timestamp: int
    revoked: bool
    paid: int

    @property
    def contests(self) -> bool:
        return self.tag1 == CONTEST


@dataclass(frozen=True)
class Check:
    """A validation that was asked for; ``response`` 0 to 100, None before the first answer."""

    validator: str
    request_hash: str
    response: int | None
    tag: str
    timestamp: int


@dataclass(frozen=True)
class Used:
    """A grant: who may use the Work, how, until when (0: for ever), and what was paid."""

    grant_id: int
    use: int
    grantee: str
    payer: str
    paid: int
    starts_at: int
    valid_until: int


@dataclass(frozen=True)
class Relative:
    """A parent or child. ``share`` the least of the child's income that the parent gets, in 1e-9."""

    work_id: int
    name: str
    share: int


@dataclass(frozen=True)
class Portrait:
    """Everything a page shows of a Work. ``file`` None where it cannot be read, with the reason."""

    entry: Entry
    file: Registration | None
    fault: str
    till: str
    owner: str
    way: Way
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]
    names: Mapping[int, str]
    uses: tuple[OpenUse, ...]
    words: tuple[Word, ...]
    checks: tuple[Check, ...]
    granted: tuple[Used, ...]


def portrait(hall: Hall, work_id: int, until: int | None = None) -> Portrait:
    """Read a Work from the index; money as it was at ``until`` (Unix seconds), or now.

    Raises
    ------
    NotFound
        There is no Work of that id, or the index has not seen it yet.
    """
    entry = hall.directory.entry(work_id)
    if entry is None:
        raise NotFound(
            f"There is no Work {work_id} on {hall.chain.network.name}.",
            hint="Check the id; a Work published a moment ago appears with the next block that is read.",
            code="works.work",
        )
    way = hall.ways.of(work_id, until)
    parents, children = hall.family.parents_of(work_id), hall.family.children_of(work_id)
    related = {relative for relative, _ in (*parents, *children)} | set(way.works)
    names = hall.directory.names(sorted(related))
    file, fault = _file(hall, entry)
    return Portrait(
        entry=entry,
        file=file,
        fault=fault,
        till=hall.family.till_of(work_id),
        owner=entry.owner,
        way=way,
        parents=_relatives(parents, names),
        children=_relatives(children, names),
        names=names,
        uses=open_uses(hall, work_id),
        words=_words(hall, work_id, way.income),
        checks=_checks(hall, work_id),
        granted=_granted(hall, work_id),
    )


def open_uses(hall: Hall, work_id: int) -> tuple[OpenUse, ...]:
    """Offers of the Work's present owner that were not closed and have not expired."""
    owner = hall.family.owner_of(work_id)
    head = hall.index.head()
    now = head.timestamp if head is not None else 0
    latest: dict[int, dict[str, Any] | None] = {}
    made = hall.index.rows("SELECT * FROM terms_offer_made WHERE work_id = ?", (work_id,))
    closed = hall.index.rows("SELECT * FROM terms_offer_closed WHERE work_id = ?", (work_id,))
    steps = [(row, True) for row in made] + [(row, False) for row in closed]
    for row, stands in sorted(steps, key=lambda step: (step[0]["block_number"], step[0]["log_index"])):
        latest[int(row["use"])] = row if stands else None
    return tuple(
        OpenUse(
            use=use,
            token=row["token"],
            price=int(row["price"]),
            period_s=int(row["period"]),
            consent=int(row["consent"]),
            expires_at=int(row["expires_at"]),
            terms_digest=row["terms_digest"],
        )
        for use, row in sorted(latest.items())
        if row is not None and row["owner"] == owner and (not row["expires_at"] or row["expires_at"] >= now)
    )


def _file(hall: Hall, entry: Entry) -> tuple[Registration | None, str]:
    try:
        return hall.family.file(entry.uri).registration, ""
    except (NotFound, BadInput, IntegrityError) as fault:
        return None, fault.message


def _relatives(found: Sequence[tuple[int, int]], names: Mapping[int, str]) -> tuple[Relative, ...]:
    return tuple(Relative(work_id, names.get(work_id, ""), share) for work_id, share in found)


def _words(hall: Hall, work_id: int, income: Income) -> tuple[Word, ...]:
    found = hall.index.rows(
        "SELECT f.*, b.timestamp,"
        " EXISTS (SELECT 1 FROM reputation_feedback_revoked r WHERE r.agent_id = f.agent_id"
        " AND r.client_address = f.client_address AND r.feedback_index = f.feedback_index) AS revoked"
        " FROM reputation_new_feedback f LEFT JOIN block b ON b.number = f.block_number"
        " WHERE f.agent_id = ? ORDER BY f.block_number DESC, f.log_index DESC LIMIT ?",
        (work_id, MOST),
    )
    words = []
    for row in found:
        at = int(row["timestamp"] or 0)
        paid = income.paid_by(row["client_address"], until=at)
        words.append(
            Word(
                client=row["client_address"],
                index=int(row["feedback_index"]),
                figure=int(row["value"]) / 10 ** int(row["value_decimals"]),
                tag1=row["tag1"],
                tag2=row["tag2"],
                uri=row["feedback_uri"],
                timestamp=at,
                revoked=bool(row["revoked"]),
                paid=paid,
            )
        )
    return tuple(words)


def _checks(hall: Hall, work_id: int) -> tuple[Check, ...]:
    asked = hall.index.rows(
        "SELECT q.*, b.timestamp FROM validation_validation_request q"
        " LEFT JOIN block b ON b.number = q.block_number"
        " WHERE q.agent_id = ? ORDER BY q.block_number DESC, q.log_index DESC LIMIT ?",
        (work_id, MOST),
    )
    checks = []
    for row in asked:
        answers = hall.index.rows(
            "SELECT response, tag FROM validation_validation_response WHERE request_hash = ?"
            " ORDER BY block_number DESC, log_index DESC LIMIT 1",
            (row["request_hash"],),
        )
        checks.append(
            Check(
                validator=row["validator_address"],
                request_hash=row["request_hash"],
                response=int(answers[0]["response"]) if answers else None,
                tag=answers[0]["tag"] if answers else "",
                timestamp=int(row["timestamp"] or 0),
            )
        )
    return tuple(checks)


def _granted(hall: Hall, work_id: int) -> tuple[Used, ...]:
    found = hall.index.rows(
        "SELECT * FROM terms_granted WHERE work_id = ? ORDER BY block_number DESC, log_index DESC LIMIT ?",
        (work_id, MOST),
    )
    return tuple(
        Used(
            grant_id=int(row["grant_id"]),
            use=int(row["use"]),
            grantee=row["grantee"],
            payer=row["payer"],
            paid=int(row["paid"]),
            starts_at=int(row["starts_at"]),
            valid_until=int(row["valid_until"]),
        )
        for row in found
    )
