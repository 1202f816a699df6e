# SPDX-License-Identifier: Apache-2.0
"""What each peer's part is worth, and what is published: the same for everybody who followed the run.

Scores are measured by each peer for itself and agreed by their median on chain, so that a last bit of
floating point, or a liar, changes nothing. From then on all is integers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError
from koinon.learning import metrics
from koinon.learning.contribution import split_income
from koinon.learning.evidence import Contributions, Evidence, measure
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.swarm.onion import HIGHEST, packed_scores
from koinon.tables import Table
from koinon.works.registration import Card, Metric, Registration, SignedRegistration
from koinon.works.shares import OWNER, WHOLE, ShareTable

_NEAR = 1e-6
"""How far two machines' measurements of one model may lie apart."""


def own_scores(evidence: Evidence, contribution_set: Table) -> bytes:
    """What this peer finds every member's part to be worth, packed as the chain takes it."""
    found = measure(evidence, evidence.replay(), contribution_set, {})
    return packed_scores(found.values)


@dataclass(frozen=True)
class Worth:
    """Who earns what: of data by member, of computing by account, in 1e-9 of all income."""

    contributions: Contributions
    compute: Mapping[str, int]


def agreed_worth(
    evidence: Evidence,
    contribution_set: bytes,
    medians: Sequence[int],
    minimums: Mapping[int, int],
    work: Mapping[str, int],
) -> Worth:
    """Divide the model's income.

    Parameters
    ----------
    contribution_set : bytes
        Digest of the set that was scored on.
    medians : sequence of int
        Every member's score on chain.
    minimums : mapping of int to int
        The least shares that were promised, in 1e-9.
    work : mapping of str to int
        Metered work by account.
    """
    recipe = evidence.recipe
    participants = sorted({member for one in evidence.rounds for member in one.updates})
    values = {member: medians[member] / HIGHEST for member in participants}
    compute_share = recipe.compute_share if any(work.values()) else 0
    income = split_income(
        recipe.owners_share,
        compute_share,
        values,
        work,
        minimums={member: share for member, share in minimums.items() if member in values},
    )
    scores = tuple(round(median / HIGHEST, 12) for median in medians)
    contributions = Contributions(
        rule=f"{recipe.contribution}, median",
        contribution_set=contribution_set,
        values=scores,
        low=scores,
        high=scores,
        copies=(),
        shares=income.data,
        minimums={member: share for member, share in sorted(minimums.items()) if share},
        evidence=hashlib.sha256(evidence.to_bytes()).digest(),
    )
    return Worth(contributions, income.compute)


def share_table(worth: Worth, tills: Mapping[int, str]) -> ShareTable:
    """Members' tills, those who computed, and the rest to the model's owner."""
    shares = {tills[member]: share for member, share in worth.contributions.shares.items()}
    for account, share in worth.compute.items():
        if share:
            shares[account] = shares.get(account, 0) + share
    rest = WHOLE - sum(shares.values())
    return ShareTable({**shares, **({OWNER: rest} if rest else {})})


def registration(
    recipe: Recipe, evidence: Evidence, vector: Vector, shares: ShareTable, held_out: Table | None
) -> Registration:
    """The model's registration file, from what can be measured here."""
    taught = {member: rows for one in evidence.rounds for member, rows in one.examples.items()}
    card = Card(
        kind="model",
        summary=f"{recipe.name}: predicts '{recipe.label}' from {len(recipe.columns)} columns.",
        data=f"{sum(taught.values())} rows of {len(taught)} owners, which never left them.",
        limits=(
            "Measured on rows like those it learnt from; elsewhere it may be wrong.",
            "A decision about a person needs a person who can be asked.",
            "Updates were seen by every peer of the run; they can tell something about single rows.",
        ),
        contest="Write to the owner of this Work, or compute the run again: its digests are on chain.",
        metric=None if held_out is None else _metric(recipe, evidence.scaling, vector, held_out),
        unmeasured="" if held_out is not None else "The held-out rows were not revealed.",
    )
    return Registration(
        name=recipe.name,
        description=f"{recipe.name}, taught by {len(taught)} owners of data without a server.",
        card=card,
        shares=shares,
    )


def check_registration(
    content: bytes, expected: Registration, leader: str, domain: Domain
) -> SignedRegistration:
    """A leader's registration file, where it says what it must.

    Raises
    ------
    BadInput, IntegrityError
        No registration file, not the leader's, or with other shares or another measurement.
    """
    found = SignedRegistration.from_bytes(content)
    found.check(domain)
    said, ours = found.registration, expected
    metric, measured = said.card.metric, ours.card.metric
    same = (
        found.signer == leader
        and (said.name, said.description, said.shares) == (ours.name, ours.description, ours.shares)
        and (said.card.kind, said.card.summary, said.card.data)
        == (ours.card.kind, ours.card.summary, ours.card.data)
        and (said.services, said.contents, said.image) == (ours.services, ours.contents, ours.image)
    )
    near = metric is None or measured is None or _close(metric, measured)
    if not same or not near:
        raise IntegrityError("The registration file says something else.", code="swarm.registration")
    return found


def sign_registration(found: Registration, key: Key, domain: Domain) -> bytes:
    """The file's content."""
    return found.sign(key, domain).to_bytes()


def _close(one: Metric, other: Metric) -> bool:
    return (one.name, one.samples) == (other.name, other.samples) and abs(one.value - other.value) <= _NEAR


def _metric(recipe: Recipe, scaling: Scaling, vector: Vector, held_out: Table) -> Metric:
    if held_out.columns != recipe.columns:
        raise BadInput("The held-out set has other columns than the recipe.", code="learning.columns_differ")
    found = metrics.bootstrap(
        held_out.labels, recipe.model.probabilities(vector, scaling.apply(held_out.features))
    )
    return Metric(
        name=metrics.metric_name(recipe.classes),
        value=found.value,
        interval=(min(found.low, found.value), max(found.high, found.value)),
        baseline=metrics.chance(recipe.classes),
        baseline_name="chance",
        held_out="rows that no owner trained on and nobody was paid by",
        samples=len(held_out),
    )
