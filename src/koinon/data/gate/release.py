# SPDX-License-Identifier: Apache-2.0
"""The gate itself: from what a program left and the private table to what leaves, or a refusal."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.data.gate.admission import admit, holds_for_every_program
from koinon.data.gate.copies import Copies
from koinon.data.gate.membership import FORMS, Membership, Predictor, attack
from koinon.data.gate.noise import Numbers, add_noise, calibrate, keep_bits
from koinon.data.gate.outputs import Values, middle_of, read_outputs, write_results
from koinon.data.gate.policy import Policy, Reason, Refused
from koinon.data.gate.schema import RESULT, Measure, Output, ResultSchema
from koinon.tables import Table

Files = Mapping[str, bytes]

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Release:
    """What leaves.

    Attributes
    ----------
    results : mapping
        A number, a list, an object by group (None where suppressed) or an option, by the output's name.
    epsilon_spent, delta_spent : float
        What to write into the data set's ledger.
    files : mapping of str to bytes
        The same for the buyer: ``result.json`` and each model.
    membership : mapping of str to Membership
        How the attack did on each model; for the owner.
    replaced : int
        Runs whose files were missing or not as declared, and that counted as the middle of the bounds; for
        the owner: it can tell of the data.
    """

    results: Mapping[str, Any]
    epsilon_spent: float
    delta_spent: float
    files: Files = field(repr=False)
    membership: Mapping[str, Membership] = field(default_factory=dict)
    replaced: int = 0


def gate(  # noqa: PLR0917  (what it decides from)
    schema: ResultSchema,
    policy: Policy,
    outputs: Files | Sequence[Files | None] | None,
    table: Table,
    held_out: Table | None = None,
    rng: np.random.Generator | None = None,
    *,
    predictors: Mapping[str, Predictor] | None = None,
) -> Release:
    """Decide what leaves of a job's output files.

    Outputs with a sensitivity get noise after clipping to their bounds, which makes the release
    (ε, δ)-differentially private in the rows as far as the sensitivities are true: those of the declared
    bounds are for every program, declared ones only where the owner may trust the program
    (`Policy.trust_sensitivity`). Several outputs are those of runs on disjoint blocks of the rows: numbers
    are averaged, which divides the sensitivity by the number of blocks (sample and aggregate: Nissim,
    Raskhodnikova, Smith, 2007; Mohan et al., *GUPT*, 2012).

    Where all noise is for every program (`holds_for_every_program`) nothing in the data decides whether a
    result leaves: a run that failed or left something else counts as the middle of the declared bounds, and
    groups are counted by the gate itself. A program that ends badly where it sees a certain row tells
    nothing by it. Try it on rows that are made up, where its failure may be told.

    Other outputs are compared with the data, and models attacked; this finds copies and over-fitted models,
    not a program that encrypts what it hides (one XOR is enough) or spreads it over digits. There a refusal
    or a failure itself tells one bit, as does any decision that depends on the data.

    Parameters
    ----------
    outputs : mapping of str to bytes, or a sequence of them
        The files of one run, or of one run a block; None for a run that did not end well.
    table : Table
        All rows that the program saw.
    held_out : Table, optional
        Rows from the same source that it did not see; models need them.
    rng : numpy Generator, optional
        For tests. Without it noise comes from the system's secure source.
    predictors : mapping, optional
        Forms of models beside linear, logistic and softmax.

    Raises
    ------
    Refused
        With the reason, for the owner.
    """
    runs = [outputs] if outputs is None or isinstance(outputs, Mapping) else list(outputs)
    admit(schema, policy, table.columns, predictors)
    if not runs or (len(runs) > 1 and any(output.kind in ("table", "choice") for output in schema.outputs)):
        raise Refused(Reason.SCHEMA, "Tables and choices of several runs cannot be averaged.")
    if len(table) < max(policy.min_group, 1):
        raise Refused(Reason.GROUP, f"The data has {len(table)} rows, fewer than {policy.min_group}.")
    private = holds_for_every_program(schema, policy)
    read, replaced = _read(schema, policy, runs, private)
    tests = rng or np.random.default_rng(secrets.randbits(128))
    job = _Job(policy, table, held_out, rng, tests, {**FORMS, **(predictors or {})}, len(read), private)
    for values, _choices in read:
        job.check_copies(schema, values)
    together = {name: np.mean([values[name] for values, _ in read], axis=0) for name in read[0][0]}
    results: dict[str, Any] = dict(read[0][1])
    files: dict[str, bytes] = {}
    attacks: dict[str, Membership] = {}
    for output in schema.outputs:
        if output.kind == "table":
            results[output.name] = job.released_table(output, together)
        elif output.kind == "model":
            numbers = job.released(output.measure, together[output.name])
            vector = np.clip(numbers, -_LARGEST, _LARGEST).astype("<f4")
            attacks[output.name] = job.attacked(output, vector)
            files[output.file] = vector.tobytes()
        elif output.kind != "choice":
            listed = job.released(output.measure, together[output.name]).tolist()
            results[output.name] = listed if output.kind == "vector" else listed[0]
    if RESULT in schema.files:
        files[RESULT] = write_results(results)
    return Release(results, schema.epsilon, schema.delta, files, attacks, replaced)


def _read(
    schema: ResultSchema, policy: Policy, runs: Sequence[Files | None], private: bool
) -> tuple[list[tuple[Values, dict[str, str]]], int]:
    """The values of every run, and how many stand for runs that left none."""
    read: list[tuple[Values, dict[str, str]]] = []
    for files in runs:
        try:
            read.append(_read_one(schema, policy, files))
        except Refused:
            if not private:
                raise
    replaced = len(runs) - len(read)
    return [*read, *[(middle_of(schema), {})] * replaced], replaced


def _read_one(schema: ResultSchema, policy: Policy, files: Files | None) -> tuple[Values, dict[str, str]]:
    if files is None:
        raise Refused(Reason.SCHEMA, "A run of the program did not end well.")
    return read_outputs(schema, policy, files)


@dataclass(frozen=True)
class _Job:
    """What every decision on one job needs. ``rng`` is for noise, ``tests`` for what needs no secrecy."""

    policy: Policy
    table: Table
    held_out: Table | None
    rng: np.random.Generator | None
    tests: np.random.Generator
    forms: Mapping[str, Predictor]
    runs: int
    private: bool

    def check_copies(self, schema: ResultSchema, values: Values) -> None:
        """Compare what is not covered by noise of a sensitivity that holds for sure."""
        checked = [
            values[name]
            for output in schema.outputs
            for name, measure in ((output.name, output.measure), (f"{output.name}.value", output.value))
            if measure is not None and (measure.sensitivity is None or self.policy.trust_sensitivity)
        ]
        if not checked:
            return
        copies = Copies(self.table, self.held_out, self.tests)
        for numbers in [*checked, np.concatenate(checked)] if len(checked) > 1 else checked:
            if found := copies.find(numbers):
                reason, what = found
                raise Refused(
                    reason, f"The result holds {what}.", hint="Read the program before you allow it again."
                )

    def released(self, measure: Measure | None, values: Numbers) -> Numbers:
        assert measure is not None  # noqa: S101  (only choices have none)
        if measure.sensitivity is None:
            return keep_bits(values, self.policy.mantissa_bits)
        return self._noised(measure, values, self._sensitivity(measure, values.size) / self.runs)

    def released_table(self, output: Output, values: Values) -> dict[str, Any]:
        """Counts, and numbers by group, with None for groups that are too small to show.

        With noise a group is small by its noised count, so that what is shown stays private; else by its own.
        """
        measure, counts = output.measure, values[output.name]
        assert measure is not None  # noqa: S101
        verified = False
        if output.by:
            real = np.clip(_count(output, self.table), measure.low, measure.high)
            counts = real if self.private else counts
            verified = np.array_equal(counts, real)
            if (counts > real).any() or not (verified or self.policy.trust_sensitivity):
                raise Refused(
                    Reason.GROUP, f"{output.name} does not count the rows of its groups as the data does."
                )
        if measure.sensitivity is not None:
            sensitivity = self._sensitivity(measure, counts.size)
            counts = self._noised(
                measure, counts, min(sensitivity, 1.0) if verified else sensitivity, whole=True
            )
        shown = [
            count if count >= self.policy.min_group else None for count in counts.astype(np.int64).tolist()
        ]
        if output.value is None:
            return dict(zip(output.groups, shown, strict=True))
        numbers = self.released(output.value, values[f"{output.name}.value"]).tolist()
        return {
            group: {"count": count, "value": None if count is None else number}
            for group, count, number in zip(output.groups, shown, numbers, strict=True)
        }

    def attacked(self, output: Output, vector: NDArray[np.float32]) -> Membership:
        if self.held_out is None or len(self.held_out) < max(self.policy.mia_rows, 1):
            raise Refused(
                Reason.MEMBERSHIP,
                f"There are fewer than {self.policy.mia_rows} held-out rows to test {output.name} with.",
                hint="Hold rows back that programs never see, or do not allow models.",
            )
        try:
            found = attack(vector, self.forms[output.form], self.table, self.held_out, self.tests)
        except (ValueError, IndexError, ArithmeticError) as error:
            raise Refused(Reason.MODEL, f"{output.name} does not predict: {error}.") from error
        if found.auc > self.policy.mia_bound:
            raise Refused(
                Reason.MEMBERSHIP,
                f"{output.name} tells its training rows from others: AUC {found.auc:.3f} "
                f"({found.low:.3f} to {found.high:.3f}), more than {self.policy.mia_bound:g}.",
                hint="Train it for less long, with more regularisation, or with differential privacy.",
            )
        return found

    def _sensitivity(self, measure: Measure, length: int) -> float:
        """What one row can change of all numbers together: at most every one by the width of its bounds."""
        width = measure.high - measure.low
        worst = width * (length if measure.mechanism == "laplace" else math.sqrt(length))
        if self.policy.trust_sensitivity and measure.sensitivity is not None:
            return min(measure.sensitivity, worst)
        return worst

    def _noised(
        self, measure: Measure, values: Numbers, sensitivity: float, *, whole: bool = False
    ) -> Numbers:
        calibration = calibrate(
            measure.mechanism,
            sensitivity=sensitivity,
            epsilon=measure.epsilon,
            delta=measure.delta,
            length=values.size,
            largest=max(abs(measure.low), abs(measure.high)),
            whole=whole,
        )
        return add_noise(values, calibration, self.rng)


def _count(output: Output, table: Table) -> Numbers:
    """The rows of each declared group; one row more or less changes one count by one."""
    if output.by == "label" and "label" not in table.columns:
        column = table.labels.astype(np.float64)
    else:
        column = table.features[:, table.columns.index(output.by)].astype(np.float64)
    if output.edges:
        return np.histogram(column, np.array(output.edges))[0].astype(np.float64)
    wanted = np.array(output.values).astype(np.float32).astype(np.float64)
    return np.array([float((column == value).sum()) for value in wanted])
