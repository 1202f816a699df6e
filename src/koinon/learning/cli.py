# SPDX-License-Identifier: Apache-2.0
"""``koinon learn …``: teach a model together on one's own tables."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from koinon.errors import BadInput
from koinon.learning.api import Learning
from koinon.learning.datasets import load_credit
from koinon.learning.evidence import Evidence
from koinon.learning.ledger import check_against_chain
from koinon.learning.outcome import Outcome
from koinon.learning.recipe import Recipe, credit_recipe
from koinon.learning.splits import Split, split_credit, split_each, split_evenly
from koinon.learning.tables import read_table
from koinon.terminal import Session, Terminal, json_option


@click.group()
def group() -> None:
    """Teach a model together without showing anyone the data."""


@group.command()
@click.argument("tables", nargs=-1, type=click.Path(path_type=Path))
@click.option("--label", default="", help="The column to predict.")
@click.option("--owners", default=5, show_default=True, help="Among how many one table is split.")
@click.option("--rounds", default=15, show_default=True, help="Rounds of training together.")
@click.option("--hidden", default="16", show_default=True, help="Units of the hidden layers, like 32,16.")
@click.option(
    "--owners-share", default=80.0, show_default=True, help="Per cent of the income for the owners."
)
@click.option("--seed", default=1, show_default=True, help="Decides splits, first weights and shuffling.")
@click.option("--name", default="", help="What the model is called.")
@click.option("--no-chain", is_flag=True, help="Only teach and measure; nothing is recorded or published.")
@json_option
@click.pass_obj
def run(
    session: Session,
    *,
    tables: tuple[Path, ...],
    label: str,
    owners: int,
    rounds: int,
    hidden: str,
    owners_share: float,
    seed: int,
    name: str,
    no_chain: bool,
) -> None:
    """Teach on TABLES (CSV, Parquet, npz): one table split among owners, or one file an owner.

    Without a table, five lenders learn who will not pay their credit card.
    """
    split, columns, classes = _split(tables, label, owners, seed)
    changes: dict[str, Any] = {
        "rounds": rounds,
        "seed": seed,
        "hidden": _layers(hidden),
        "owners_share": round(owners_share * 10_000_000),
    }
    if tables:
        recipe = Recipe(
            name=name or f"Model of {label}",
            columns=columns,
            label=label,
            classes=classes,
            signed_log=(True,) * len(columns),
            **changes,
        )
    else:
        recipe = credit_recipe(**changes)
    with ExitStack() as stack:
        node = None if no_chain else stack.enter_context(session.node())
        learning = _learning(session, node)
        advance = stack.enter_context(session.terminal.progress("Teaching together", rounds))

        def progress(event: dict[str, Any]) -> None:
            if event["event"] == "round":
                advance(1)
                if event["missing"]:
                    missing = ", ".join(event["missing"])
                    session.terminal.note(
                        f"[yellow]Round {event['round']} went on without {missing}.[/yellow]"
                    )

        fund = node.fund if node is not None and node.chain.network.test_money else None
        outcome = learning.run(recipe, split, progress=progress, fund=fund)
        pooled = learning.pooled(outcome, split)
        published = None if node is None else learning.publish(outcome)
    answer = outcome.to_dict() | {"pooled": asdict(pooled), "files": str(learning.files(outcome))}
    if published is not None:
        answer["work"] = {"id": published.work_id, "till": published.till, "uri": published.uri}
    session.terminal.result(answer, lambda terminal: _show(terminal, outcome, answer))


@group.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--run", "run_id", required=True, type=int, help="The run on chain.")
@json_option
@click.pass_obj
def check(session: Session, *, evidence: Path, run_id: int) -> None:
    """Compute a run's models again from its EVIDENCE file and compare with what the chain records."""
    try:
        content = evidence.read_bytes()
    except OSError as error:
        raise BadInput(f"{evidence} cannot be read: {error.strerror}.", code="learning.evidence") from error
    found = Evidence.from_bytes(content)
    found.replay()
    with session.node() as node:
        check_against_chain(node.chain.contract("Federation"), run_id, found)
    session.terminal.result(
        {"run_id": run_id, "rounds": len(found.rounds), "agrees": True},
        lambda terminal: terminal.say(f"All {len(found.rounds)} rounds of run {run_id} are as recorded."),
    )


def _learning(session: Session, node: Any) -> Learning:
    from koinon.chain.keys import Key  # noqa: PLC0415  (only runs need it)

    home = session.settings.home / "learning"
    if node is None:
        return Learning(home, Key.generate())
    return Learning(home, node.operator, chain=node.chain, store=node.store)


def _split(
    tables: tuple[Path, ...], label: str, owners: int, seed: int
) -> tuple[Split, tuple[str, ...], int]:
    if not tables:
        table = load_credit()
        return split_credit(table, seed), table.columns, 2
    if not label:
        raise BadInput(
            "Which column is to be predicted?", hint="Say it by --label.", code="learning.no_label"
        )
    read = [read_table(path, label) for path in tables]
    classes = 1 + max(int(table.labels.max()) for table in read)
    split = split_evenly(read[0], owners, seed) if len(read) == 1 else split_each(tuple(read), seed)
    return split, read[0].columns, classes


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise BadInput(
            f"{text!r} are no layers.", hint="Write them like 32,16.", code="learning.model"
        ) from None


def _show(terminal: Terminal, outcome: Outcome, answer: dict[str, Any]) -> None:
    terminal.table(
        f"{outcome.model.recipe.name}: {outcome.metric} on {outcome.held_out_rows:,} rows nobody trained on",
        ("Owner", "Rows", "Alone", "Share of income"),
        [
            (
                owner.address,
                f"{owner.rows:,}",
                "-" if owner.alone is None else f"{owner.alone:.3f}",
                f"{owner.share / 1e9:.2%}",
            )
            for owner in outcome.owners
        ],
        right=(1, 2, 3),
    )
    together, files = outcome.together, answer["files"]
    terminal.say(
        f"Together [bold]{together.value:.3f}[/bold] ({together.low:.3f} to {together.high:.3f}), "
        f"all rows in one place {answer['pooled']['score']:.3f}."
    )
    if outcome.gain is not None:
        gain = outcome.gain
        terminal.say(f"Gain over learning alone {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}).")
    if outcome.money is not None and outcome.model.recipe.label == credit_recipe().label:
        money = outcome.money
        terminal.say(
            f"Of {money.approved:,} approved at {money.approval_rate:.0%}, {money.together:,} default; "
            f"{money.alone:,.0f} with the models made alone."
        )
    if "work" in answer:
        terminal.say(
            f"Published as Work {answer['work']['id']}; its income arrives at {answer['work']['till']}."
        )
        terminal.say(
            f"  sell it   koinon service offer {answer['work']['id']} {files}/model.npz --price 0.001"
        )
        terminal.say(f"  check it  koinon learn check {files}/evidence.bin --run {outcome.run_id}")
    else:
        terminal.say(f"The model is in {files}/model.npz.")
