# SPDX-License-Identifier: Apache-2.0
"""``koinon data …``: sell computing on one's data without giving them away; compute on others'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from koinon.chain.address import checksum
from koinon.data.api import Data
from koinon.data.budget import MILLION
from koinon.data.cli_buying import COMMANDS
from koinon.data.cli_downloads import DOWNLOADS
from koinon.data.job_server import ServerOptions
from koinon.data.policy_file import USES, load_policy
from koinon.data.shown import amount, coin_of, described_dataset, moment, say_event, show_dataset
from koinon.tables import read_table
from koinon.terminal import Session, json_option
from koinon.works.hall import Hall


@click.group()
def group() -> None:
    """Sell computing on your data without giving them away; compute on others'."""


for _command in (*COMMANDS, *DOWNLOADS):
    group.add_command(_command)


# ---------------------------------------------------------------- owners


@group.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--label", required=True, help="The column that a model would predict.")
@click.option("--url", default="", help="Where buyers will reach the dataset's node.")
@json_option
@click.pass_obj
def publish(session: Session, *, table: Path, policy: Path, label: str, url: str) -> None:
    """Publish TABLE (CSV, Parquet, npz) on the terms of POLICY (TOML); no row leaves this data directory."""
    rows, terms = read_table(table, label), load_policy(policy)
    with session.node() as node:
        kept = Data.of(node).publish(rows, terms, url=url)
        found = Data.of(node).dataset(kept.work_id)
        coin = coin_of(node)
    session.terminal.result(described_dataset(found), lambda terminal: show_dataset(terminal, found, coin))


@group.command()
@click.argument("work_id", type=int)
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--url", help="Where buyers will reach the dataset's node. [default: as before]")
@json_option
@click.pass_obj
def terms(session: Session, *, work_id: int, policy: Path, url: str | None) -> None:
    """Sell a dataset on the terms of another POLICY from now on; grants that were bought stay."""
    wanted = load_policy(policy)
    with session.node() as node:
        Data.of(node).change_terms(work_id, wanted, url=url)
        found = Data.of(node).dataset(work_id)
        coin = coin_of(node)
    session.terminal.result(described_dataset(found), lambda terminal: show_dataset(terminal, found, coin))


@group.command()
@click.argument("work_id", type=int)
@click.argument("use", type=click.Choice(sorted(USES)))
@click.argument("account")
@click.option("--free", is_flag=True, help="Grant it for nothing, at once.")
@click.option("--days", default=0, help="How long what is free lasts. [default: for ever]")
@click.option("--no-longer", is_flag=True, help="Take the account off the list.")
@json_option
@click.pass_obj
def allow(
    session: Session, *, work_id: int, use: str, account: str, free: bool, days: int, no_longer: bool
) -> None:
    """Let ACCOUNT buy a use whose consent is "listed", or grant it for nothing."""
    who = checksum(account)
    with session.node() as node:
        data = Data.of(node)
        grant_id = data.give(work_id, USES[use], who, days=days) if free else 0
        if not free:
            data.allow(work_id, USES[use], who, not no_longer)
    session.terminal.result(
        {"work_id": work_id, "use": use, "account": who, "allowed": not no_longer, "grant_id": grant_id},
        lambda terminal: terminal.say(
            f"{who} may {'no longer buy' if no_longer else 'now' if free else 'buy'} it."
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument("use", type=click.Choice(sorted(USES)))
@click.argument("account")
@click.option("--days", default=7, show_default=True, help="How long it is good for.")
@json_option
@click.pass_obj
def consent(session: Session, *, work_id: int, use: str, account: str, days: int) -> None:
    """Sign leave for ACCOUNT to buy a use once whose consent is "signed", at the price that stands."""
    who = checksum(account)
    with session.node() as node:
        signed = Data.of(node).sign_consent(work_id, USES[use], who, days=days)
    session.terminal.result(
        {
            "work_id": work_id,
            "use": use,
            "account": who,
            "deadline": signed.deadline,
            "consent": signed.to_text(),
        },
        lambda terminal: terminal.say(signed.to_text()),
    )


@group.command()
@click.argument("datasets", nargs=-1, type=int)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=0, help="[default: any free one]")
@click.option("--url", default="", help="Where buyers reach it, when that is another address.")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file, for https.")
@click.option("--private-key", type=click.Path(path_type=Path), help="PEM file, for https.")
@json_option
@click.pass_obj
def serve(
    session: Session,
    *,
    datasets: tuple[int, ...],
    host: str,
    port: int,
    url: str,
    certificate: Path | None,
    private_key: Path | None,
) -> None:
    """Let buyers compute on DATASETS (all here without a name), until interrupted."""
    options = ServerOptions(
        host,
        port,
        certificate=str(certificate) if certificate else None,
        private_key=str(private_key) if private_key else None,
        url=url,
    )

    def say(event: dict[str, Any]) -> None:
        session.terminal.result(event, lambda terminal: say_event(terminal, event))

    with session.node() as node:
        Data.of(node).serve(datasets, options, say)


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def served(session: Session, work_id: int) -> None:
    """List the jobs that ran on a dataset here, with what only its owner may know of them."""
    with session.node() as node:
        found = Data.of(node).served(work_id)
    rows = [
        {
            "job_id": job.job_id,
            "buyer": job.buyer,
            "stage": job.stage,
            "outcome": job.outcome.name.lower(),
            "seconds": job.seconds,
            "epsilon": job.epsilon_micro / MILLION,
            "note": job.why or job.note,
        }
        for job in found
    ]
    session.terminal.result(
        {"work_id": work_id, "jobs": rows},
        lambda terminal: terminal.table(
            "Jobs, for the owner's eyes",
            ("Job", "Buyer", "How it ended", "Seconds", "Epsilon", "What happened"),
            [
                (
                    row["job_id"],
                    row["buyer"],
                    row["outcome"] if row["stage"] == "ended" else row["stage"],
                    row["seconds"],
                    row["epsilon"],
                    str(row["note"]).partition("\n")[0],
                )
                for row in rows
            ],
            right=(0, 3, 4),
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument("epsilon", type=float)
@json_option
@click.pass_obj
def budget(session: Session, work_id: int, epsilon: float) -> None:
    """Set the EPSILON that a dataset may spend in all: lower at once, higher after a week in public."""
    with session.node() as node:
        state = Data.of(node).set_budget(work_id, epsilon)
    answer = {
        "total": state.total / MILLION,
        "spent": state.spent / MILLION,
        "announced": state.announced / MILLION,
        "from_second": state.from_second,
    }
    session.terminal.result(
        answer,
        lambda terminal: terminal.say(
            f"Epsilon {answer['spent']:g} of {answer['total']:g} is spent."
            + (
                f" {answer['announced']:g} can be put in force from {moment(state.from_second)}."
                if state.announced
                else ""
            )
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument("content", type=click.Path(path_type=Path))
@click.option("--keeper", "keepers", multiple=True, required=True, help="A keeper's address; one each.")
@click.option("--threshold", type=int, help="How many keepers open it. [default: more than half]")
@json_option
@click.pass_obj
def seal(
    session: Session, *, work_id: int, content: Path, keepers: tuple[str, ...], threshold: int | None
) -> None:
    """Seal CONTENT for whoever buys the download of WORK_ID, and leave its key with keepers."""
    with session.node() as node:
        described = Data.of(node).downloads.sell(work_id, content, keepers, threshold=threshold).described
    answer = {"work_id": work_id, "size": described.size, "threshold": described.threshold}
    session.terminal.result(
        answer,
        lambda terminal: terminal.say(
            f"{described.size:,} bytes are sealed; {described.threshold} of {len(keepers)} keepers open them."
        ),
    )


# ---------------------------------------------------------------- everyone


@group.command(name="list")
@click.option("--search", default="", help="Words of name or summary.")
@json_option
@click.pass_obj
def listed(session: Session, search: str) -> None:
    """List datasets, newest first."""
    with session.node() as node:
        node.index.sync()
        hall = Hall(node.chain, node.index, node.store)
        while hall.directory.refresh():
            pass
        found = hall.directory.newest(kind="dataset", search=search, limit=100).entries
        rows = [(entry, hall.book.of(entry.work_id).earned) for entry in found]
        symbol, decimals = coin_of(node)
    documents = [
        {
            "work_id": entry.work_id,
            "name": entry.name,
            "summary": entry.summary,
            "owner": entry.owner,
            "earned": earned,
        }
        for entry, earned in rows
    ]
    session.terminal.result(
        {"datasets": documents},
        lambda terminal: terminal.table(
            "Datasets",
            ("Work", "Name", "Owner", f"Earned, {symbol}"),
            [(each.work_id, each.name, each.owner, amount(earned, decimals)) for each, earned in rows],
            right=(0, 3),
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def show(session: Session, work_id: int) -> None:
    """Show a dataset: columns, statistics, terms, and how much of its privacy budget is left."""
    with session.node() as node:
        found = Data.of(node).dataset(work_id)
        coin = coin_of(node)
    session.terminal.result(described_dataset(found), lambda terminal: show_dataset(terminal, found, coin))


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def earnings(session: Session, work_id: int) -> None:
    """Show what a dataset earned: uses, seconds of computing, and models that were taught with it."""
    with session.node() as node:
        node.index.sync()
        hall = Hall(node.chain, node.index, node.store)
        while hall.directory.refresh():
            pass
        found = Data.of(node).earnings(hall, work_id)
        symbol, decimals = coin_of(node)
    answer = {
        "work_id": work_id,
        "earned": found.earned,
        "withdrawn": found.income.withdrawn,
        "coming": found.coming,
        "sources": [
            {
                "kind": source.kind,
                "amount": source.amount,
                "waiting": source.waiting,
                "count": source.count,
                "work_id": source.work_id or None,
                "name": source.name,
            }
            for source in found.sources
        ],
    }
    session.terminal.result(
        answer,
        lambda terminal: terminal.table(
            f"Work {work_id} earned {amount(found.earned, decimals)} {symbol}",
            ("Source", "Arrived", "On its way"),
            [
                (
                    source.name or source.kind,
                    amount(source.amount, decimals),
                    amount(source.waiting, decimals),
                )
                for source in found.sources
            ],
            right=(1, 2),
        ),
    )
