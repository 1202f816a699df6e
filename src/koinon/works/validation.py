# SPDX-License-Identifier: Apache-2.0
"""Checks of work done, asked for and answered: `Validation.vy`, the ERC-8004 Validation Registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class Validation:
    """A request and its latest answer.

    ``response`` is 0 (failed) to 100 (passed), and 0 before the first answer, which `Validations.summary`
    does not count; ``updated_at`` in Unix seconds.
    """

    validator: str
    work_id: int
    response: int
    response_hash: bytes
    tag: str
    updated_at: int


class Validations:
    """The Validation contract of a network. What sends takes the key that pays; errors as in `Sender`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Validation")

    def ask(self, owner: Account, work_id: int, validator: str, *, uri: str, request: bytes) -> bytes:
        """Ask ``validator`` to check ``request``; returns the request's hash.

        ``request`` should contain something random: whoever knows it can use its hash first.
        """
        request_hash = keccak256(request)
        call = self.contract.transaction("validationRequest", validator, work_id, uri, request_hash)
        self.chain.sender(owner).send(call)
        return request_hash

    def answer(
        self,
        validator: Account,
        request_hash: bytes,
        response: int,
        *,
        uri: str = "",
        evidence: bytes | None = None,
        tag: str = "",
    ) -> None:
        """Answer 0 to 100; a later answer replaces an earlier one."""
        if not 0 <= response <= 100:
            raise BadInput("An answer is 0 to 100.", code="validation.response")
        if len(tag.encode()) > 64:
            raise BadInput(f"The tag {tag!r} is longer than 64 bytes.", code="validation.tag")
        evidence_hash = bytes(32) if evidence is None else keccak256(evidence)
        call = self.contract.transaction(
            "validationResponse", request_hash, response, uri, evidence_hash, tag
        )
        self.chain.sender(validator).send(call)

    def status(self, request_hash: bytes) -> Validation:
        """One request; TransactionFailed when there is none."""
        return Validation(*self.contract.call("getValidationStatus", request_hash))

    def of_work(self, work_id: int) -> Iterator[bytes]:
        """The hashes of every request on a Work, a page a call."""
        return self._pages("agent_validations_page", work_id)

    def of_validator(self, validator: str) -> Iterator[bytes]:
        """The hashes of every request to a validator, a page a call."""
        return self._pages("validator_requests_page", validator)

    def summary(self, work_id: int, validators: Sequence[str] = (), tag: str = "") -> tuple[int, int]:
        """How many answers there are, and their average rounded down (0 without any)."""
        count = total = offset = 0
        while True:
            part, amount, offset = self.contract.call(
                "summary_page", work_id, list(validators), tag, offset, 10 * PAGE
            )
            count, total = count + part, total + amount
            if offset == 0:
                return count, total // count if count else 0

    def _pages(self, view: str, of: int | str) -> Iterator[bytes]:
        offset = 0
        while page := self.contract.call(view, of, offset, PAGE):
            yield from page
            offset += len(page)
