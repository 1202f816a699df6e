# SPDX-License-Identifier: Apache-2.0
"""``koinon job …``: commission work, do it, judge it."""

from __future__ import annotations

import re
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.markup import escape

from koinon.errors import BadInput, KoinonError
from koinon.services.counter import keyring
from koinon.services.jobs.api import Commission, Jobs
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import Job
from koinon.services.jobs.follower import Follower, by_program
from koinon.services.jobs.outcome import job_name
from koinon.services.prices import to_text, to_units
from koinon.store.cid import cid_from_digest
from koinon.terminal import Session, Terminal, json_option

Command = TypeVar("Command", bound=Callable[..., Any])

OPERATOR: Final = "operator"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TIME: Final = re.compile(r"(\d{1,9})([smhd])")

as_option = click.option(
    "--as", "role", default=OPERATOR, show_default=True, help="Which of this data directory's keys acts."
)
job_argument = click.argument("job_id", type=click.IntRange(1))
reason_option = click.option("--reason", default="", help="Why, for everyone to read.")
feedback_option = click.option(
    "--feedback", is_flag=True, help="Tell the outcome as feedback on the Work that did it."
)


@click.group()
def group() -> None:
    """Commission work that is not a call: a price in escrow, a deliverable, and who judges it."""


@group.command()
@click.argument("text")
@click.option("--lasts", default="7d", show_default=True, help="Until the money can be taken back: 90m, 2d.")
@click.option("--provider", default="", help="Who does it: an account, or a Work's id. Can be said later.")
@click.option("--evaluator", default="", help="Who judges it; you by default.")
@click.option("--budget", default="", help="The price you propose, in coins.")
@click.option("--private", is_flag=True, help="Have the deliverable sealed for this data directory.")
@click.option(
    "--reader", "readers", multiple=True, help="An age key of somebody else who reads it. Repeat it."
)
@click.option("--hook", default="", help="A contract with a say in the job (ERC-8183).")
@as_option
@json_option
@click.pass_obj
def create(  # noqa: PLR0917
    session: Session,
    text: str,
    lasts: str,
    provider: str,
    evaluator: str,
    budget: str,
    private: bool,
    readers: tuple[str, ...],
    hook: str,
    role: str,
) -> None:
    """Commission work: TEXT says what is to be done. Nothing is paid yet."""
    with _opened(session, role) as (jobs, decimals):
        asked = Commission(
            text,
            read_time(lasts),
            provider,
            evaluator,
            to_units(budget, decimals) if budget else 0,
            private,
            readers,
            hook,
        )
        job_id = jobs.create(asked)
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@click.argument("provider")
@as_option
@json_option
@click.pass_obj
def assign(session: Session, job_id: int, provider: str, role: str) -> None:
    """Name who does a job that nobody does yet: an account, or a Work's id."""
    with _opened(session, role) as (jobs, decimals):
        jobs.assign(job_id, provider)
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@click.argument("price")
@as_option
@json_option
@click.pass_obj
def propose(session: Session, job_id: int, price: str, role: str) -> None:
    """Name a PRICE in coins, as client or provider; the last one before it is paid counts."""
    with _opened(session, role) as (jobs, decimals):
        jobs.propose(job_id, to_units(price, decimals))
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@click.argument("price")
@as_option
@json_option
@click.pass_obj
def fund(session: Session, job_id: int, price: str, role: str) -> None:
    """Pay PRICE coins into escrow; refused where the job's price is another."""
    with _opened(session, role) as (jobs, decimals):
        jobs.fund(job_id, to_units(price, decimals))
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@as_option
@json_option
@click.pass_obj
def submit(session: Session, job_id: int, file: Path, role: str) -> None:
    """Hand in FILE for a job that is paid."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}).", code="job.file") from None
    with _opened(session, role) as (jobs, decimals):
        jobs.submit(job_id, content)
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@reason_option
@feedback_option
@as_option
@json_option
@click.pass_obj
def accept(session: Session, job_id: int, reason: str, feedback: bool, role: str) -> None:
    """Say that what was handed in is what was asked for: its provider is paid."""
    with _opened(session, role) as (jobs, decimals):
        jobs.accept(job_id, reason)
        if feedback:
            jobs.feedback(job_id, reason)
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@reason_option
@feedback_option
@as_option
@json_option
@click.pass_obj
def reject(session: Session, job_id: int, reason: str, feedback: bool, role: str) -> None:
    """End a job without pay: call it off while it is open, reject it as its evaluator afterwards."""
    with _opened(session, role) as (jobs, decimals):
        jobs.reject(job_id, reason)
        if feedback:
            jobs.feedback(job_id, reason)
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@as_option
@json_option
@click.pass_obj
def refund(session: Session, job_id: int, role: str) -> None:
    """Send the client's money back after the job's expiry. Anyone may."""
    with _opened(session, role) as (jobs, decimals):
        jobs.refund(job_id)
        _told(session, jobs, job_id, decimals)


@group.command()
@job_argument
@click.argument("text", default="")
@as_option
@json_option
@click.pass_obj
def feedback(session: Session, job_id: int, text: str, role: str) -> None:
    """Tell how a job ended as feedback on the Work that did it, with a TEXT of your own."""
    with _opened(session, role) as (jobs, _decimals):
        index = jobs.feedback(job_id, text)
    session.terminal.result(
        {"job_id": job_id, "feedback": index}, lambda terminal: terminal.say(f"Given as feedback {index}.")
    )


@group.command(name="list")
@click.option("--all", "everybody", is_flag=True, help="Everybody's, and not only yours.")
@as_option
@json_option
@click.pass_obj
def list_jobs(session: Session, everybody: bool, role: str) -> None:
    """The newest jobs in which you have a part."""
    with _opened(session, role) as (jobs, decimals):
        found = jobs.newest() if everybody else jobs.mine()
        rows = [_facts(jobs, job, decimals) for job in found]
    session.terminal.result(
        rows,
        lambda terminal: terminal.table(
            "Jobs",
            ("Job", "What", "State", "Price", "Provider"),
            [(row["job_id"], row["title"], row["state"], row["price"], row["provider"]) for row in rows],
            right=(0, 3),
        ),
    )


@group.command()
@job_argument
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the deliverable there.")
@as_option
@json_option
@click.pass_obj
def show(session: Session, job_id: int, out: Path | None, role: str) -> None:
    """One job: what is asked for, how far it is, what was handed in and why it was judged so."""
    with _opened(session, role) as (jobs, decimals):
        if out is not None:
            content = jobs.deliverable(job_id)
            try:
                out.write_bytes(content)
            except OSError as error:
                raise BadInput(f"{out} cannot be written ({error.strerror}).", code="job.file") from None
        _told(session, jobs, job_id, decimals)


@group.command()
@json_option
@click.pass_obj
def reader(session: Session) -> None:
    """Tell the age key that private work is sealed to for this data directory."""
    with session.node() as node:
        key = Jobs.of(node).desk.identity().recipient
    session.terminal.result({"reader": key}, lambda terminal: terminal.say(key))


@group.command()
@click.argument("command", nargs=-1, required=True)
@click.option("--price", required=True, help="What a job must pay at least, in coins.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds the program may take.")
@click.option("--spare", default="1m", show_default=True, help="Time a job must have left to be begun.")
@as_option
@json_option
@click.pass_obj
def work(  # noqa: PLR0917
    session: Session, command: tuple[str, ...], price: str, timeout: float, spare: str, role: str
) -> None:
    """Do jobs until Ctrl-C by a program (after --): it reads the text and prints what is handed in."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    terminal = session.terminal
    with _opened(session, role) as (jobs, decimals):
        follower = Follower(
            jobs,
            by_program(command, timeout_s=timeout),
            price=to_units(price, decimals),
            spare_s=read_time(spare),
            say=lambda event: terminal.result(event, lambda there: there.say(escape(_event_words(event)))),
        )
        ready = {"event": "ready", "account": jobs.acting.address, "program": shlex.join(command)}
        terminal.result(ready, lambda there: there.say(f"Doing jobs of {ready['account']}. Ctrl-C ends it."))
        follower.run(stopped.is_set, pause=stopped.wait)


def read_time(text: str) -> int:
    """Seconds from ``90m`` or ``2d``; BadInput otherwise."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text!r} is no time.", hint="Write it like 30m, 12h or 7d.", code="job.time")
    return int(found[1]) * _SECONDS[found[2]]


@contextmanager
def _opened(session: Session, role: str) -> Iterator[tuple[Jobs, int]]:
    """The jobs of this network for one of the keys here, which is given gas where ETH is given away."""
    with session.node() as node:
        key = node.operator if role == OPERATOR else keyring(node).open(role)
        if node.chain.network.test_money and node.chain.balance(key.address) == 0:
            node.fund(key.address)
        yield Jobs.of(node, key), int(node.chain.coin.call("decimals"))


def _facts(jobs: Jobs, job: Job, decimals: int) -> dict[str, Any]:
    brief = Brief.read(job.description)
    return {
        "job_id": job.job_id,
        "title": brief.title,
        "state": job.status.word,
        "price": to_text(job.budget, decimals),
        "client": job.client,
        "provider": job.provider if job.taken else "",
        "evaluator": job.evaluator,
        "expires_at": job.expires_at,
        "private": brief.private,
        "hook": job.hook if job.hooked else "",
        "name": job_name(jobs.chain, job.job_id),
    }


def _told(session: Session, jobs: Jobs, job_id: int, decimals: int) -> None:
    job = jobs.job(job_id)
    facts = _facts(jobs, job, decimals) | {"text": Brief.read(job.description).text}
    digest, why = jobs.contract.deliverable(job_id), jobs.contract.reason(job_id)
    if digest is not None:
        facts["deliverable"] = cid_from_digest(digest)
    if why is not None:
        facts["reason"] = _reason(jobs, why)

    def show_it(terminal: Terminal) -> None:
        terminal.say(f"[bold]Job {job_id}[/bold] is {job.status.word}: {escape(facts['title'])}")
        for name in ("price", "client", "provider", "evaluator", "deliverable", "reason", "hook"):
            if facts.get(name):
                terminal.say(f"  {name:<12}{escape(str(facts[name]))}")

    session.terminal.result(facts, show_it)


def _reason(jobs: Jobs, digest: bytes) -> str:
    try:
        return jobs.desk.reason(digest)
    except KoinonError:
        return f"ipfs://{cid_from_digest(digest)}"


def _event_words(event: dict[str, Any]) -> str:
    words = {
        "proposed": "Job {job_id}: a price of {price} units is proposed.",
        "begun": "Job {job_id} is paid and begun.",
        "handed in": "Job {job_id} is handed in.",
        "failed": "Job {job_id} failed: {why}",
        "away": "The node is away: {why}",
    }
    return words[event["event"]].format(**event)
