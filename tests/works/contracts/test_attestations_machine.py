# SPDX-License-Identifier: Apache-2.0
"""Attesting, replaying, revoking, waiting and changing issuers in any order, held to a model."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from koinon.errors import TransactionFailed
from koinon.markets.simulation.bench import Bench
from koinon.works.attestations import (
    Attestation,
    AttestationDomain,
    SchemaTerms,
    Standing,
    in_order,
    rising,
)
from tests.bench_support import NOBODY, account, deploy, key

POOL = tuple(f"issuer {number}" for number in range(5))
SUBJECTS = ("one", "another")
DELAY_S = 100


class Attesting(RuleBasedStateMachine):
    """One schema whose issuers change, two subjects, and everything that was ever signed."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.contract = deploy(self.bench, "Attestations")
        self.domain = AttestationDomain(self.bench.chain_id, self.contract.address)
        terms = SchemaTerms("text", NOBODY, tuple(account(role) for role in POOL[:3]), 2, DELAY_S)
        self.schema = self.contract.register(*terms.values())
        self.offices = [(self.bench.timestamp, set(POOL[:3]), 2)]
        self.changes = 0
        self.signed: list[tuple[Attestation, tuple[str, ...]]] = []
        self.standing: dict[str, Attestation] = {}
        self.revoked: set[bytes] = set()

    def office(self) -> tuple[set[str], int]:
        """Who may sign now, and how many must."""
        return next(
            (issuers, threshold)
            for since, issuers, threshold in reversed(self.offices)
            if since <= self.bench.timestamp
        )

    def enough(self, roles: tuple[str, ...]) -> bool:
        issuers, threshold = self.office()
        return set(roles) <= issuers and len(roles) >= threshold

    def works(self, name: str, *arguments: object) -> bool:
        try:
            getattr(self.contract, name)(*arguments)
        except TransactionFailed as refusal:
            if refusal.reason:
                return False
            raise  # without a reason it is an accident
        return True

    roles = st.lists(st.sampled_from(POOL), max_size=4, unique=True).map(tuple)

    @rule(
        subject=st.sampled_from(SUBJECTS),
        age=st.integers(0, 50),
        lasts=st.integers(1, 200),
        nonce=st.integers(0, 2),
        roles=roles,
    )
    def something_is_signed_and_posted(self, subject, age, lasts, nonce, roles):
        issued_at = self.bench.timestamp - age
        word = len(self.signed)
        made = Attestation(self.schema, account(subject), word, issued_at, issued_at + lasts, nonce=nonce)
        self.signed.append((made, roles))
        self.posted(len(self.signed) - 1)

    @rule(number=st.integers(0, 30))
    def something_signed_is_posted_again(self, number):
        if self.signed:
            self.posted(number % len(self.signed))

    def posted(self, number: int) -> None:
        made, roles = self.signed[number]
        signatures = in_order([self.domain.sign(key(role), made) for role in roles])
        before = self.standing.get(made.subject)
        newer = before is None or (made.issued_at, made.nonce) > (before.issued_at, before.nonce)
        expected = (
            newer
            and made.expires_at > self.bench.timestamp
            and self.domain.uid(made) not in self.revoked
            and self.enough(roles)
        )
        assert self.works("attest", made.values(), signatures) == expected
        if expected:
            self.standing[made.subject] = made

    @rule(number=st.integers(0, 30), roles=roles)
    def something_is_taken_back(self, number, roles):
        if not self.signed:
            return
        made, _ = self.signed[number % len(self.signed)]
        uid = self.domain.uid(made)
        signatures = in_order([self.domain.sign_revocation(key(role), made) for role in roles])
        expected = uid not in self.revoked and self.enough(roles)
        assert self.works("revoke", self.schema, made.subject, uid, signatures) == expected
        if expected:
            self.revoked.add(uid)

    @rule(roles=roles, successors=st.sets(st.sampled_from(POOL), min_size=1), all_of_them=st.booleans())
    def issuers_are_changed(self, roles, successors, all_of_them):
        threshold = len(successors) if all_of_them else 1
        accounts = rising(account(role) for role in successors)
        signatures = in_order(
            [
                self.domain.sign_change(key(role), self.schema, accounts, threshold, self.changes)
                for role in roles
            ]
        )
        expected = self.enough(roles)
        assert self.works("change_issuers", self.schema, accounts, threshold, signatures) == expected
        if expected:
            self.changes += 1
            now = self.bench.timestamp
            self.offices = [office for office in self.offices if office[0] <= now]
            self.offices.append((now + DELAY_S, successors, threshold))

    @rule(seconds=st.sampled_from((1, 30, DELAY_S)))
    def time_passes(self, seconds):
        self.bench.next_block(self.bench.timestamp + seconds)

    @invariant()
    def the_newest_stands_until_it_ends_or_is_taken_back(self):
        for subject in SUBJECTS:
            found = Standing(*self.contract.latest(self.schema, account(subject)))
            made = self.standing.get(account(subject))
            if made is None:
                assert found.uid == bytes(32)
                continue
            uid = self.domain.uid(made)
            assert (found.uid, found.word, found.expires_at) == (uid, made.word, made.expires_at)
            valid = uid not in self.revoked and self.bench.timestamp < made.expires_at
            assert self.contract.is_valid(self.schema, account(subject)) == valid

    @invariant()
    def issuers_are_those_in_office(self):
        issuers, threshold = self.office()
        expected = rising(account(role) for role in issuers), threshold
        accounts, count = self.contract.issuers_of(self.schema)
        assert (list(accounts), count) == expected


def test_any_order_of_signatures_keeps_what_was_said():
    run_state_machine_as_test(
        Attesting,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
