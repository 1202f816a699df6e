# SPDX-License-Identifier: Apache-2.0
"""The chain's side of a run, as its opener writes it and anyone reads it (`Federation.vy`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from koinon.chain.account import Account
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.errors import IntegrityError, NotFound
from koinon.learning.evidence import Evidence
from koinon.learning.messages import GlobalModel, Joining
from koinon.learning.recipe import Recipe
from koinon.works.shares import ShareTable


@dataclass(frozen=True)
class RunRecord:
    """A run as the chain has it; digests are 32 bytes, ``work_id`` 0 until it is finished."""

    run_id: int
    opener: str
    rounds: int
    round: int
    owners_share: int
    participants: int
    recipe: bytes
    contribution_set: bytes
    held_out_set: bytes
    model: bytes
    work_id: int


class Ledger:
    """Runs on one network.

    Parameters
    ----------
    chain : Chain
    key : Account, optional
        The opener's; reading works without.
    """

    def __init__(self, chain: Chain, key: Account) -> None:
        self._chain, self._key = chain, key
        self.contract: Contract = chain.contract("Federation")

    def open(self, recipe: Recipe, contribution_set: bytes, held_out_set: bytes) -> int:
        """Announce a run; its id."""
        receipt = self._send(
            "open", recipe.digest, contribution_set, held_out_set, recipe.rounds, recipe.owners_share
        )
        return int(self.contract.logs(receipt, "RunOpened")[0]["run_id"])

    def join(self, run_id: int, joinings: Sequence[Joining]) -> None:
        """Take in all owners at once, in the leader's order, with the consents they signed."""
        self._send(
            "join",
            run_id,
            [
                (joining.work_id, joining.minimum_share, joining.deadline, joining.consent)
                for joining in joinings
            ],
        )

    def record(self, model: GlobalModel) -> None:
        """Record a finished round."""
        self._send("record_round", model.run_id, model.round, model.updates, model.model, model.participants)

    def finish(
        self,
        run_id: int,
        *,
        uri: str,
        parents: Mapping[str, bytes],
        shares: ShareTable,
        contributions: bytes,
        royalty_bps: int = 0,
        metadata: Sequence[tuple[str, bytes]] = (),
    ) -> int:
        """Publish the model's Work, write its root and receive it, in one transaction; the Work's id.

        Parameters
        ----------
        parents : mapping of till address to permission
            For each owner that took part, in joining order.
        shares : ShareTable
            The complete table.
        contributions : bytes
            Digest of the contributions.
        """
        receipt = self._send(
            "finish",
            run_id,
            uri,
            list(metadata),
            royalty_bps,
            list(parents.values()),
            shares.root,
            [shares.proof(till) for till in parents],
            contributions,
        )
        return int(self.contract.logs(receipt, "RunFinished")[0]["work_id"])

    def run(self, run_id: int) -> RunRecord:
        """A run; NotFound when it was never opened."""
        return read_run(self.contract, run_id)

    def _send(self, name: str, *arguments: Any) -> Any:
        return self._chain.sender(self._key).send(self.contract.transaction(name, *arguments))


def read_run(federation: Contract, run_id: int) -> RunRecord:
    """A run as the chain has it; NotFound when it was never opened."""
    found = federation.call("run", run_id)
    opener, rounds, last, owners_share, participants, recipe, judge, test, model, work_id = found
    if int(opener, 16) == 0:
        raise NotFound(f"There is no run {run_id} on this network.", code="learning.no_run")
    return RunRecord(
        run_id, opener, rounds, last, owners_share, participants, recipe, judge, test, model, work_id
    )


def check_against_chain(federation: Contract, run_id: int, evidence: Evidence) -> None:
    """Compare the evidence's digests with those the opener recorded round by round.

    Raises
    ------
    IntegrityError
        Another recipe, number of rounds, or a round whose updates, model or participants differ.
    """
    run = read_run(federation, run_id)
    recorded = federation.history("RoundRecorded", run_id=run_id)
    if run.recipe != evidence.recipe.digest or len(recorded) != len(evidence.rounds):
        raise IntegrityError(
            "The chain knows another recipe or number of rounds.", code="learning.chain_differs"
        )
    for event, one in zip(recorded, evidence.rounds, strict=True):
        said = (event["round"], event["updates"], event["model"], event["participants"])
        if said != (one.number, one.updates_digest, one.model, one.participants):
            raise IntegrityError(
                f"The chain records round {one.number} otherwise.", code="learning.chain_differs"
            )
