# SPDX-License-Identifier: Apache-2.0
"""From how programs ended in the sandbox to all that leaves: a word, and files where it is a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from koinon.compute.sandbox import Finished, Outcome
from koinon.data.gate.admission import holds_for_every_program
from koinon.data.gate.membership import Predictor
from koinon.data.gate.policy import Policy, Refused
from koinon.data.gate.release import Release, gate
from koinon.data.gate.schema import ResultSchema
from koinon.data.gate.timing import Told, told
from koinon.tables import Table


@dataclass(frozen=True)
class Decision:
    """How a job ends.

    Attributes
    ----------
    told : Told
        The word for the buyer.
    files : mapping of str to bytes
        What leaves; empty unless released.
    release : Release or None
        The same with what it spent; for the owner.
    refused : Refused or None
        Why it was refused; for the owner, and never in what is printed of this.
    """

    told: Told
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    release: Release | None = field(default=None, repr=False)
    refused: Refused | None = field(default=None, repr=False)


def decide(  # noqa: PLR0917  (as `gate`)
    schema: ResultSchema,
    policy: Policy,
    finished: Finished | Sequence[Finished],
    table: Table,
    held_out: Table | None = None,
    rng: np.random.Generator | None = None,
    *,
    predictors: Mapping[str, Predictor] | None = None,
) -> Decision:
    """Decide on one run, or on runs on disjoint blocks of the rows; parameters as in `gate`.

    Logs, the kind of failure and the meters of `Finished` go nowhere. What was spent is entered into the
    data set's ledger before the files are handed over, by the declaration and whatever the outcome, so that
    words cost as well: ``schema.epsilon``. Each run on a block must have limits of its own, time too: where
    one run can use up another's, one row moves more than one of them.
    """
    runs = [finished] if isinstance(finished, Finished) else list(finished)
    bad = [run.outcome for run in runs if run.outcome is not Outcome.OK]
    if bad and not holds_for_every_program(schema, policy):
        return Decision(told(bad[0], refused=False))
    outputs = [run.outputs if run.outcome is Outcome.OK else None for run in runs]
    try:
        release = gate(schema, policy, outputs, table, held_out, rng, predictors=predictors)
    except Refused as refused:
        return Decision(told(Outcome.OK, refused=True), refused=refused)
    return Decision(told(Outcome.OK, refused=False), release.files, release)
