# SPDX-License-Identifier: Apache-2.0
"""Stake behind promises, sealed values, and payouts to many by one root: `Bonds.vy` and `Payouts.vy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.address import checksum, to_bytes
from koinon.chain.contract import Contract
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, IntegrityError, NotFound

_COMMITMENT: Final = ("uint256", "address", "bytes32", "address", "bytes32", "bytes32")
_MAX_DEPTH: Final = 64


def commitment_digest(
    chain_id: int, contract: str, topic: bytes, account: str, *, value: bytes, salt: bytes
) -> bytes:
    """What an account commits with: 32 bytes that hide ``value`` (32) behind ``salt`` (32, random).

    Good for one account, topic, contract and chain; see ``commit_reveal.vy``.
    """
    return keccak256(codec.encode(_COMMITMENT, (chain_id, contract, topic, account, value, salt)))


def topic_id(opener: str, key: bytes) -> bytes:
    """The topic that ``opener`` opens in `Bonds` under a 32-byte key of its own."""
    return keccak256(codec.encode(("address", "bytes32"), (opener, key)))


class Payout(NamedTuple):
    """One leaf: position in the tree, who is paid, how much in the token's smallest unit."""

    number: int
    account: str
    amount: int


def payout_leaf(payout: Payout) -> bytes:
    """Hash of a leaf: keccak256(0x00 ‖ index ‖ account ‖ amount), 32 bytes."""
    packed = payout.number.to_bytes(32, "big") + to_bytes(payout.account) + payout.amount.to_bytes(32, "big")
    return keccak256(b"\x00" + packed)


def payout_node(one: bytes, other: bytes) -> bytes:
    """Hash of a node: keccak256(0x01 ‖ smaller child ‖ greater child), 32 bytes."""
    return keccak256(b"\x01" + min(one, other) + max(one, other))


class PayoutTree:
    """Who is paid what, as one root.

    Parameters
    ----------
    payouts : sequence of (account, amount)
        At least one; amounts positive, in the token's smallest unit. An account may stand more than once.

    Raises
    ------
    BadInput
        Nobody to pay, or an amount that is not a positive integer below 2**256.
    """

    def __init__(self, payouts: Sequence[tuple[str, int]]) -> None:
        if not payouts:
            raise BadInput("There is nobody to pay.", code="payouts.empty")
        for account, amount in payouts:
            if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount < 2**256:
                raise BadInput(
                    f"The payout of {checksum(account)} is not a positive whole number.",
                    hint="Leave out those who get nothing.",
                    code="payouts.amount",
                )
        self.payouts = tuple(
            Payout(number, checksum(account), amount) for number, (account, amount) in enumerate(payouts)
        )

    @property
    def total(self) -> int:
        """The sum of all payouts."""
        return sum(payout.amount for payout in self.payouts)

    @property
    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        return self._levels[-1][0]

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        levels = [[payout_leaf(payout) for payout in self.payouts]]
        while len(levels[-1]) > 1:
            below = levels[-1]
            above = [payout_node(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)]
            levels.append(above + below[len(below) - len(below) % 2 :])
        return levels

    def proof(self, number: int) -> list[bytes]:
        """The siblings of a leaf, from the bottom up.

        Raises
        ------
        NotFound
            There is no such leaf.
        """
        if not 0 <= number < len(self.payouts):
            raise NotFound(f"There is no payout number {number}.", code="payouts.number")
        siblings = []
        at = number
        for level in self._levels[:-1]:
            if at ^ 1 < len(level):
                siblings.append(level[at ^ 1])
            at //= 2
        return siblings

    def of(self, account: str) -> list[Payout]:
        """The payouts of an account, possibly none."""
        wanted = checksum(account)
        return [payout for payout in self.payouts if payout.account == wanted]


def check_payout(root: bytes, payout: Payout, proof: Sequence[bytes]) -> None:
    """Check a payout that somebody else computed.

    Raises
    ------
    IntegrityError
        The proof does not lead to the root.
    """
    node = payout_leaf(payout)
    for sibling in proof:
        node = payout_node(node, sibling)
    if node != root or len(proof) > _MAX_DEPTH:
        raise IntegrityError("The payout is not in the tree with this root.", code="payouts.proof")


class Outcome(IntEnum):
    """How a challenge ended."""

    OPEN = 0
    DISMISSED = 1
    UPHELD = 2
    LAPSED = 3


@dataclass(frozen=True, slots=True)
class Bond:
    """A bond as the chain has it. Amounts in the token's smallest unit, times in Unix seconds or seconds.

    ``amount`` is what is still staked; ``ends_at`` is 0 while an open-ended bond's end is not announced.
    """

    poster: str
    judge: str
    token: str
    amount: int
    subject: bytes
    counter_stake: int
    ends_at: int
    notice_s: int
    ruling_s: int
    open_challenges: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge as the chain has it; ``deadline`` is the judge's last second."""

    bond_id: int
    challenger: str
    counter_stake: int
    evidence: bytes
    deadline: int
    open: bool


@dataclass(frozen=True, slots=True)
class BondTerms:
    """What is fixed when a bond is posted.

    Parameters
    ----------
    judge : address
        The only account or contract that can slash.
    subject : bytes
        Digest of the promise, 32 bytes.
    ruling_s : int
        Seconds the judge has for each challenge; afterwards the challenge lapses.
    ends_at, notice_s : int
        Either when the bond ends (Unix seconds), or how long before its end an open-ended one is announced.
    counter_stake : int
        What a challenger stakes.
    """

    judge: str
    subject: bytes
    ruling_s: int
    ends_at: int = 0
    notice_s: int = 0
    counter_stake: int = 0


class Bonds:
    """The Bonds contract of a network. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Bonds")

    def post(self, poster: Account, amount: int, terms: BondTerms, *, token: str | None = None) -> int:
        """Approve and stake ``amount`` of the network's coin, or of ``token``; returns the bond's id."""
        coin = self._token(token)
        calls = [
            coin.transaction("approve", self.contract.address, amount),
            self.contract.transaction(
                "post",
                coin.address,
                amount,
                terms.judge,
                terms.subject,
                terms.ends_at,
                terms.notice_s,
                terms.counter_stake,
                terms.ruling_s,
                gas=600_000,
            ),
        ]
        receipt = self.chain.sender(poster).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "Posted")[0]["bond_id"])

    def bond(self, bond_id: int) -> Bond:
        """One bond; TransactionFailed when there is none."""
        return Bond(*self.contract.call("bond_of", bond_id))

    def challenge_of(self, challenge_id: int) -> Challenge:
        """One challenge; TransactionFailed when there is none."""
        return Challenge(*self.contract.call("challenge_of", challenge_id))

    def challenge(self, challenger: Account, bond_id: int, evidence: bytes) -> int:
        """Approve and stake what the bond asks of challengers; returns the challenge's id."""
        bond = self.bond(bond_id)
        calls = [self.contract.transaction("challenge", bond_id, evidence, gas=500_000)]
        if bond.counter_stake:
            approval = self._token(bond.token).transaction(
                "approve", self.contract.address, bond.counter_stake
            )
            calls.insert(0, approval)
        receipt = self.chain.sender(challenger).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "Challenged")[0]["challenge_id"])

    def outcome(self, challenge_id: int) -> Outcome:
        """How a challenge ended, if it did."""
        return Outcome(self.contract.call("outcome", challenge_id))

    def uphold(
        self, judge: Account, challenge_id: int, bounty: int, parts: Sequence[tuple[str, int]] = ()
    ) -> None:
        """Rule for the challenger; ``parts`` are (account, amount) taken of the stake besides the bounty."""
        self._send(judge, "uphold", challenge_id, bounty, list(parts))

    def dismiss(self, judge: Account, challenge_id: int) -> None:
        """Rule for the bonded party."""
        self._send(judge, "dismiss", challenge_id)

    def lapse(self, submitter: Account, challenge_id: int) -> None:
        """Close a challenge whose judge let the time pass."""
        self._send(submitter, "lapse", challenge_id)

    def slash(self, judge: Account, bond_id: int, parts: Sequence[tuple[str, int]]) -> None:
        """Take parts of the stake without a challenge."""
        self._send(judge, "slash", bond_id, list(parts))

    def announce_end(self, poster: Account, bond_id: int) -> None:
        """Let an open-ended bond end after its notice."""
        self._send(poster, "announce_end", bond_id)

    def withdraw(self, poster: Account, bond_id: int) -> None:
        """Free what is left of a bond that is over; `collect` pays it out."""
        self._send(poster, "withdraw", bond_id)

    def credit(self, account: str, *, token: str | None = None) -> int:
        """What an account may collect."""
        return int(self.contract.call("credit", self._token(token).address, account))

    def collect(self, submitter: Account, account: str, *, token: str | None = None) -> int:
        """Pay an account its credit; returns the amount."""
        amount = self.credit(account, token=token)
        self._send(submitter, "collect", self._token(token).address, account)
        return amount

    def _token(self, token: str | None) -> Contract:
        return self.chain.coin if token is None else self.chain.contract("Coin", token)

    def _send(self, key: Account, name: str, *arguments: object) -> None:
        self.chain.sender(key).send(self.contract.transaction(name, *arguments))


class Payouts:
    """The Payouts contract of a network."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Payouts")

    def fund(self, funder: Account, tree: PayoutTree, *, deadline: int, token: str | None = None) -> int:
        """Approve and pay in a tree's total until ``deadline`` (Unix seconds); returns the fund's id."""
        coin = self.chain.coin if token is None else self.chain.contract("Coin", token)
        calls = [
            coin.transaction("approve", self.contract.address, tree.total),
            self.contract.transaction(
                "fund_payouts", tree.root, coin.address, tree.total, deadline, gas=400_000
            ),
        ]
        receipt = self.chain.sender(funder).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "Funded")[0]["fund_id"])

    def claim(self, submitter: Account, fund_id: int, tree: PayoutTree, account: str) -> int:
        """Pay an account everything the tree has for it that was not paid yet; returns the amount."""
        due = [
            payout for payout in tree.of(account) if not self.contract.call("is_paid", fund_id, payout.number)
        ]
        self.chain.sender(submitter).send_all(
            [
                self.contract.transaction("claim", fund_id, *payout, tree.proof(payout.number))
                for payout in due
            ]
        )
        return sum(payout.amount for payout in due)

    def reclaim(self, submitter: Account, fund_id: int) -> None:
        """Send what nobody claimed back to the funder, after the deadline."""
        self.chain.sender(submitter).send(self.contract.transaction("reclaim", fund_id))
