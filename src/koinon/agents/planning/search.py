# SPDX-License-Identifier: Apache-2.0
"""The cheapest sequence of services that leads from what is known to what is wanted.

A search by uniform cost over sets of calls, forward from the known facts. A call costs its price, and more
the less its service can be relied on: price / quality is what one good answer costs where a share ``quality``
of them are good. Plans of equal cost are ordered by their number of calls.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.agents.planning.capability import Capability
from koinon.agents.planning.goal import Goal
from koinon.agents.planning.matching import best_match

MOST_CALLS: Final = 6
MOST_NODES: Final = 20_000
MOST_COMPARISONS: Final = 3_000_000
"""Of a field with a fact: some seconds' worth."""
_LEAST_QUALITY: Final = 0.05

Facts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Call:
    """One call of a plan: which fact goes into which input."""

    capability: Capability
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """Calls in order, and which fact then stands for each wanted one."""

    calls: tuple[Call, ...]
    answers: Mapping[str, str]

    @property
    def price(self) -> int:
        """Of all calls, in the coin's smallest unit."""
        return sum(call.capability.price for call in self.calls)


def inputs_of(capability: Capability, facts: Facts) -> dict[str, str] | None:
    """A fact for every input that can have one; None where a needed one has none."""
    found = {}
    for name, schema in sorted(capability.takes.items(), key=lambda field: field[0] not in capability.needs):
        fact = best_match(name, schema, facts)
        if fact is not None:
            found[name] = fact
        elif name in capability.needs:
            return None
    return found


def answers_of(goal: Goal, facts: Facts) -> dict[str, str] | None:
    """A fact for everything wanted; None where something has none. What was known from the start answers for
    its own name only: an income is no answer to who wants a yearly income."""
    found = {name: best_match(name, schema, facts, goal.known) for name, schema in goal.wanted.items()}
    complete = {name: fact for name, fact in found.items() if fact is not None}
    return complete if len(complete) == len(found) else None


def cheapest(
    goal: Goal, capabilities: Sequence[Capability], *, learnt: Facts | None = None, budget: int | None = None
) -> Plan | None:
    """The best plan within a budget (the coin's smallest unit); None where there is none, or the search would
    take too long. ``learnt`` are facts that services gave already."""
    order = itertools.count()
    start: tuple[Call, ...] = ()
    waiting: list[tuple[float, int, int, tuple[Call, ...], Facts]] = [
        (0.0, 0, next(order), start, {**(learnt or {}), **goal.schemas})
    ]
    seen: set[frozenset[int]] = set()
    compared = 0
    for _ in range(MOST_NODES):
        if not waiting or compared > MOST_COMPARISONS:
            return None
        cost, _length, _number, calls, facts = heapq.heappop(waiting)
        answers = answers_of(goal, facts)
        if answers is not None:
            return Plan(calls, answers)
        called = frozenset(call.capability.work_id for call in calls)
        if called in seen or len(calls) >= MOST_CALLS:
            continue
        seen.add(called)
        spent = sum(call.capability.price for call in calls)
        for capability in capabilities:
            if capability.work_id in called or (budget is not None and spent + capability.price > budget):
                continue
            if all(name in facts for name in capability.gives):
                continue
            compared += len(capability.takes) * len(facts)
            inputs = inputs_of(capability, facts)
            if inputs is not None:
                further = cost + capability.price / max(capability.quality, _LEAST_QUALITY)
                after = {**capability.gives, **facts}
                entry = (*calls, Call(capability, inputs))
                heapq.heappush(waiting, (further, len(entry), next(order), entry, after))
    return None
