# SPDX-License-Identifier: Apache-2.0
"""Who registered which fingerprint first, as the chain has it.

A Work registers its fingerprints as metadata, with its publication or later; what counts is when that was
written, not how old the Work is: nobody can give an old Work a fingerprint of something newer and then claim
to have been first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from koinon.chain.contract import Contract
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.catalogue import Catalogue
from koinon.works.fingerprints.record import (
    TOPIC,
    WEIGHTS_KEY,
    Fingerprints,
    Likeness,
    read_fingerprints,
)

Moment = tuple[int, int]
"""Block, and place in it."""


@dataclass(frozen=True)
class Match:
    """An earlier Work that another is like, without naming it as an ancestor."""

    work_id: int
    likenesses: tuple[Likeness, ...]


class FingerprintRegistry:
    """The registered fingerprints of one network. Reads event logs: one question for all Works."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def registered(self, work_id: int) -> Fingerprints:
        """What a Work's signed file says, where the chain holds its digest; empty otherwise.

        Raises
        ------
        NotFound
            No such Work, or its file is not in this store.
        """
        found = read_fingerprints(self.catalogue.registration_of(work_id).registration.about)
        on_chain = bytes(self.catalogue.contract.call("getMetadata", work_id, TOPIC))
        return found if found and on_chain == found.digest else Fingerprints()

    def since(self, work_id: int) -> Moment | None:
        """When a Work's present fingerprints were written; None where it has none."""
        written = [
            moment
            for moment, each in self._written(TOPIC, work_id)
            if bytes(each["metadataValue"])
            == bytes(self.catalogue.contract.call("getMetadata", work_id, TOPIC))
        ]
        return min(written) if written else None

    def earlier(self, work_id: int) -> list[Match]:
        """Works of other owners with fingerprints like this one's, written before this one was registered,
        that are not among its ancestors; the oldest first.

        Works whose files are not in this store are compared by their weights alone, which stand on chain.
        """
        mine = self.registered(work_id)
        begin = self._registered_at(work_id)
        family = self._ancestors(work_id)
        owner = self.catalogue.owner_of(work_id)
        weights = set(mine.weights.values())
        found: dict[int, tuple[Likeness, ...]] = {}
        for moment, each in self._written(WEIGHTS_KEY):
            if moment < begin and bytes(each["metadataValue"]) in weights:
                found[int(each["agentId"])] = (Likeness("weights", 0.0),)
        for other in {int(each["agentId"]) for moment, each in self._written(TOPIC) if moment < begin}:
            since = self.since(other)
            if other in found or other == work_id or since is None or since >= begin:
                continue
            try:
                alike = tuple(mine.likenesses(self.registered(other)))
            except (NotFound, BadInput, IntegrityError):
                continue
            if alike:
                found[other] = alike
        return [
            Match(other, found[other])
            for other in sorted(found)
            if other not in family and self.catalogue.owner_of(other) != owner
        ]

    def precedes(self, original: int, accused: int) -> bool:
        """Whether one Work's fingerprints were on chain before another Work was registered."""
        since = self.since(original)
        return since is not None and since < self._registered_at(accused)

    def _ancestors(self, work_id: int) -> set[int]:
        known, waiting = {work_id}, [work_id]
        while waiting:
            for parent, _share in self.catalogue.parents_of(waiting.pop()):
                if parent not in known:
                    known.add(parent)
                    waiting.append(parent)
        return known

    def related(self, original: int, accused: int) -> bool:
        """Whether the original is an ancestor of the accused, so that its income is shared already."""
        return original in self._ancestors(accused)

    def _registered_at(self, work_id: int) -> Moment:
        logs = self._logs("Registered", agentId=work_id)
        if not logs:
            raise NotFound(f"There is no Work {work_id} here.", code="works.work")
        return logs[0][0]

    def _written(self, key: str, work_id: int | None = None) -> list[tuple[Moment, dict[str, Any]]]:
        only = {} if work_id is None else {"agentId": work_id}
        return self._logs("MetadataSet", indexedMetadataKey=key, **only)

    def _logs(self, name: str, **indexed: Any) -> list[tuple[Moment, dict[str, Any]]]:
        contract: Contract = self.catalogue.contract
        event = contract.event(name)
        query = {
            "address": contract.address,
            "topics": event.topics(**indexed),
            "fromBlock": hex(self.catalogue.chain.network.start_block),
            "toBlock": "latest",
        }
        return [
            ((int(log["blockNumber"], 16), int(log["logIndex"], 16)), event.decode(log))
            for log in contract.rpc.call("eth_getLogs", query)
            if event.matches(log)
        ]
