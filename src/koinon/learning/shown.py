# SPDX-License-Identifier: Apache-2.0
"""What a run came to, on a terminal."""

from __future__ import annotations

from typing import Any, Final

from rich.markup import escape

from koinon.estimates import Estimate
from koinon.learning.drift import LARGE, NOTABLE
from koinon.learning.gains import Gain
from koinon.learning.groups import GroupReport
from koinon.learning.outcome import Outcome
from koinon.learning.recipe import credit_recipe
from koinon.terminal import Terminal

VERDICTS: Final = {"gains": "gains", "loses": "loses", "unclear": "may be chance"}


def show_outcome(terminal: Terminal, outcome: Outcome, answer: dict[str, Any]) -> None:
    """The result as people read it; ``answer`` is the same as JSON, with what was published."""
    _owners(terminal, outcome)
    _scores(terminal, outcome, answer)
    for sentence in () if outcome.privacy is None else outcome.privacy.in_words():
        terminal.say(sentence)
    _gains(terminal, outcome)
    if outcome.findings.groups is not None:
        _groups(terminal, outcome.findings.groups, outcome.metric)
    _drifts(terminal, outcome)
    traffic = outcome.traffic
    near = f"; {_bytes(traffic.near_up)} up until round {traffic.near_round} came within 0.01 of it"
    terminal.say(
        f"Sent {_bytes(traffic.up)} up and {_bytes(traffic.down)} down{near if traffic.near_round else ''}."
    )
    if outcome.money is not None and outcome.model.recipe.label == credit_recipe().label:
        money = outcome.money
        terminal.say(
            f"Of {money.approved:,} approved at {money.approval_rate:.0%}, {money.together:,} default; "
            f"{money.alone:,.0f} with the models made alone."
        )
    files = answer["files"]
    if "work" not in answer:
        terminal.say(f"The model is in {files}/model.npz.")
        return
    terminal.say(f"Published as Work {answer['work']['id']}; its income arrives at {answer['work']['till']}.")
    terminal.say(f"  sell it   koinon service offer {answer['work']['id']} {files}/model.npz --price 0.001")
    terminal.say(f"  check it  koinon learn check {files}/evidence.bin --run {outcome.run_id}")


def _owners(terminal: Terminal, outcome: Outcome) -> None:
    together = outcome.together.value
    terminal.table(
        f"{outcome.model.recipe.name}: {outcome.metric} on {outcome.held_out_rows:,} rows nobody trained on",
        ("Owner", "Rows", "Alone", "Gain", "Share"),
        [
            (
                f"{owner.index + 1}  {owner.address}",
                f"{owner.rows:,}",
                "-" if owner.alone is None else f"{owner.alone:.3f}",
                "-" if owner.alone is None else f"{together - owner.alone:+.3f}",
                f"{owner.share / 1e9:.2%}",
            )
            for owner in outcome.owners
        ],
        right=(1, 2, 3, 4),
    )


def _scores(terminal: Terminal, outcome: Outcome, answer: dict[str, Any]) -> None:
    together = outcome.together
    terminal.say(
        f"Together [bold]{together.value:.3f}[/bold] ({together.low:.3f} to {together.high:.3f}), "
        f"all rows in one place {answer['pooled']['score']:.3f}."
    )
    if "before" in answer:
        terminal.say(
            f"Before anybody left {answer['before']:.3f}: "
            f"a difference of {together.value - answer['before']:+.3f}."
        )
    if outcome.gain is not None:
        gain = outcome.gain
        terminal.say(f"Gain over learning alone {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}).")


def _gains(terminal: Terminal, outcome: Outcome) -> None:
    """Who gains on rows of its own; nothing where the recipe has nobody tell."""
    told = [(index + 1, gain) for index, gain in enumerate(outcome.findings.gains) if gain is not None]
    if not told:
        return
    scores = any(gain.alone is not None for _, gain in told)
    terminal.table(
        f"Who gains by joining? {outcome.metric} on each one's own rows that taught nobody",
        ("Owner", *(("Rows", "Alone", "Together") if scores else ()), "Difference", "So it"),
        [
            (
                number,
                *(_scores_of(gain) if scores else ()),
                _with_doubt(gain.difference),
                VERDICTS[gain.verdict],
            )
            for number, gain in told
        ],
        right=(1, 2, 3, 4) if scores else (1,),
    )


def _scores_of(gain: Gain) -> tuple[str, ...]:
    scores = ("-" if one is None else f"{one.value:.3f}" for one in (gain.alone, gain.together))
    return f"{gain.rows:,}" if gain.rows else "-", *scores


def _groups(terminal: Terminal, report: GroupReport, metric: str) -> None:
    words = {
        "selected": f"given '{report.favourable}'",
        "opportunity": f"given '{report.favourable}' where it is right",
        "score": metric,
    }
    terminal.table(
        f"Are groups treated alike? By {report.column}, on the same rows",
        ("Group", "Rows", *words.values()),
        [
            (
                group.name,
                f"{group.rows:,}",
                *map(_figure, (group.selected, group.opportunity, group.score)),
            )
            for group in report.groups
        ],
        right=(1, 2, 3, 4),
    )
    for gap in report.gaps:
        sure = "" if gap.certain else "; may be chance"
        who = f"'{gap.most}' above '{gap.least}'"
        terminal.say(
            escape(f"Largest gap in {words[gap.figure]}: {_with_doubt(gap.difference)}, {who}{sure}.")
        )


def _figure(found: Estimate | None) -> str:
    return "too few rows" if found is None else f"{found.value:.3f} ± {(found.high - found.low) / 2:.3f}"


def _drifts(terminal: Terminal, outcome: Outcome) -> None:
    """The owner whose updates go furthest from the others', and whose rows differ most."""
    drifts = outcome.findings.drifts
    pointed = [one for one in drifts if one.direction is not None]
    if pointed:
        least = min(pointed, key=lambda one: one.direction or 0.0)
        terminal.say(
            f"Updates of owner {least.index + 1} point furthest from the others' "
            f"(cosine {least.direction:+.2f}; +1 is the same way)."
        )
    for one in drifts:
        for what, shift in (("labels", one.labels), (f"column {one.column}", one.shift)):
            if shift is not None and shift >= NOTABLE:
                size = "large" if shift >= LARGE else "notable"
                terminal.say(escape(f"A {size} shift in the {what} of owner {one.index + 1}: {shift:.2f}."))


def _with_doubt(found: Estimate) -> str:
    """A difference, with its interval where there is one."""
    if found.low == found.high:
        return f"{found.value:+.3f}"
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.2f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
