# SPDX-License-Identifier: Apache-2.0
"""What a peer writes to the chain: one method for each action of `Swarm.vy`. Readers are in `chain_state`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.account import Account
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput
from koinon.learning.recipe import Recipe
from koinon.learning.swarm.chain_state import (
    MAXIMUM_PEERS,
    Rules,
    SwarmPeer,
    SwarmRound,
    SwarmState,
    candidate_now,
    read_candidate,
    read_digests,
    read_peers,
    read_revealed,
    read_round,
    read_rounds,
    read_scores,
    read_submitted,
    read_swarm,
    read_work,
    swarm_contract,
)
from koinon.works.bonds import Bonds, BondTerms, commitment_digest
from koinon.works.shares import ShareTable

__all__ = [
    "MAXIMUM_PEERS",
    "NO_DATASET",
    "WITHHELD",
    "Dataset",
    "Rules",
    "SwarmLedger",
    "SwarmPeer",
    "SwarmRound",
    "SwarmState",
    "candidate_now",
    "finish_arguments",
    "finish_digest",
    "read_candidate",
    "read_digests",
    "read_peers",
    "read_revealed",
    "read_round",
    "read_rounds",
    "read_scores",
    "read_submitted",
    "read_swarm",
    "read_work",
    "swarm_contract",
]

WITHHELD: Final = bytes(32)
"""What a peer objects with that was not given the updates or the model."""

_RULING_S: Final = 1
"""Challenges at Bonds have no say here, since the contract rules by itself: each lapses after a second. As
each holds a bond until somebody says that it lapsed, they must cost what they challenge."""

_SPARE_SLOTS: Final = 4
"""How many missed slots a bond covers where nothing else is asked for."""

_PROPOSAL_GAS: Final = 400_000
_PROPOSAL_GAS_A_PEER: Final = 150_000
"""What a proposal takes at most: who may act and who missed depends on the second it is mined in, which an
estimate cannot know."""
_OBJECTION_GAS_A_PEER: Final = 80_000


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a peer teaches with: a dataset Work and its owner's agreement, as Federation takes it.

    ``minimum_share`` (1e-9) and ``deadline`` (Unix seconds) are part of what the owner signed in ``consent``.
    It may be empty where the peer's account is the Work's owner or operator and Swarm an operator.
    """

    work_id: int
    minimum_share: int = 0
    deadline: int = 0
    consent: bytes = b""


NO_DATASET: Final = Dataset(0)
"""A peer that lends computing only."""


class SwarmLedger:
    """A peer's or an initiator's pen on one network. Errors as in `Sender.send`: TransactionFailed has the
    contract's reason.

    Parameters
    ----------
    chain : Chain
    key : Account
        Whose transactions these are.
    """

    def __init__(self, chain: Chain, key: Account) -> None:
        self.chain, self.key = chain, key
        self.contract: Contract = swarm_contract(chain)

    @property
    def account(self) -> str:
        """Whose pen it is."""
        return self.key.address

    # Coming together

    def open(self, recipe: Recipe, contribution_set: bytes, held_out_set: bytes, rules: Rules) -> int:
        """Announce a run; its id, which is Federation's too. The account gets the model's Work at the end."""
        receipt = self._send(
            "open",
            recipe.digest,
            contribution_set,
            held_out_set,
            recipe.rounds,
            recipe.owners_share,
            (
                rules.token,
                rules.minimum_stake,
                rules.penalty,
                rules.slot_s,
                rules.window_s,
                rules.per_node,
                rules.by_invitation,
            ),
        )
        return int(self.contract.logs(receipt, "SwarmOpened")[0]["run_id"])

    def invite(self, run_id: int, accounts: Sequence[str]) -> None:
        """Let accounts join a run that is by invitation: only its initiator."""
        for start in range(0, len(accounts), MAXIMUM_PEERS):
            self._send("invite", run_id, list(accounts[start : start + MAXIMUM_PEERS]))

    def stake(self, run_id: int, amount: int | None = None) -> int:
        """Post the bond that joining needs; its id.

        Parameters
        ----------
        amount : int, optional
            At least the minimum stake. When not given, enough for a few missed slots besides: whose stake
            falls below the minimum is out.
        """
        rules = read_swarm(self.chain, run_id).rules
        chosen = rules.minimum_stake + _SPARE_SLOTS * rules.penalty if amount is None else amount
        terms = BondTerms(
            judge=self.contract.address,
            subject=bytes(self.contract.call("subject_of", run_id)),
            ruling_s=_RULING_S,
            notice_s=rules.window_s,
            counter_stake=chosen,
        )
        return Bonds(self.chain).post(self.key, chosen, terms, token=rules.token)

    def join(
        self,
        run_id: int,
        bond_id: int,
        *,
        tip: bytes,
        certificate: bytes,
        url: str,
        dataset: Dataset = NO_DATASET,
    ) -> int:
        """Become a peer; its number. It takes part once `ready`.

        Parameters
        ----------
        bond_id : int
            From `stake`.
        tip : bytes
            Of the peer's `Onion`.
        certificate, url : bytes, str
            DER, at most 1,024 bytes, and where the peer listens, at most 256.
        dataset : Dataset
            What it teaches with; computing only when not given.
        """
        joining = (dataset.work_id, dataset.minimum_share, dataset.deadline, dataset.consent)
        receipt = self._send("join", run_id, joining, bond_id, tip, certificate, url)
        return int(self.contract.logs(receipt, "PeerJoined")[0]["number"])

    def ready(self, run_id: int, preimage: bytes) -> int:
        """Begin to take part, or again after leaving; the first draw it is in."""
        receipt = self._send("ready", run_id, preimage)
        return int(self.contract.logs(receipt, "PeerReady")[0]["since"])

    def start(self, run_id: int) -> None:
        """Begin the first round (the initiator), or go on where no candidate is left (anyone)."""
        self._send("start", run_id)

    def leave(self, run_id: int) -> int:
        """Take no part any more; the last draw in which slots are owed. End the bond after it."""
        receipt = self._send("leave", run_id)
        return int(self.contract.logs(receipt, "PeerLeft")[0]["until"])

    def retire(self, run_id: int, account: str) -> None:
        """Take out a peer whose bond's end was announced."""
        self._send("retire", run_id, account)

    # Rounds

    def submit(self, run_id: int, number: int, digest: bytes) -> None:
        """Say what this member's update of the next round is (sha256), where the rules ask for it."""
        self._send("submit", run_id, number, digest)

    def propose(
        self, run_id: int, number: int, *, updates: bytes, model: bytes, participants: int, preimage: bytes
    ) -> None:
        """Lead the next round, as the candidate of the present slot; arguments as in `Swarm.vy`."""
        gas = self._proposal_gas(run_id)
        self._send("propose", run_id, number, updates, model, participants, preimage, gas=gas)

    def object(self, run_id: int, number: int, model: bytes = WITHHELD) -> bool:
        """Say that a proposed round's model is another; whether that overturned it."""
        receipt = self._send("object", run_id, number, model, gas=self._objection_gas(run_id))
        return bool(self.contract.logs(receipt, "Overturned"))

    def settle(self, run_id: int, up_to: int) -> None:
        """Make rounds final whose window is over, at most 16 at once; the last begins the scoring."""
        self._send("settle", run_id, up_to)

    # Scores

    def commit_scores(self, run_id: int, scores: bytes, salt: bytes) -> None:
        """Commit to scores (`packed_scores`, 32 bytes) behind a random, secret salt (32 bytes)."""
        topic = run_id.to_bytes(32, "big")
        commitment = commitment_digest(
            self.chain.chain_id, self.contract.address, topic, self.account, value=scores, salt=salt
        )
        self._send("commit_scores", run_id, commitment)

    def reveal_scores(self, run_id: int, scores: bytes, salt: bytes) -> None:
        """Reveal what was committed."""
        self._send("reveal_scores", run_id, scores, salt)

    # The end

    def propose_finish(self, run_id: int, arguments: bytes) -> None:
        """Say how the model is published, as the candidate of the present slot; see `finish_arguments`."""
        gas = self._proposal_gas(run_id)
        self._send("propose_finish", run_id, finish_digest(arguments), gas=gas)

    def object_finish(self, run_id: int, digest: bytes = WITHHELD) -> bool:
        """Say that it should be published otherwise (`finish_digest`); whether that overturned it."""
        receipt = self._send("object_finish", run_id, digest, gas=self._objection_gas(run_id))
        return bool(self.contract.logs(receipt, "Overturned"))

    def finish(self, run_id: int, arguments: bytes) -> int:
        """Publish the model as proposed, after the window; its Work, which is the initiator's."""
        receipt = self._send("finish", run_id, arguments)
        return int(self.contract.logs(receipt, "SwarmFinished")[0]["work_id"])

    def _proposal_gas(self, run_id: int) -> int:
        return _PROPOSAL_GAS + _PROPOSAL_GAS_A_PEER * read_swarm(self.chain, run_id).peers

    def _objection_gas(self, run_id: int) -> int:
        return _PROPOSAL_GAS + _OBJECTION_GAS_A_PEER * read_swarm(self.chain, run_id).peers

    def _send(self, name: str, *arguments: Any, gas: int | None = None) -> Any:
        return self.chain.sender(self.key).send(self.contract.transaction(name, *arguments, gas=gas))


def finish_arguments(
    run_id: int,
    *,
    uri: str,
    parents: Mapping[str, bytes],
    shares: ShareTable,
    contributions: bytes,
    royalty_bps: int = 0,
    metadata: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """The arguments of Federation's ``finish``, as they are proposed, checked and sent.

    Parameters
    ----------
    parents : mapping of till address to permission
        For each owner that took part, in joining order; permissions are for Federation.
    shares : ShareTable
        The complete table.
    contributions : bytes
        Digest of the contributions and how they were computed.

    Raises
    ------
    BadInput
        More than the contract takes.
    """
    function = artifacts.load("Federation").functions["finish"]
    arguments = function.encode(
        run_id,
        uri,
        list(metadata),
        royalty_bps,
        list(parents.values()),
        shares.root,
        [shares.proof(till) for till in parents],
        contributions,
    )[4:]
    if len(arguments) > _LONGEST_ARGUMENTS:
        raise BadInput(
            f"Publishing would take {len(arguments)} bytes of arguments; {_LONGEST_ARGUMENTS} are possible.",
            hint="Keep the Work's metadata short; what is long belongs in its registration file.",
            code="swarm.arguments",
        )
    return arguments


_LONGEST_ARGUMENTS: Final = 49_152


def finish_digest(arguments: bytes) -> bytes:
    """What is proposed and objected with: keccak256 of `finish_arguments`, 32 bytes."""
    return keccak256(arguments)
