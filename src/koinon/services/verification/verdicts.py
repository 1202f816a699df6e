# SPDX-License-Identifier: Apache-2.0
"""Verdicts on a Work's answers, whoever gave them, as the ERC-8004 Validation Registry has them.

Every way of checking is a contract that is the validator of its requests: re-execution (`Verification.vy`),
several providers (`Redundancy.vy`), proofs (`ProofVerdicts.vy`). What a verdict is worth depends on its
validator; its tag says of what kind it is and whether it is final:

    reexec:soft   nobody disputed in time          may have been checked by nobody
    reexec:hard   a committee ran it again         final
    redundancy    most of the stake agreed         final
    zkml          a proof was verified on chain    final
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from koinon.chain.handle import Chain
from koinon.works.validation import Validations

SOFT: Final = "reexec:soft"
HARD: Final = "reexec:hard"
REDUNDANCY: Final = "redundancy"
ZKML: Final = "zkml"
FINAL: Final = frozenset({HARD, REDUNDANCY, ZKML})


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict. ``response`` 0 (broken) to 100 (kept); ``updated_at`` in Unix seconds."""

    work_id: int
    request: bytes
    validator: str
    response: int
    tag: str
    updated_at: int

    @property
    def final(self) -> bool:
        """Whether its validator is not going to change it."""
        return self.tag in FINAL

    @property
    def kept(self) -> bool:
        """Whether the promise was kept, as far as this verdict goes."""
        return self.response == 100


class Verifier(Protocol):
    """A way of checking answers whose verdicts land in the registry."""

    @property
    def address(self) -> str:
        """The validator that a request must name."""

    @property
    def tags(self) -> frozenset[str]:
        """The tags of its verdicts."""


@dataclass(frozen=True, slots=True)
class ContractVerifier:
    """A `Verifier` that is a contract of the network."""

    address: str
    tags: frozenset[str]


def known_verifiers(chain: Chain) -> list[Verifier]:
    """The network's own: re-execution, several providers, and proofs."""
    kinds = {
        "Verification": frozenset({SOFT, HARD}),
        "Redundancy": frozenset({REDUNDANCY}),
        "ProofVerdicts": frozenset({ZKML}),
    }
    return [ContractVerifier(chain.network.address(name), tags) for name, tags in kinds.items()]


class Registry:
    """Verdicts of the verifiers that this reader knows.

    Parameters
    ----------
    chain : Chain
    verifiers : iterable of Verifier
        Answers of anybody else are not verdicts: whoever owns a Work may ask a friend.
    """

    def __init__(self, chain: Chain, verifiers: Iterable[Verifier]) -> None:
        self._validations = Validations(chain)
        self._tags: Mapping[str, frozenset[str]] = {each.address: each.tags for each in verifiers}

    def of_work(self, work_id: int) -> list[Verdict]:
        """Every verdict on a Work, the oldest request first; requests without one are left out."""
        found = []
        for request in self._validations.of_work(work_id):
            verdict = self.on(request)
            if verdict is not None:
                found.append(verdict)
        return found

    def on(self, request: bytes) -> Verdict | None:
        """The verdict on a request; None before there is one, or where its validator is not known."""
        status = self._validations.status(request)
        if status.tag not in self._tags.get(status.validator, frozenset()):
            return None
        return Verdict(
            status.work_id, request, status.validator, status.response, status.tag, status.updated_at
        )
