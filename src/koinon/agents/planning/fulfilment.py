# SPDX-License-Identifier: Apache-2.0
"""Carrying a plan out: calls are paid and checked, and what fails is planned around.

What a service answers is data. It can become the value of a fact of the type its service announced, and
nothing else: not a limit, not a service to call, not an instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from koinon.agents.planning.capability import Capability
from koinon.agents.planning.goal import Goal
from koinon.agents.planning.search import Plan, cheapest
from koinon.errors import KoinonError, NotFound
from koinon.services.targets.shape import problems

MOST_FAILURES: Final = 8
MOST_SEARCHES: Final = 24
MOST_CANDIDATES: Final = 64


class Paid(Protocol):
    """What a paid call brings: `koinon.services.buying.replies.Answer` is one."""

    @property
    def result(self) -> Any: ...

    @property
    def charged(self) -> int: ...


Find = Callable[[str], Sequence[Capability]]
"""Services for words, the best first."""

Buy = Callable[[Capability, dict[str, Any]], Paid]
"""Call a service and pay for it, within what the owner allows. KoinonError where it fails or is not allowed:
then another way is looked for."""


@dataclass(frozen=True)
class Step:
    """A call that was made. ``fault`` is empty where it brought what its service announced."""

    capability: Capability
    arguments: Mapping[str, Any]
    result: Any
    charged: int
    fault: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a goal: the wanted facts, and the calls in order."""

    answers: Mapping[str, Any]
    steps: tuple[Step, ...]

    @property
    def charged(self) -> int:
        """For all calls, in the coin's smallest unit."""
        return sum(step.charged for step in self.steps)


class Unfulfilled(NotFound):
    """The goal was not reached; ``steps`` were made all the same."""

    def __init__(self, message: str, hint: str, steps: Sequence[Step]) -> None:
        super().__init__(message, hint=hint, code="agents.unfulfilled")
        self.steps = tuple(steps)


class Fulfiller:
    """Reaches goals by typed schemas alone, without a language model.

    Parameters
    ----------
    find : callable
        See `Find`.
    buy : callable
        See `Buy`.
    budget : int, optional
        Most that one goal may cost, in the coin's smallest unit, beside what ``buy`` allows.
    """

    def __init__(self, find: Find, buy: Buy, *, budget: int | None = None) -> None:
        self._find, self._buy, self._budget = find, buy, budget

    def plan(self, goal: Goal) -> Plan:
        """How the goal would be reached, and at what price; Unfulfilled where no plan is found."""
        return self._plan(goal, {}, ())

    def fulfil(self, goal: Goal) -> Outcome:
        """Reach a goal, paying for what it takes; each service is called once.

        Raises Unfulfilled where no plan is left; what was paid until then is in its ``steps``.
        """
        values, learnt, steps = dict(goal.known), dict[str, Mapping[str, Any]](), list[Step]()
        while True:
            plan = self._plan(goal, learnt, steps)
            if not plan.calls:
                return Outcome({name: values[fact] for name, fact in plan.answers.items()}, tuple(steps))
            call = plan.calls[0]
            step = self._make(call.capability, {name: values[fact] for name, fact in call.inputs.items()})
            steps.append(step)
            if step.fault:
                if sum(bool(each.fault) for each in steps) > MOST_FAILURES:
                    raise Unfulfilled("Too many services have failed.", step.fault, steps)
                continue
            for name, value in call.capability.facts(step.result).items():
                if name not in values:
                    values[name], learnt[name] = value, call.capability.gives[name]

    def _plan(self, goal: Goal, learnt: Mapping[str, Mapping[str, Any]], steps: Sequence[Step]) -> Plan:
        """What is still to be done."""
        budget = None if self._budget is None else self._budget - sum(step.charged for step in steps)
        found = self._candidates(goal, {step.capability.work_id for step in steps})
        plan = cheapest(goal, found, learnt=learnt, budget=budget)
        if plan is None:
            wanted = ", ".join(goal.wanted)
            fault = next((step.fault for step in reversed(steps) if step.fault), "")
            raise Unfulfilled(
                f"No services were found that lead to {wanted}.",
                fault or "Give more facts, other words, or a larger budget.",
                steps,
            )
        return plan

    def _candidates(self, goal: Goal, without: Collection[int]) -> list[Capability]:
        """What a search for the goal brings, and then searches for what those services need."""
        found: dict[int, Capability] = {}
        asked: set[str] = set()
        words = [goal.words] if goal.words else []
        words += [name.replace("_", " ") for name in goal.wanted]
        for _ in range(3):
            new = [each for each in dict.fromkeys(words) if each not in asked]
            asked |= set(new)
            words = []
            for each in new[: max(0, MOST_SEARCHES - (len(asked) - len(new)))]:
                for capability in self._find(each):
                    if len(found) >= MOST_CANDIDATES:
                        return list(found.values())
                    if capability.work_id not in without and capability.work_id not in found:
                        found[capability.work_id] = capability
                        missing = capability.needs - goal.known.keys()
                        words += [name.replace("_", " ") for name in sorted(missing)]
        return list(found.values())

    def _make(self, capability: Capability, arguments: dict[str, Any]) -> Step:
        try:
            answer = self._buy(capability, arguments)
        except KoinonError as error:
            return Step(capability, arguments, None, 0, error.message)
        wrong = problems(capability.output, answer.result)
        fault = f"It gave another thing than it announced: {wrong[0]['reason']}." if wrong else ""
        return Step(capability, arguments, answer.result, answer.charged, fault)
