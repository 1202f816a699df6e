# SPDX-License-Identifier: Apache-2.0
"""``koinon data …`` for buyers: try, buy and fetch compute jobs; buy leave; download."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.data.api import Data, read_program
from koinon.data.policy_file import USES
from koinon.data.shown import (
    amount,
    coin_of,
    read_amount,
    read_consent,
    read_schema_file,
    sentence,
    told_progress,
)
from koinon.errors import PaymentError
from koinon.terminal import Session, Terminal, json_option

POCKET_COINS: Final = 100
"""Coins that an account without any is given where money is test money."""

url_option = click.option("--url", default="", help="The dataset's node, where its file does not say.")
schema_option = click.option(
    "--results",
    "schema",
    required=True,
    type=click.Path(path_type=Path),
    help="What it returns: a TOML file.",
)
consent_option = click.option(
    "--consent", default="", metavar="FILE|HEX", help="The owner's signed consent, where the use asks for it."
)
seconds_option = click.option("--seconds", default=60, show_default=True, help="The most that it may run.")


@click.command(name="try")
@click.argument("work_id", type=int)
@click.argument("program", type=click.Path(path_type=Path))
@schema_option
@seconds_option
@json_option
@click.pass_obj
def rehearse(session: Session, *, work_id: int, program: Path, schema: Path, seconds: int) -> None:
    """Run PROGRAM on this machine, on rows made up from the dataset's statistics, before paying for it."""
    bundle, declared = read_program(program), read_schema_file(schema)
    with session.node() as node:
        found = Data.of(node).rehearse(work_id, bundle, declared, seconds=seconds)
    answer = {"fault": found.fault, "results": found.results, "seconds": found.wall_s, "log": found.log}

    def say(terminal: Terminal) -> None:
        if found.log.strip():
            terminal.say(f"[dim]{escape(found.log.strip())}[/dim]")
        terminal.say(escape(found.fault) if found.fault else f"It returned {found.results}.")
        terminal.say(f"It ran {found.wall_s:.2f} s on rows that are made up.")

    session.terminal.result(answer, say)
    if found.fault:
        raise click.exceptions.Exit(2)


@click.command()
@click.argument("work_id", type=int)
@click.argument("program", type=click.Path(path_type=Path))
@schema_option
@seconds_option
@click.option("--blocks", default=1, show_default=True, help="On how many parts of the rows it runs.")
@click.option("--most", default="", help="The most to pay, in coins. [default: ask]")
@consent_option
@url_option
@json_option
@click.pass_obj
def submit(
    session: Session,
    *,
    work_id: int,
    program: Path,
    schema: Path,
    seconds: int,
    blocks: int,
    most: str,
    consent: str,
    url: str,
) -> None:
    """Buy a run of PROGRAM (a Python file, or a directory with a lock file) on a dataset."""
    bundle, declared, leave = read_program(program), read_schema_file(schema), read_consent(consent)
    with session.node() as node:
        data = Data.of(node)
        review = data.review(work_id, bundle, declared, blocks=blocks, seconds=seconds, url=url)
        symbol, decimals = coin_of(node)
        costs = (
            f"{amount(review.grant_price, decimals)} {symbol} for leave to compute, at most "
            f"{amount(review.locked, decimals)} {symbol} for {seconds} s, epsilon {review.quote.epsilon:g}"
        )
        if most:
            if review.most > read_amount(most, decimals):
                raise PaymentError(f"It costs {costs}: more than {most}.", code="data.price_rose")
        elif not session.terminal.json_output:
            for name, bound in review.quote.noise.items():
                session.terminal.note(f"Noise moves {escape(name)} by less than {bound:.3g}, 19 times in 20.")
            click.confirm(f"This costs {costs}. Buy it?", abort=True, err=True)
        _fill_pocket(node)
        order = data.submit(review, consent=leave)
    answer = {"job_id": order.job_id, "work_id": work_id, "most": review.most, "why": order.why}
    session.terminal.result(
        answer,
        lambda terminal: terminal.say(
            f"Refused: {escape(order.why)} The money for the run comes back."
            if order.why
            else f"Job [bold]{order.job_id}[/bold] is handed in. See: koinon data result {order.job_id}"
        ),
    )


@click.command()
@json_option
@click.pass_obj
def jobs(session: Session) -> None:
    """List the jobs that were bought from this data directory."""
    with session.node() as node:
        orders = Data.of(node).orders
        found = [orders.glance(order) for order in orders.all() if order.job_id]
        symbol, decimals = coin_of(node)
    session.terminal.result(
        {"jobs": [told_progress(each) for each in found]},
        lambda terminal: terminal.table(
            "Jobs",
            ("Job", "Dataset", "How it stands", f"Paid, {symbol}"),
            [
                (each.order.job_id, each.order.work_id, each.word, amount(each.chain.paid, decimals))
                for each in found
            ],
            right=(0, 1, 3),
        ),
    )


@click.command()
@click.argument("job_id", type=int)
@click.option("--out", type=click.Path(path_type=Path), help="A folder for the result's files.")
@click.option("--wait", "timeout_s", default=3600.0, show_default=True, help="Seconds to wait; 0 for none.")
@json_option
@click.pass_obj
def result(session: Session, *, job_id: int, out: Path | None, timeout_s: float) -> None:
    """Wait for a job and fetch its result, checked against the chain."""
    with session.node() as node, session.terminal.progress(f"Job {job_id}") as _advance:
        data = Data.of(node)
        found = data.wait(job_id, timeout_s=timeout_s)
        files = data.result(job_id) if found.word == "released" else {}
        symbol, decimals = coin_of(node)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
    answer = told_progress(found) | {
        "files": {name: len(content) for name, content in files.items()},
        "result": files.get("result.json", b"").decode(),
    }

    def say(terminal: Terminal) -> None:
        terminal.say(sentence(found, f"{amount(found.chain.paid, decimals)} {symbol}"))
        if answer["result"]:
            terminal.say(escape(answer["result"]))

    session.terminal.result(answer, say)


@click.command()
@click.argument("job_id", type=int)
@json_option
@click.pass_obj
def refund(session: Session, job_id: int) -> None:
    """Take back the money of a job whose owner let the deadline pass."""
    with session.node() as node:
        returned = Data.of(node).refund(job_id)
        symbol, decimals = coin_of(node)
    session.terminal.result(
        {"job_id": job_id, "returned": returned},
        lambda terminal: terminal.say(f"{amount(returned, decimals)} {symbol} came back."),
    )


@click.command()
@click.argument("work_id", type=int)
@click.argument("use", type=click.Choice(sorted(USES)))
@click.option("--most", required=True, help="The most to pay, in coins.")
@consent_option
@json_option
@click.pass_obj
def buy(session: Session, work_id: int, use: str, most: str, consent: str) -> None:
    """Buy leave to download, compute on, or train with a dataset."""
    leave = read_consent(consent)
    with session.node() as node:
        decimals = coin_of(node)[1]
        _fill_pocket(node)
        grant_id = Data.of(node).buy(work_id, USES[use], most=read_amount(most, decimals), consent=leave)
    session.terminal.result(
        {"grant_id": grant_id},
        lambda terminal: terminal.say(f"Grant {grant_id}: you may {use} Work {work_id}."),
    )


@click.command()
@click.argument("work_id", type=int)
@click.argument("target", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def download(session: Session, work_id: int, target: Path) -> None:
    """Write what one bought the download of to TARGET; goes on where it was cut off."""
    with session.node() as node:
        done = Data.of(node).downloads.download(work_id, target)
    answer = {
        "path": str(done.path),
        "size": done.size,
        "faults": [{"keeper": each.keeper.url, "reason": each.reason} for each in done.faults],
    }
    session.terminal.result(answer, lambda terminal: terminal.say(f"{done.size:,} bytes are in {done.path}."))


def _fill_pocket(node: Any) -> None:
    """Give the operator test coins where it has none, as `koinon call` gives them to a buyer."""
    coin, operator = node.chain.coin, node.operator
    if (
        node.chain.network.test_money
        and "mint" in coin.functions
        and not coin.call("balanceOf", operator.address)
    ):
        units = min(POCKET_COINS * 10 ** coin_of(node)[1], int(coin.call("mintLimit")))
        node.chain.sender(operator).send(coin.transaction("mint", operator.address, units))


COMMANDS = (rehearse, submit, jobs, result, refund, buy, download)
