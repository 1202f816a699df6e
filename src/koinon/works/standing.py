# SPDX-License-Identifier: Apache-2.0
"""What an account has given and been given: Works, grants, and the rights it lent to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.family import Index
from koinon.works.forms import acting, whole_number
from koinon.works.ground import Ground

MOST: Final = 100
UNLIMITED: Final = 2**255
"""An allowance from here on counts as without limit."""


@dataclass(frozen=True)
class Held:
    """A grant the account holds, or sold. ``valid_until`` in Unix seconds; ``paid`` in the coin's smallest
    unit."""

    grant_id: int
    work_id: int
    use: int
    grantee: str
    paid: int
    valid_until: int


@dataclass(frozen=True)
class Spoken:
    """A word the account gave on a Work: ``value`` × 10**-``decimals``, and where its text is kept."""

    work_id: int
    index: int
    value: int
    decimals: int
    tag: str
    uri: str


@dataclass(frozen=True)
class Lent:
    """A right the account lent: ``coins`` (who may move them, up to ``amount``), ``works`` (who may act for
    all of its Works) or ``work`` (who may move Work ``work_id``)."""

    kind: str
    to: str
    amount: int = 0
    work_id: int = 0

    @property
    def unlimited(self) -> bool:
        return self.amount >= UNLIMITED


def held(index: Index, account: str) -> list[Held]:
    """The newest grants an account holds."""
    return _grants(index, "g.grantee = ?", account)


def sold(index: Index, account: str) -> list[Held]:
    """The newest grants on Works that the account published or was given, whoever took them up."""
    owned = 'EXISTS (SELECT 1 FROM works_transfer t WHERE t.token_id = g.work_id AND t."to" = ?)'
    return _grants(index, owned, account)


def _grants(index: Index, condition: str, account: str) -> list[Held]:
    found = index.rows(
        f"SELECT g.* FROM terms_granted g WHERE {condition}"  # noqa: S608  one of two constants
        " ORDER BY g.block_number DESC, g.log_index DESC LIMIT ?",
        (account, MOST),
    )
    return [
        Held(
            int(row["grant_id"]),
            int(row["work_id"]),
            int(row["use"]),
            row["grantee"],
            int(row["paid"]),
            int(row["valid_until"]),
        )
        for row in found
    ]


def spoken(index: Index, account: str) -> list[Spoken]:
    """The newest words an account gave, revoked ones too."""
    found = index.rows(
        "SELECT agent_id, feedback_index, value, value_decimals, tag1, feedback_uri"
        " FROM reputation_new_feedback WHERE client_address = ?"
        " ORDER BY block_number DESC, log_index DESC LIMIT ?",
        (account, MOST),
    )
    return [
        Spoken(
            int(row["agent_id"]),
            int(row["feedback_index"]),
            int(row["value"]),
            int(row["value_decimals"]),
            row["tag1"],
            row["feedback_uri"],
        )
        for row in found
    ]


def lent(index: Index, chain: Chain, account: str) -> list[Lent]:
    """Rights that still stand, as the chain says now."""
    coin, works = chain.coin, chain.contract("Works")
    spenders = _distinct(index, "SELECT DISTINCT spender AS who FROM coin_approval WHERE owner = ?", account)
    operators = _distinct(
        index, "SELECT DISTINCT operator AS who FROM works_approval_for_all WHERE owner = ?", account
    )
    single = index.rows(
        "SELECT DISTINCT token_id FROM works_approval WHERE owner = ? ORDER BY token_id DESC LIMIT ?",
        (account, MOST),
    )
    allowances = coin.call_many([("allowance", account, who) for who in spenders])
    everything = works.call_many([("isApprovedForAll", account, who) for who in operators])
    ids = [int(row["token_id"]) for row in single]
    owners = works.call_many([("ownerOf", work_id) for work_id in ids])
    movers = works.call_many([("getApproved", work_id) for work_id in ids])
    return [
        *(
            Lent("coins", who, int(amount))
            for who, amount in zip(spenders, allowances, strict=True)
            if amount
        ),
        *(Lent("works", who) for who, stands in zip(operators, everything, strict=True) if stands),
        *(
            Lent("work", who, work_id=work_id)
            for work_id, owner, who in zip(ids, owners, movers, strict=True)
            if owner == account and who != ZERO_ADDRESS
        ),
    ]


def _distinct(index: Index, sql: str, account: str) -> list[str]:
    return [str(row["who"]) for row in index.rows(f"{sql} LIMIT {MOST}", (account,))]


def _prepare_revoke(_ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    acting(visitor)
    kind, who, work_id = _right(fields)
    words = {
        "coins": gettext("%(who)s may move none of your coins any more.", who=who),
        "works": gettext("%(who)s may not act for your Works any more.", who=who),
        "work": gettext("Nobody else may move Work %(id)s any more.", id=work_id),
    }
    return Review(
        title=gettext("Take this right back?"),
        button=gettext("Take it back"),
        changes=(words[kind],),
        costs=(gettext("Gas for one transaction."),),
        risks=(gettext("What was done with the right before cannot be undone."),),
    )


def _run_revoke(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    kind, who, work_id = _right(fields)
    works = ground.chain.contract("Works")
    say(gettext("Taking the right back"))
    if kind == "coins":
        call = ground.chain.coin.transaction("approve", who, 0)
    elif kind == "works":
        call = works.transaction("setApprovalForAll", who, False)
    else:
        call = works.transaction("approve", ZERO_ADDRESS, work_id)
    receipt = ground.chain.sender(account).send(call)
    return Outcome(
        gettext("The right is taken back."), "/me", {gettext("Transaction"): receipt.transaction_hash}
    )


def _right(fields: Fields) -> tuple[str, str, int]:
    kind, work_id = fields.get("kind", ""), whole_number(fields.get("work_id", "0"))
    if kind not in ("coins", "works", "work") or work_id is None:
        raise BadInput(gettext("The form names no right."), code="works.right")
    return kind, checksum(fields.get("to", "")), work_id


REVOKE: Final = Action("works.revoke", _prepare_revoke, _run_revoke, back="/me")
