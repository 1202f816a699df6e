# SPDX-License-Identifier: Apache-2.0
"""A schema of three issuers of whom two must sign, and what they would sign."""

from __future__ import annotations

from dataclasses import dataclass, replace

from koinon.markets.simulation.bench import Bench
from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms, Signed, Standing, in_order
from tests.bench_support import HALL_MOCKS, Handle, account, deploy, key

DAY = 86_400
ROLES = ("first issuer", "second issuer", "third issuer")
SUBJECT, STRANGER, REGISTRANT = account("subject"), account("stranger"), account("registrant")
DELAY_S = 7 * DAY


@dataclass
class Scene:
    """The contract, a schema of three issuers of whom two must sign, and what they would sign."""

    bench: Bench
    contract: Handle
    resolver: Handle
    schema: bytes
    terms: SchemaTerms

    @property
    def domain(self) -> AttestationDomain:
        return AttestationDomain(self.bench.chain_id, self.contract.address)

    def attestation(self, word: int = 7, **changes: object) -> Attestation:
        now = self.bench.timestamp
        made = Attestation(self.schema, SUBJECT, word, now, now + 30 * DAY, as_of_block=5, work_id=3)
        return replace(made, **changes)  # type: ignore[arg-type]

    def signed(self, attestation: Attestation, *roles: str) -> list[Signed]:
        return in_order([self.domain.sign(key(role), attestation) for role in roles or ROLES[:2]])

    def post(self, attestation: Attestation, *roles: str) -> bytes:
        signed = self.signed(attestation, *roles)
        return bytes(self.contract.attest(attestation.values(), signed, sender=STRANGER))

    def revoke(self, attestation: Attestation, *roles: str) -> None:
        signed = in_order(
            [self.domain.sign_revocation(key(role), attestation) for role in roles or ROLES[:2]]
        )
        uid = self.domain.uid(attestation)
        self.contract.revoke(attestation.schema, attestation.subject, uid, signed, sender=STRANGER)

    def latest(self, subject: str = SUBJECT, schema: bytes | None = None) -> Standing:
        return Standing(*self.contract.latest(schema or self.schema, subject))


def open_scene() -> Scene:
    """A new one, on a chain of its own."""
    bench = Bench()
    contract = deploy(bench, "Attestations")
    resolver = deploy(bench, HALL_MOCKS / "Resolver.vy")
    issuers = tuple(account(role) for role in ROLES)
    terms = SchemaTerms("a score from 0 to 255", resolver.address, issuers, 2, DELAY_S)
    schema = contract.register(*terms.values(), sender=REGISTRANT)
    bench.next_block(bench.timestamp + 100)
    return Scene(bench, contract, resolver, schema, terms)
