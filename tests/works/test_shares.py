# SPDX-License-Identifier: Apache-2.0
"""Share tables: golden vectors, exact sums, proofs that fit and proofs that cannot."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.address import checksum
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.shares import OWNER, WHOLE, Proof, ProofNode, ShareTable, leaf_hash, node_hash, root_of

ONE, TWO, THREE = (checksum(bytes(19) + bytes((number,))) for number in (1, 2, 3))
ADDRESSES = st.binary(min_size=20, max_size=20).map(checksum)
TABLES = st.dictionaries(ADDRESSES, st.integers(1, 10**12), min_size=1, max_size=40).map(
    ShareTable.from_fractions
)


def test_the_hashes_are_the_ones_written_down():
    assert (
        ShareTable.of_owner().root.hex() == "717ea4ee2a53f4323b66d39dc56eb2dc303250506dc9eb9b3911fcc127d8f78d"
    )
    left, middle, right = (
        leaf_hash(ONE, 500_000_000),
        leaf_hash(TWO, 300_000_000),
        leaf_hash(THREE, 200_000_000),
    )
    table = ShareTable({THREE: 200_000_000, ONE: 500_000_000, TWO: 300_000_000})
    pair = node_hash(left, 500_000_000, middle, 300_000_000)
    assert table.root == node_hash(pair, 800_000_000, right, 200_000_000)
    assert table.proof(THREE) == Proof(200_000_000, (ProofNode(pair, 800_000_000, True),))
    assert table.proof(ONE) == Proof(
        500_000_000, (ProofNode(middle, 300_000_000, False), ProofNode(right, 200_000_000, False))
    )
    assert table.root.hex() == "ac018e752859c2f4fb4dd67bc35e739be1eee365fc0b37053e4ee187f79114b6"


@given(TABLES)
def test_every_payee_is_proven_and_the_shares_are_the_whole(table):
    assert sum(table.values()) == WHOLE
    for payee, share in table.items():
        proof = table.proof(payee)
        assert proof.share == share
        assert root_of(payee, proof) == table.root


def _fits(payee, proof, table):
    try:
        return root_of(payee, proof) == table.root
    except IntegrityError:
        return False


@given(TABLES, st.integers(-5, 5).filter(bool), st.data())
def test_a_changed_proof_never_fits(table, change, data):
    payee = data.draw(st.sampled_from(list(table)))
    share, nodes = table.proof(payee)
    wrong = [Proof(max(0, share + change), nodes)]
    if nodes:
        index = data.draw(st.integers(0, len(nodes) - 1))
        node = nodes[index]
        moved = node._replace(sum=max(0, node.sum + change))
        turned = node._replace(left=not node.left)
        wrong += [Proof(share, (*nodes[:index], other, *nodes[index + 1 :])) for other in (moved, turned)]
        wrong.append(Proof(max(0, share - change), (*nodes[:index], moved, *nodes[index + 1 :])))
        wrong.append(Proof(share, nodes[:-1]))
    for proof in wrong:
        assert not _fits(payee, proof, table)


def test_a_proof_longer_than_any_tree_is_refused():
    with pytest.raises(IntegrityError, match="longer"):
        root_of(ONE, Proof(WHOLE, (ProofNode(bytes(32), 0, False),) * 33))


@given(TABLES)
def test_the_order_of_payees_does_not_matter(table):
    assert ShareTable(dict(reversed(list(table.items())))).root == table.root
    assert ShareTable(table.to_json()) == table


@given(
    st.dictionaries(ADDRESSES, st.fractions(0, 1), min_size=1, max_size=9).filter(
        lambda weights: any(weights.values())
    )
)
def test_rounding_moves_nobody_by_a_unit(weights):
    table, total = ShareTable.from_fractions(weights), sum(weights.values())
    for payee, weight in weights.items():
        assert abs(table.get(payee, 0) - weight * WHOLE / total) < 1


def test_fractions_of_the_whole_leave_the_rest():
    table = ShareTable.from_fractions({ONE: 0.3, TWO: Fraction(1, 3)}, rest=OWNER)
    assert table.to_json() == {OWNER: 366_666_667, ONE: 300_000_000, TWO: 333_333_333}
    assert ShareTable.from_fractions({ONE: 0.1, TWO: 0.2, THREE: 0.7}, rest=OWNER).get(OWNER, 0) <= 1
    assert ShareTable.from_fractions({OWNER: 0.5}, rest=OWNER) == ShareTable.of_owner()


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        ({}, "shares.sum"),
        ({ONE: WHOLE - 1}, "shares.sum"),
        ({ONE: WHOLE, TWO: 1}, "shares.sum"),
        ({ONE: WHOLE, TWO: 0}, "shares.share"),
        ({ONE: WHOLE + 1, TWO: -1}, "shares.share"),
        ({ONE: 0.5, TWO: 0.5}, "shares.share"),
        ({ONE: True}, "shares.share"),
        ({"0x" + "ab" * 20: WHOLE // 2, checksum("0x" + "ab" * 20): WHOLE // 2}, "shares.twice"),
        ({"payee": WHOLE}, "chain.address"),
    ],
)
def test_tables_that_are_not_whole_are_refused(shares, code):
    with pytest.raises(BadInput) as refused:
        ShareTable(shares)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("fractions", "rest", "code"),
    [
        ({}, None, "shares.sum"),
        ({ONE: 0}, None, "shares.sum"),
        ({ONE: -0.1}, OWNER, "shares.share"),
        ({ONE: float("nan")}, OWNER, "shares.share"),
        ({ONE: float("inf")}, OWNER, "shares.share"),
        ({ONE: None}, OWNER, "shares.share"),
        ({ONE: 0.6, TWO: 0.5}, OWNER, "shares.sum"),
        ({"0x" + "ab" * 20: 1, checksum("0x" + "ab" * 20): 1}, None, "shares.twice"),
    ],
)
def test_fractions_that_make_no_table_are_refused(fractions, rest, code):
    with pytest.raises(BadInput) as refused:
        ShareTable.from_fractions(fractions, rest=rest)
    assert refused.value.code == code


def test_who_has_no_share_has_no_proof():
    with pytest.raises(NotFound):
        ShareTable.of_owner().proof(ONE)
