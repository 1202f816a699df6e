# SPDX-License-Identifier: Apache-2.0
"""Every cycle of at most six transfers inside the window is found: against the same found by trying all."""

from itertools import pairwise

import numpy as np
import pytest

from koinon.watch.graph import Edges
from koinon.watch.laundering.cycles import find_cycles, union
from koinon.watch.laundering.rules import Rules


def tried(edges, rules):
    """All cycles, by following every transfer from every one."""
    found = set()

    def follow(path):
        last = path[-1]
        for row in range(last + 1, len(edges)):
            if edges.timestamp[row] - edges.timestamp[path[0]] >= rules.window_s:
                return
            if edges.source[row] != edges.target[last]:
                continue
            visited = [int(edges.source[each]) for each in path]
            if edges.target[row] == visited[0]:
                if rules.shortest_cycle <= len(path) + 1:
                    found.add((*path, row))
            elif int(edges.target[row]) not in [*visited, int(edges.source[row])] and (
                len(path) + 2 <= rules.longest_cycle
            ):
                follow([*path, row])

    for row in range(len(edges)):
        if edges.source[row] != edges.target[row]:
            follow([row])
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("longest", [3, 6])
def test_exactly_the_cycles_that_trying_all_finds(seed, longest):
    random = np.random.default_rng(seed)
    edges = Edges.of(
        random.integers(0, 9, 60), random.integers(0, 9, 60), random.integers(0, 400, 60), np.ones(60)
    )
    rules = Rules(window_s=100, shortest_cycle=2, longest_cycle=longest, cycles_each=10_000)
    found, crowded = find_cycles(edges, rules)
    assert len(found) == len({tuple(each.tolist()) for each in found})
    assert {tuple(each.tolist()) for each in found} == tried(edges, rules)
    assert not crowded.any()


def planted(random, length, window_s):
    """A cycle of that length inside the window, somewhere among other transfers."""
    accounts = random.choice(400, length, replace=False)
    start = int(random.integers(0, 50_000))
    times = start + np.sort(random.choice(window_s, length, replace=False))
    return [(accounts[at], accounts[(at + 1) % length], times[at]) for at in range(length)]


def test_every_planted_cycle_of_three_to_six_is_found_with_all_its_transfers():
    random = np.random.default_rng(11)
    rules = Rules(window_s=3_600)
    rows = [(*random.integers(0, 400, 2), random.integers(0, 50_000)) for _ in range(3_000)]
    cycles = [planted(random, length, 3_600) for length in (3, 4, 5, 6) * 25]
    rows += [each for cycle in cycles for each in cycle]
    source, target, times = (np.array(column) for column in zip(*rows, strict=True))
    edges = Edges.of(source, target, times, np.ones(len(rows)))
    found, crowded = find_cycles(edges, rules)
    named = {
        frozenset(zip(edges.source[each].tolist(), edges.target[each].tolist(), strict=True))
        for each in found
    }
    assert not crowded.any()
    assert [cycle for cycle in cycles if frozenset((int(a), int(b)) for a, b, _ in cycle) not in named] == []
    for each in found:
        assert all(edges.target[a] == edges.source[b] for a, b in pairwise([*each, each[0]]))
        assert (np.diff(each) > 0).all()


def test_where_cycles_crowd_one_finding_names_all_their_transfers():
    middles = range(1, 21)
    rows = [(0, each, each) for each in middles] + [(each, 21, 30 + each) for each in middles] + [(21, 0, 90)]
    source, target, times = zip(*rows, strict=True)
    edges = Edges.of(source, target, times, np.ones(len(rows)))
    found, crowded = find_cycles(edges, Rules(window_s=1_000, cycles_each=8))
    assert len(found) == 8
    assert np.flatnonzero(crowded).tolist() == [40]
    assert union(edges, 40, Rules(window_s=1_000)).tolist() == list(range(41))


def test_money_that_comes_back_before_it_left_is_no_cycle():
    edges = Edges.of([1, 0, 2], [2, 1, 0], [1, 2, 3], [1, 1, 1])
    assert find_cycles(edges, Rules())[0] == []


def test_a_cycle_as_long_as_the_window_is_outside_it():
    edges = Edges.of([0, 1, 2], [1, 2, 0], [0, 5, 10], [1, 1, 1])
    assert find_cycles(edges, Rules(window_s=10))[0] == []
    assert [each.tolist() for each in find_cycles(edges, Rules(window_s=11))[0]] == [[0, 1, 2]]
