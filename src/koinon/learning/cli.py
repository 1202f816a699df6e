# SPDX-License-Identifier: Apache-2.0
"""``koinon learn …``: teach a model together on one's own tables."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from koinon.compute import fixed_point
from koinon.errors import BadInput
from koinon.learning.api import Learning
from koinon.learning.datasets import load_credit
from koinon.learning.evidence import Evidence
from koinon.learning.exact import compare, exact_model
from koinon.learning.ledger import check_against_chain
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe, credit_recipe
from koinon.learning.recipes import SHIPPED, example_split, read_recipe, recipe_file
from koinon.learning.shown import show_outcome
from koinon.learning.splits import Split, split_credit, split_each, split_evenly
from koinon.learning.trained import TrainedModel
from koinon.tables import Table, read_table
from koinon.terminal import Session, Terminal, json_option


@click.group()
def group() -> None:
    """Teach a model together without showing anyone the data."""


@group.command()
@click.argument("tables", nargs=-1, type=click.Path(path_type=Path))
@click.option("--label", default="", help="The column to predict.")
@click.option("--owners", default=5, show_default=True, help="Among how many one table is split.")
@click.option("--recipe", "named", default="", help="A recipe: a TOML file, or the name of a shipped one.")
@click.option("--rounds", type=int, help="Rounds of training together. [default: the recipe's, or 15]")
@click.option("--hidden", default="16", show_default=True, help="Units of the hidden layers, like 32,16.")
@click.option(
    "--owners-share", type=float, help="Per cent of the income for the owners. [default: the recipe's, or 80]"
)
@click.option("--seed", default=1, show_default=True, help="Decides splits, first weights and shuffling.")
@click.option("--name", default="", help="What the model is called.")
@click.option("--rebuild", default=0, help="Repeat this run's rounds, for whoever leaves by --without.")
@click.option(
    "--without", multiple=True, type=int, help="Number, from 1, of an owner who does not take part."
)
@click.option("--no-chain", is_flag=True, help="Only teach and measure; nothing is recorded or published.")
@click.option(
    "--mode",
    type=click.Choice(("swarm", "coordinator", "flower")),
    help="Without a server, led from here, or led from here on Flower. [default: swarm where that can be]",
)
@json_option
@click.pass_obj
def run(
    session: Session,
    *,
    tables: tuple[Path, ...],
    label: str,
    owners: int,
    named: str,
    rounds: int | None,
    hidden: str,
    owners_share: float | None,
    seed: int,
    name: str,
    rebuild: int,
    without: tuple[int, ...],
    no_chain: bool,
    mode: str | None,
) -> None:
    """Teach on TABLES (CSV, Parquet, npz): one table split among owners, or one file an owner.

    Without a table, the data a shipped recipe was made for are split among five owners; without a recipe
    either, five lenders learn who will not pay their credit card.

    With --without an owner leaves: the next version is taught without them, or with --rebuild made again from
    what the others sent in an earlier run (same tables, recipe and seed), which takes no training.

    In a swarm the owners' peers lead by turns, as a contract draws them, check every round of each other and
    publish the model. With a coordinator this process leads: so it is without a chain, with --without, for
    recipes that promise privacy, and where stakes would be real money. On Flower this process leads too, and
    owners run as SuperNodes.
    """
    if mode == "flower" and rebuild:
        raise BadInput(
            "Flower teaches, and --rebuild repeats what was taught.",
            hint="Leave --mode flower out.",
            code="learning.mode",
        )
    changes: dict[str, Any] = {"seed": seed}
    if rounds is not None:
        changes["rounds"] = rounds
    if owners_share is not None:
        changes["owners_share"] = round(owners_share * 10_000_000)
    if name:
        changes["name"] = name
    if named:
        recipe = read_recipe(named, **changes)
        split = _split_for(recipe, tables, owners) if tables else example_split(named, seed)
    else:
        recipe, split = _plain(tables, label, owners, _layers(hidden), changes)
    with ExitStack() as stack:
        node = None if no_chain else stack.enter_context(session.node())
        learning = _learning(session, node)
        advance = stack.enter_context(session.terminal.progress("Teaching together", recipe.rounds))

        def progress(event: dict[str, Any]) -> None:
            if event["event"] == "round":
                advance(1)
                if event["missing"]:
                    missing = ", ".join(event["missing"])
                    session.terminal.note(
                        f"[yellow]Round {event['round']} went on without {missing}.[/yellow]"
                    )

        fund = node.fund if node is not None and node.chain.network.test_money else None
        leaving = [number - 1 for number in without]
        if any(not 0 <= index < len(split.owners) for index in leaving):
            raise BadInput(f"The owners are numbered 1 to {len(split.owners)}.", code="learning.not_member")
        before = learning.kept_score(rebuild) if rebuild else None
        if rebuild:
            outcome = learning.rebuild(rebuild, split, leaving, recipe=recipe, progress=progress, fund=fund)
        elif _in_swarm(mode, recipe, led=bool(no_chain or leaving), free=fund is not None):
            outcome = learning.swarm(recipe, split, progress=progress, fund=fund)
        elif mode == "flower":
            from koinon.learning.flower.engine import FlowerEngine, run_on_flower  # noqa: PLC0415

            outcome = run_on_flower(
                learning,
                recipe,
                split,
                engine=FlowerEngine.of(session.settings),
                host=session.settings.host,
                progress=progress,
                fund=fund,
                without=leaving,
            )
        else:
            outcome = learning.run(recipe, split, progress=progress, fund=fund, without=leaving)
        pooled = learning.pooled(outcome, split)
        published = None if node is None else learning.publish(outcome, rebuilt_from=rebuild)
    answer = outcome.to_dict() | {"pooled": asdict(pooled), "files": str(learning.files(outcome))}
    if before is not None:
        answer["before"] = before
    if published is not None:
        answer["work"] = {"id": published.work_id, "till": published.till, "uri": published.uri}
    session.terminal.result(answer, lambda terminal: show_outcome(terminal, outcome, answer))


@group.command()
@click.argument("name", default="")
@json_option
@click.pass_obj
def recipes(session: Session, *, name: str) -> None:
    """List the recipes that come with Koinon, or show the file of the one called NAME."""
    if name:
        text = recipe_file(name)
        session.terminal.result({"name": name, "file": text}, lambda terminal: terminal.say(escape(text)))
        return
    found = {known: read_recipe(known) for known in SHIPPED}
    answer = [
        {"name": known, "title": one.name, "model": one.model_spec.kind, "rounds": one.rounds}
        for known, one in found.items()
    ]
    session.terminal.result(
        {"recipes": answer},
        lambda terminal: terminal.table(
            "Recipes",
            ("Name", "What it teaches", "Model", "Rounds"),
            [(one["name"], one["title"], one["model"], str(one["rounds"])) for one in answer],
            right=(3,),
        ),
    )


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


@group.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--rows", type=click.Path(path_type=Path), help="A table on which the two are compared.")
@json_option
@click.pass_obj
def exact(session: Session, *, model: Path, out: Path, rows: Path | None) -> None:
    """Write a taught MODEL (.npz) to OUT in fixed point: the same bits on every machine.

    A service that answers by it can promise the comparison "exact".
    """
    trained = TrainedModel.load(model)
    made = exact_model(trained)
    fixed_point.save(out, made)
    told: dict[str, Any] = {"file": str(out)}
    if rows is not None:
        table = _table_for(trained.recipe, rows)
        largest, others = compare(trained, made, table.features)
        told |= {"rows": len(table), "largest_difference": largest, "other_labels": others}
    session.terminal.result(told, lambda terminal: _show_exact(terminal, told))


def _show_exact(terminal: Terminal, told: dict[str, Any]) -> None:
    terminal.say(f"Written to {told['file']}.")
    if "rows" in told:
        terminal.say(
            f"On {told['rows']} rows its probabilities differ by at most {told['largest_difference']:.1e}, "
            f"its labels on {told['other_labels']:.2%} of them."
        )


def _in_swarm(mode: str | None, recipe: Recipe, *, led: bool, free: bool) -> bool:
    """Whether a run goes without a server.

    ``led`` where what was asked for needs one; ``free`` where stakes are test money, for only then are they
    posted without having been asked for.
    """
    if mode == "swarm" and led:
        raise BadInput(
            "A swarm needs the chain and everybody's peer.",
            hint="Leave --no-chain and --without out, or use --mode coordinator.",
            code="learning.mode",
        )
    return mode == "swarm" or (mode is None and free and not led and not recipe.privacy.on)


def _learning(session: Session, node: Any) -> Learning:
    from koinon.chain.keys import Key  # noqa: PLC0415  (only runs need it)

    home = session.settings.home / "learning"
    if node is None:
        return Learning(home, Key.generate())
    return Learning(home, node.operator, chain=node.chain, store=node.store)


def _plain(
    tables: tuple[Path, ...], label: str, owners: int, hidden: tuple[int, ...], changes: dict[str, Any]
) -> tuple[Recipe, Split]:
    """Without a recipe: a perceptron on what the tables hold."""
    changes = changes | {"model_spec": ModelSpec("perceptron", {"hidden": hidden})}
    if not tables:
        return credit_recipe(**changes), split_credit(load_credit(), changes["seed"])
    if not label:
        raise BadInput(
            "Which column is to be predicted?", hint="Say it by --label.", code="learning.no_label"
        )
    read = tuple(read_table(path, label) for path in tables)
    columns = read[0].columns
    recipe = Recipe(
        **{"name": f"Model of {label}", **changes},
        columns=columns,
        label=label,
        classes=1 + max(int(table.labels.max()) for table in read),
        signed_log=(True,) * len(columns),
    )
    return recipe, _split(read, owners, recipe.seed)


def _split_for(recipe: Recipe, tables: tuple[Path, ...], owners: int) -> Split:
    """Tables with the recipe's columns, split among owners."""
    return _split(tuple(_table_for(recipe, path) for path in tables), owners, recipe.seed)


def _table_for(recipe: Recipe, path: Path) -> Table:
    """A table with the recipe's columns, in its order."""
    found = read_table(path, recipe.label)
    missing = [column for column in recipe.columns if column not in found.columns]
    if missing:
        raise BadInput(
            f"{path.name} lacks the recipe's columns: {', '.join(missing[:8])}.",
            hint=f"The recipe reads {', '.join(recipe.columns[:8])}…",
            code="learning.columns_differ",
        )
    order = [found.columns.index(column) for column in recipe.columns]
    return Table(found.features[:, order], found.labels, recipe.columns)


def _split(read: tuple[Table, ...], owners: int, seed: int) -> Split:
    return split_evenly(read[0], owners, seed) if len(read) == 1 else split_each(read, seed)


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise BadInput(
            f"{text!r} are no layers.", hint="Write them like 32,16.", code="learning.model"
        ) from None
