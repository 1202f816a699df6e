# SPDX-License-Identifier: Apache-2.0
"""Feedback on Works, given and read: `Reputation.vy`, the ERC-8004 Reputation Registry.

Feedback is free to give, so a figure says nothing until the reader has said whom it believes. `Weighting` is
where that is said; `by_trust` is the plainest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

PAGE: Final = 256
"""Entries read in one call."""
_NO_HASH: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Feedback:
    """One client's word on a Work. The figure is ``value`` × 10**-``decimals``; ``index`` counts from 1."""

    client: str
    index: int
    value: int
    decimals: int
    tag1: str = ""
    tag2: str = ""
    revoked: bool = False

    @property
    def figure(self) -> Fraction:
        """The value with its decimals, exact."""
        return Fraction(self.value, 10**self.decimals)


Weighting = Callable[[Feedback], Fraction]
"""How much a reader believes a feedback; 0 for not at all."""


def by_trust(trust: Mapping[str, Fraction | int]) -> Weighting:
    """Believe the clients named, each as much as said, and nobody else."""
    known = {checksum(client): Fraction(weight) for client, weight in trust.items()}
    if any(weight < 0 for weight in known.values()):
        raise BadInput("Trust is never negative.", code="reputation.trust")
    return lambda feedback: known.get(feedback.client, Fraction(0))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a reader makes of feedback: weighted mean (None without any), how many counted, their weight."""

    mean: Fraction | None
    count: int
    weight: Fraction


def standing(feedbacks: Sequence[Feedback], weighting: Weighting) -> Standing:
    """Weigh feedback that was not revoked."""
    weighed = [(feedback, weighting(feedback)) for feedback in feedbacks if not feedback.revoked]
    counted = [(feedback, weight) for feedback, weight in weighed if weight > 0]
    total = sum((weight for _, weight in counted), Fraction(0))
    if not counted:
        return Standing(None, 0, Fraction(0))
    mean = sum((feedback.figure * weight for feedback, weight in counted), Fraction(0)) / total
    return Standing(mean, len(counted), total)


class Reputation:
    """The Reputation contract of a network. What sends takes the key that pays; errors as in `Sender`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Reputation")

    def give(
        self,
        client: Account,
        work_id: int,
        value: int,
        decimals: int = 0,
        *,
        tag1: str = "",
        tag2: str = "",
        endpoint: str = "",
        uri: str = "",
        content: bytes | None = None,
    ) -> int:
        """Give feedback on another's Work; returns its index.

        Parameters
        ----------
        value, decimals : int
            |value| ≤ 1e38, 0 to 18 decimals.
        tag1, tag2 : str
            At most 64 bytes each.
        endpoint, uri : str
            At most 2,048 bytes each; kept in the event only.
        content : bytes, optional
            What ``uri`` points to; its Keccak-256 goes into the event.
        """
        for tag in (tag1, tag2):
            if len(tag.encode()) > 64:
                raise BadInput(f"The tag {tag!r} is longer than 64 bytes.", code="reputation.tag")
        for text in (endpoint, uri):
            if len(text.encode()) > 2048:
                raise BadInput("Endpoints and URIs have at most 2,048 bytes.", code="reputation.uri")
        content_hash = _NO_HASH if content is None else keccak256(content)
        call = self.contract.transaction(
            "giveFeedback", work_id, value, decimals, tag1, tag2, endpoint, uri, content_hash
        )
        receipt = self.chain.sender(client).send(call)
        return int(self.contract.logs(receipt, "NewFeedback")[0]["feedbackIndex"])

    def revoke(self, client: Account, work_id: int, index: int) -> None:
        """Take one's own feedback back."""
        self.chain.sender(client).send(self.contract.transaction("revokeFeedback", work_id, index))

    def respond(
        self,
        responder: Account,
        work_id: int,
        client: str,
        index: int,
        *,
        uri: str,
        content: bytes | None = None,
    ) -> None:
        """Append a response to a feedback; anyone may."""
        content_hash = _NO_HASH if content is None else keccak256(content)
        call = self.contract.transaction("appendResponse", work_id, client, index, uri, content_hash)
        self.chain.sender(responder).send(call)

    def clients(self, work_id: int) -> list[str]:
        """Everyone who gave feedback, in order of their first."""
        found: list[str] = []
        while page := self.contract.call("clients_page", work_id, len(found), PAGE):
            found += page
        return found

    def read(
        self, work_id: int, *, clients: Sequence[str] = (), tag1: str = "", tag2: str = ""
    ) -> Iterator[Feedback]:
        """Feedback by the clients named (by all when none is), revoked or not, a page a call."""
        offset = 0
        while True:
            page, offset = self.contract.call(
                "feedback_page", work_id, list(clients), tag1, tag2, True, offset, PAGE
            )
            for row in zip(*page, strict=True):
                yield Feedback(*row)
            if offset == 0:
                return

    def standing(self, work_id: int, weighting: Weighting, *, tag1: str = "", tag2: str = "") -> Standing:
        """What a reader makes of a Work's feedback."""
        return standing(list(self.read(work_id, tag1=tag1, tag2=tag2)), weighting)
