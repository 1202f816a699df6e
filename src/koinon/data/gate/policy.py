# SPDX-License-Identifier: Apache-2.0
"""The owner's rules for what may leave, and the refusal when something may not."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from koinon.errors import BadInput, KoinonError


class Reason(StrEnum):
    """Why the gate refused. For the owner: the buyer learns only that it did."""

    SCHEMA = "schema"
    BYTES = "bytes"
    BUDGET = "budget"
    SENSITIVITY = "sensitivity"
    MODEL = "model"
    GROUP = "group"
    VERBATIM = "verbatim"
    COMPRESSION = "compression"
    MEMBERSHIP = "membership"


class Refused(KoinonError):
    """A result does not leave. ``reason`` says which rule stopped it; its code is ``gate.<reason>``.

    The sentence can tell of the data, so it is for the owner; a buyer is told `Told.REFUSED` and no more.
    """

    code = "gate.refused"
    exit_status = 2
    http_status = 422

    def __init__(self, reason: Reason, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, code=f"gate.{reason}")
        self.reason = reason


@dataclass(frozen=True)
class Policy:
    """What an owner lets out of one job.

    Attributes
    ----------
    epsilon_per_job, delta_per_job : float
        Most that all outputs of a job may spend together (basic composition).
    trust_sensitivity : bool
        Take the sensitivities that the buyer declares. Right only for a program the owner has read or that
        someone the owner trusts vouches for: a false one makes the noise, and epsilon, mean nothing. Without
        it the gate counts with the worst that clipping to the declared bounds leaves (their whole width),
        which holds for every program; runs on disjoint blocks of rows make that bearable.
    allow_undeclared : bool
        Let numbers and choices leave without noise, past the other checks alone.
    allow_models : bool
        Let models leave, past the other checks and the membership test.
    min_group : int
        Fewest rows of a group that is shown, and of the data altogether.
    mia_bound : float
        Highest AUC that a membership attack on a model may reach (0.5 is guessing).
    mia_rows : int
        Fewest held-out rows for that test to count.
    slot_s : float
        Outcomes are told at multiples of it after the start, never between.
    output_bytes, model_bytes : int
        Most bytes of all results but models, and of one model.
    mantissa_bits : int
        Binary digits that are kept of numbers that leave without noise: fewer leave less room to hide in.
    """

    epsilon_per_job: float = 1.0
    delta_per_job: float = 1e-6
    trust_sensitivity: bool = False
    allow_undeclared: bool = False
    allow_models: bool = False
    min_group: int = 10
    mia_bound: float = 0.6
    mia_rows: int = 50
    slot_s: float = 60.0
    output_bytes: int = 64 * 1024
    model_bytes: int = 16 << 20
    mantissa_bits: int = 10

    def __post_init__(self) -> None:
        wrong = [each.name for each in fields(self) if not getattr(self, each.name) >= 0]
        wrong += [] if self.slot_s > 0 else ["slot_s"]
        wrong += [] if 0.5 <= self.mia_bound <= 1 else ["mia_bound"]
        wrong += [] if self.delta_per_job < 1 else ["delta_per_job"]
        wrong += [] if 1 <= self.mantissa_bits <= 53 else ["mantissa_bits"]
        if wrong:
            raise BadInput(
                f"The policy's {wrong[0]} is {getattr(self, wrong[0])}, which cannot be.",
                code="gate.policy",
            )
