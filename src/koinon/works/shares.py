# SPDX-License-Identifier: Apache-2.0
"""Who shares in a Work's income: a Merkle-sum tree of (payee, share in 1e-9), as `Till.vy` checks it.

A leaf is ``keccak256(0x00 ‖ payee ‖ share)``, a node
``keccak256(0x01 ‖ left hash ‖ left sum ‖ right hash ‖ right sum)``; payees are 20 bytes, shares and sums
8 bytes big endian. Leaves stand in the order of their payees' bytes; a node without a sibling goes up a level
unchanged. Because every node commits both sums, the leaves that can be proven against one root never add up
to more than the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Final, NamedTuple

from koinon.chain.address import ZERO_ADDRESS, checksum, to_bytes
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, IntegrityError, NotFound

_DECIMAL: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
WHOLE: Final = 1_000_000_000
"""All of a Work's income, in units of 1e-9."""
OWNER: Final = ZERO_ADDRESS
"""The payee that means: whoever owns the Work when it is released."""
MAX_DEPTH: Final = 32


class ProofNode(NamedTuple):
    """A sibling on the way from a leaf to the root; ``left`` when it stands on the left."""

    hash: bytes
    sum: int
    left: bool


class Proof(NamedTuple):
    """A payee's share and the siblings of its leaf, lowest first; what `Till.release` takes."""

    share: int
    nodes: tuple[ProofNode, ...]


def leaf_hash(payee: str, share: int) -> bytes:
    """Hash of a leaf: 32 bytes."""
    return keccak256(b"\x00" + to_bytes(payee) + share.to_bytes(8, "big"))


def node_hash(left: bytes, left_sum: int, right: bytes, right_sum: int) -> bytes:
    """Hash of a node above two others: 32 bytes."""
    return keccak256(b"\x01" + left + left_sum.to_bytes(8, "big") + right + right_sum.to_bytes(8, "big"))


def root_of(payee: str, proof: Proof) -> bytes:
    """The root that a payee's proof leads to.

    Raises
    ------
    IntegrityError
        The sums do not make the whole, or the proof is too long.
    """
    computed, total = leaf_hash(payee, proof.share), proof.share
    if len(proof.nodes) > MAX_DEPTH:
        raise IntegrityError("The proof is longer than any till accepts.", code="shares.proof")
    for node in proof.nodes:
        if node.left:
            computed = node_hash(node.hash, node.sum, computed, total)
        else:
            computed = node_hash(computed, total, node.hash, node.sum)
        total += node.sum
        if total > WHOLE:
            break
    if total != WHOLE:
        raise IntegrityError("The shares on the way to the root are not the whole.", code="shares.proof")
    return computed


class ShareTable(Mapping[str, int]):
    """Payee → share, complete: the shares add up to the whole.

    Parameters
    ----------
    shares : mapping of address to int
        Each share in 1e-9, more than zero. Payees are accounts, tills of parents, or `OWNER`.

    Raises
    ------
    BadInput
        No payee, a share that is not a positive integer, a payee named twice, or a sum that is not 1e9.
    """

    def __init__(self, shares: Mapping[str, int]) -> None:
        table: dict[str, int] = {}
        for payee, share in shares.items():
            address = checksum(payee)
            if isinstance(share, bool) or not isinstance(share, int) or share <= 0:
                raise BadInput(
                    f"The share of {address} is not a positive whole number of 1e-9.",
                    hint="Leave out payees without a share.",
                    code="shares.share",
                )
            if address in table:
                raise BadInput(f"{address} is named twice.", hint="Add its shares up.", code="shares.twice")
            table[address] = share
        total = sum(table.values())
        if total != WHOLE:
            raise BadInput(
                f"The shares add up to {total / WHOLE:.9%}, not to the whole.",
                hint="Give what is left over to OWNER, or use ShareTable.from_fractions.",
                code="shares.sum",
            )
        self._shares = dict(sorted(table.items(), key=lambda item: to_bytes(item[0])))

    @classmethod
    def of_owner(cls) -> ShareTable:
        """All to whoever owns the Work: what a till without a root has."""
        return cls({OWNER: WHOLE})

    @classmethod
    def from_fractions(
        cls, fractions: Mapping[str, Fraction | float | int], *, rest: str | None = None
    ) -> ShareTable:
        """Shares from weights or fractions, rounded by largest remainder so that they add up exactly.

        Parameters
        ----------
        fractions : mapping of address to number
            Not negative. Without ``rest`` they are weights and scaled to the whole; with it they are
            fractions of the whole and may add up to at most 1.
        rest : address, optional
            The payee who gets what the fractions leave over.

        Raises
        ------
        BadInput
            A number is negative or not finite, all are zero, or they exceed the whole.
        """
        exact: dict[str, Fraction] = {}
        for payee, value in fractions.items():
            address = checksum(payee)
            try:
                number = Fraction(value)
            except (ValueError, OverflowError, TypeError):
                raise BadInput(f"The share of {address} is not a number.", code="shares.share") from None
            if number < 0:
                raise BadInput(f"The share of {address} is negative.", code="shares.share")
            if address in exact:
                raise BadInput(f"{address} is named twice.", hint="Add its shares up.", code="shares.twice")
            exact[address] = number
        total = sum(exact.values(), Fraction(0))
        if rest is not None:
            # Decimal fractions written as floats miss their sum by a rounding error.
            if total > 1 + Fraction(1, WHOLE):
                raise BadInput(
                    f"The shares add up to {float(total):.4%}.",
                    hint="Keep them at 100 % or less.",
                    code="shares.sum",
                )
            left = max(Fraction(0), 1 - total)
            exact[checksum(rest)] = exact.get(checksum(rest), Fraction(0)) + left
            total = sum(exact.values(), Fraction(0))
        if total == 0:
            raise BadInput("All shares are zero.", code="shares.sum")
        scaled = {payee: number * WHOLE / total for payee, number in exact.items()}
        units = {payee: int(number) for payee, number in scaled.items()}
        by_remainder = sorted(units, key=lambda payee: (units[payee] - scaled[payee], to_bytes(payee)))
        for payee in by_remainder[: WHOLE - sum(units.values())]:
            units[payee] += 1
        return cls({payee: share for payee, share in units.items() if share})

    @cached_property
    def root(self) -> bytes:
        """The 32 bytes that `Till.write_root` takes."""
        return self._levels[-1][0][0]

    def proof(self, payee: str) -> Proof:
        """The payee's share and proof.

        Raises
        ------
        NotFound
            The payee has no share.
        """
        address = checksum(payee)
        if address not in self._shares:
            raise NotFound(f"{address} has no share in this Work.", code="shares.payee")
        position = list(self._shares).index(address)
        nodes = []
        for level in self._levels[:-1]:
            sibling = position ^ 1
            if sibling < len(level):
                nodes.append(ProofNode(*level[sibling], left=sibling < position))
            position //= 2
        return Proof(self._shares[address], tuple(nodes))

    @cached_property
    def _levels(self) -> list[list[tuple[bytes, int]]]:
        """(hash, sum) of every node, the leaves first, the root last."""
        level = [(leaf_hash(payee, share), share) for payee, share in self._shares.items()]
        levels = [level]
        while len(level) > 1:
            above = []
            for left, right in zip(level[::2], level[1::2], strict=False):
                above.append((node_hash(*left, *right), left[1] + right[1]))
            if len(level) % 2:
                above.append(level[-1])
            level = above
            levels.append(level)
        return levels

    def to_json(self) -> dict[str, int]:
        """Payee → share, as a registration file carries it."""
        return dict(self._shares)

    def __getitem__(self, payee: str) -> int:
        return self._shares[checksum(payee)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shares)

    def __len__(self) -> int:
        return len(self._shares)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShareTable) and self._shares == other._shares

    def __hash__(self) -> int:
        return hash(self.root)

    def __repr__(self) -> str:
        return f"ShareTable({self._shares})"


def parse_share(text: str) -> tuple[str, Fraction]:
    """``ADDRESS=30%`` or ``ADDRESS=0.3`` as people write it: the payee and its fraction of all income.

    Raises BadInput when it is written otherwise, or not above 0 and at most the whole.
    """
    payee, _, amount = (part.strip() for part in text.partition("="))
    number = amount.removesuffix("%").strip()
    if _DECIMAL.fullmatch(number) is None:
        raise _bad_share(text)
    fraction = Fraction(number) / (100 if amount.endswith("%") else 1)
    if not 0 < fraction <= 1 or (fraction == 1 and not amount.endswith("%")):
        raise _bad_share(text)  # "=1" may mean one percent or everything
    return checksum(payee), fraction


def _bad_share(text: str) -> BadInput:
    return BadInput(
        f"{text!r} is not a share.",
        hint="Write ADDRESS=30%, above 0 % and at most 100 %.",
        code="shares.text",
    )
