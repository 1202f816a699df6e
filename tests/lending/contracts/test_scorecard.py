# SPDX-License-Identifier: Apache-2.0
"""The scorecard on chain gives the points of the one in Python."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.chain import artifacts
from koinon.chain.abi import revert_reason
from koinon.chain.hashing import keccak256
from koinon.lending.scorecard_table import MAXIMUM_EDGES, MAXIMUM_TIERS, MISSING, Feature, ScorecardTable
from koinon.markets.simulation.bench import Bench
from tests.bench_support import Handle, account, deploy, refused


def random_table(generator: np.random.Generator, features: int, tiers: int) -> ScorecardTable:
    made = []
    for number in range(features):
        size = int(generator.integers(0, MAXIMUM_EDGES + 1))
        edges = sorted({int(edge) for edge in generator.integers(-1000, 1000, size)})
        points = tuple(int(each) for each in generator.integers(-90, 90, len(edges) + 1))
        zero = int(generator.integers(-90, 90)) if generator.random() < 0.5 else None
        made.append(Feature(f"f{number}", tuple(edges), points, int(generator.integers(-90, 90)), zero))
    thresholds = sorted({int(each) for each in generator.integers(300, 900, tiers)}, reverse=True)
    return ScorecardTable(tuple(made), tuple(thresholds), 600)


def scores_on_chain(table: ScorecardTable, rows: np.ndarray) -> list[tuple[int, int]]:
    """Points and tier of every row, by the bytecode that ships."""
    contract = keeping(table.encode())
    return [tuple(contract.score(row)) for row in rows.tolist()]


def keeping(packed: bytes) -> Handle:
    """A contract with this table."""
    return deploy(Bench(), "Scorecard", packed)


def refusal_of(packed: bytes) -> str:
    """Why no contract keeps this table; '' where one does."""
    try:
        Bench().evm.deploy(account("caller"), artifacts.load("Scorecard").creation(packed))
    except RuntimeError as refusal:
        return revert_reason(bytes.fromhex(str(refusal).partition("output: 0x")[2].partition(" ")[0]), {})
    return ""


def test_a_thousand_random_rows_get_the_same_points_and_tiers_in_python_and_on_chain():
    generator = np.random.default_rng(6)
    for features, tiers, rows in ((12, 5, 940), (1, 0, 30), (64, MAXIMUM_TIERS, 30)):
        table = random_table(generator, features, tiers)
        values = generator.integers(-1100, 1100, (rows, features))
        values[generator.random(values.shape) < 0.1] = MISSING
        values[generator.random(values.shape) < 0.1] = 0
        on_edges = generator.random(values.shape) < 0.2
        for column, feature in enumerate(table.features):
            if feature.edges:
                chosen = generator.choice(np.array(feature.edges), rows)
                values[:, column] = np.where(on_edges[:, column], chosen, values[:, column])
        points = table.points(values)
        expected = list(zip(points.tolist(), table.tiers(points).tolist(), strict=True))
        assert scores_on_chain(table, values) == expected


def test_the_contract_tells_which_table_it_keeps():
    table = ScorecardTable((Feature("age", (10,), (1, 2)),), (5, 2), -3)
    contract = keeping(table.encode())
    assert contract.digest() == table.digest
    assert contract.names_digest() == table.names_digest
    assert (contract.feature_count(), contract.tier_count(), contract.base_points()) == (1, 2, -3)
    assert contract.MISSING() == MISSING
    kept = b"\0" + table.encode()
    code = contract.bench.code(contract.table())  # revm pads code with zeros
    assert code[: len(kept)] == kept
    assert not any(code[len(kept) :])
    assert [contract.tier(points) for points in (5, 4, 2, 1)] == [0, 1, 1, 2]
    assert contract.points([11]) == -1
    # What no 64-bit integer holds falls into the outer bins.
    assert contract.points([2**200]) == -1
    assert contract.points([-(2**200)]) == -2


def test_the_greatest_numbers_that_fit_come_out_whole():
    widest = Feature("wide", (-(2**63) + 1, 2**63 - 1), (-(2**24) + 1, 0, 2**24 - 1), 2**24 - 1, -(2**24) + 1)
    table = ScorecardTable((widest,), (2**30 - 1, -(2**30) + 1), -(2**30) + 1)
    contract = keeping(table.encode())
    for value in (-(2**63) + 1, -(2**63), 0, 2**63 - 1):
        assert contract.points([value]) == table.points(np.array([[value]]))[0]
    assert contract.points([2**63]) == -(2**30) + 2**24


def packed_with(**changes: int) -> bytes:
    """A good table with bytes changed: ``at_<offset>=value``."""
    table = ScorecardTable((Feature("age", (10, 20), (1, 2, 3)),), (5, 2))
    packed = bytearray(table.encode())
    for place, number in changes.items():
        packed[int(place.removeprefix("at_"))] = number
    return bytes(packed)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "no features"),
        (ScorecardTable((Feature("age", (), (1,)),)).encode()[:128], "no features"),
        (packed_with(at_0=2), "unknown version"),
        (packed_with(at_1=2), "wrong length"),
        (packed_with(at_1=65), "wrong length"),
        (packed_with() + bytes(1), "wrong length"),
        (packed_with(at_2=17), "too many tiers"),
        (packed_with(at_67=2), "thresholds must fall"),
        (packed_with(at_128=16), "malformed feature"),
        (packed_with(at_129=2), "malformed feature"),
        (packed_with(at_167=20), "edges must rise"),
    ],
)
def test_what_is_no_table_is_refused(packed, reason):
    assert refusal_of(packed) == reason
    assert refusal_of(packed_with()) == ""


def test_a_row_of_another_length_is_refused():
    contract = keeping(packed_with())
    for row in ([], [1, 2]):
        with refused("one value a feature"):
            contract.points(row)
    assert contract.digest() == keccak256(packed_with())
