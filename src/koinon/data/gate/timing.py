# SPDX-License-Identifier: Apache-2.0
"""What a buyer learns beside a result, and when: one of three words, at one of few moments."""

from __future__ import annotations

import math
from enum import StrEnum

from koinon.compute.sandbox import Outcome
from koinon.errors import BadInput


class Told(StrEnum):
    """All that anyone but the owner is told of how a job ended.

    Why it failed (an error's text, a timeout, memory) can be made to depend on the data, so it is not told.
    """

    RELEASED = "released"
    FAILED = "failed"
    REFUSED = "refused"


def told(outcome: Outcome, *, refused: bool) -> Told:
    """The word for an outcome of the sandbox and a decision of the gate."""
    if outcome is not Outcome.OK:
        return Told.FAILED
    return Told.REFUSED if refused else Told.RELEASED


def release_time(started: float, slot_s: float, finished: float | None = None) -> float:
    """When to tell: the first whole number of slots after the start at which the job has ended.

    With a limit on the wall clock of at most one slot (less what the gate takes) it is always the first, and
    timing tells nothing; so it does where ``finished`` is the end of the longest time that the job may take.
    Failures and refusals are told at the same moments as results.

    Parameters
    ----------
    started, finished : float
        Seconds by one clock; without ``finished``, the first slot.

    Raises
    ------
    BadInput
        A slot that is not positive, or an end before the start.
    """
    lasted = 0.0 if finished is None else finished - started
    if not slot_s > 0 or lasted < 0:
        raise BadInput(f"A slot of {slot_s} s for a job of {lasted} s cannot be.", code="gate.slot")
    return started + slot_s * max(1, math.ceil(lasted / slot_s))
