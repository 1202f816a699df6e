# SPDX-License-Identifier: Apache-2.0
"""Runs the state machines alone, each with many times the examples that its ordinary run has.

    python -m pytest -p tests.fuzz_plugin --times 25 tests/works

State machines say themselves how many examples an ordinary run can afford; a Hypothesis profile would not
change that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import TestCase

import pytest
from hypothesis import Phase, settings, stateful

RUN = "run_state_machine_as_test"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=int, default=25, help="examples of state machines, as a multiple")


def pytest_configure(config: pytest.Config) -> None:
    times: int = config.getoption("--times")
    if times < 1:
        raise pytest.UsageError("--times is at least 1")
    setattr(stateful, RUN, multiplied(getattr(stateful, RUN), times))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept = [item for item in items if runs_a_state_machine(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def multiplied(run: Callable[..., None], times: int) -> Callable[..., None]:
    """``run_state_machine_as_test`` with so many times the examples."""

    def run_many(machine: Any, *, settings: settings | None = None, **others: Any) -> None:
        run(machine, settings=more(settings, times), **others)

    return run_many


def more(given: settings | None, times: int) -> settings:
    base = given or settings()
    # Explaining what failed takes as long as finding it.
    phases = [phase for phase in base.phases if phase is not Phase.explain]
    return settings(base, max_examples=base.max_examples * times, phases=phases)


def runs_a_state_machine(item: pytest.Item) -> bool:
    """Whether a test is a machine's ``TestCase``, or a function that runs one."""
    if not isinstance(item, pytest.Function):
        return False
    if item.cls is not None and issubclass(item.cls, TestCase):
        return hasattr(item.cls, "settings")
    return RUN in getattr(getattr(item.function, "__code__", None), "co_names", ())
