# SPDX-License-Identifier: Apache-2.0
"""What is refused by its declaration alone, before a program runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from koinon.data.gate.membership import FORMS, Predictor, fits
from koinon.data.gate.policy import Policy, Reason, Refused
from koinon.data.gate.schema import Output, ResultSchema


def admit(
    schema: ResultSchema,
    policy: Policy,
    columns: Sequence[str],
    predictors: Mapping[str, Predictor] | None = None,
) -> None:
    """Refuse what would be refused whatever comes out; this depends on no data.

    Raises
    ------
    Refused
        More epsilon or delta than a job may spend, outputs without noise, or models, that the policy does not
        let out, more bytes than it allows, a column or a form of model that is not known.
    """
    if schema.epsilon > policy.epsilon_per_job or schema.delta > policy.delta_per_job:
        raise Refused(
            Reason.BUDGET,
            f"The outputs spend epsilon {schema.epsilon:g} and delta {schema.delta:g}; "
            f"a job may spend {policy.epsilon_per_job:g} and {policy.delta_per_job:g}.",
            hint="Declare fewer outputs or a smaller epsilon.",
        )
    for output in schema.outputs:
        if output.kind == "model":
            _admit_model(output, policy, columns, {**FORMS, **(predictors or {})})
            continue
        bare = [measure for measure in output.measures if measure.sensitivity is None]
        if (bare or output.kind == "choice") and not policy.allow_undeclared:
            raise Refused(
                Reason.SENSITIVITY,
                f"{output.name} has no declared sensitivity, so it would leave without noise.",
                hint="Declare sensitivity and epsilon, or ask the owner to allow results without noise.",
            )
        if output.kind == "table" and not output.by and bare and not policy.trust_sensitivity:
            raise Refused(
                Reason.GROUP,
                f"{output.name} does not say by which column it is grouped, so its counts cannot be checked.",
                hint="Declare by, with values or edges.",
            )
        if output.by and output.by not in (*columns, "label"):
            raise Refused(Reason.SCHEMA, f"{output.name} is grouped by '{output.by}', which is no column.")


def holds_for_every_program(schema: ResultSchema, policy: Policy) -> bool:
    """Whether every number gets noise that hides any one row whatever the program does.

    Then how it ends must not be told either: give `gate` None for a run that failed, and tell its buyer at
    the end of the longest time that the job could have taken.
    """
    measures = [measure for output in schema.outputs for measure in output.measures]
    return (
        not policy.trust_sensitivity
        and all(measure.sensitivity is not None for measure in measures)
        and not any(output.kind in ("choice", "model") for output in schema.outputs)
    )


def _admit_model(
    output: Output, policy: Policy, columns: Sequence[str], forms: Mapping[str, Predictor]
) -> None:
    if not policy.allow_models:
        raise Refused(Reason.MODEL, f"{output.name} is a model, and the owner lets none out.")
    if 4 * output.length > policy.model_bytes:
        raise Refused(Reason.BYTES, f"{output.name} has more than {policy.model_bytes} bytes.")
    if output.form not in forms:
        raise Refused(
            Reason.MODEL,
            f"{output.name} has the form '{output.form}', which cannot be tested here.",
            hint=f"Forms are {', '.join(sorted(forms))}.",
        )
    if forms[output.form] is FORMS.get(output.form) and not fits(output.form, output.length, len(columns)):
        raise Refused(
            Reason.MODEL,
            f"{output.name} has {output.length} numbers, which is no {output.form} model of this data.",
        )
