# SPDX-License-Identifier: Apache-2.0
"""``koinon agent …``"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from koinon.agents.api import Agents, Seen
from koinon.agents.asking import Told, read_fields
from koinon.agents.envelope import Envelope
from koinon.agents.host import PORT, HostOptions
from koinon.agents.kept import ROOM, KeptAgent, running_host
from koinon.agents.letters import dead_letters, drop, retry
from koinon.agents.mailbox import DeadLetter
from koinon.agents.planning.cli import fulfil
from koinon.terminal import Session, Terminal, json_option


@click.group()
def group() -> None:
    """Make and run agents; ask them and tell them something."""


@group.command()
@click.argument("target")
@click.option("--name", default="", help="Its name; the class's by default.")
@click.option("--description", default="", help="What it is for; the class's first line by default.")
@click.option("--url", default="", help=f"Where its host will be reached. [default: http://127.0.0.1:{PORT}]")
@click.option("--arguments", default="{}", help="What the class is made with, as a JSON object.")
@json_option
@click.pass_obj
def new(session: Session, *, target: str, name: str, description: str, url: str, arguments: str) -> None:
    """Make TARGET (app.py:Class) a Work with an account of its own; `koinon agent run` runs it."""
    given = read_fields(arguments)
    with session.node() as node:
        kept = Agents.of(node).create(
            target, name=name, description=description, url=url, arguments=given, base=Path.cwd()
        )
    session.terminal.result(_kept(kept), lambda terminal: _show_new(terminal, kept))


@group.command()
@click.argument("work_ids", type=int, nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 for any free one. [default: KOINON_AGENTS_PORT]")
@click.option("--url", default="", help="Where others reach it, where that is another address.")
@click.option("--certificate", type=click.Path(exists=True), help="Certificate (PEM) for https.")
@click.option("--private-key", type=click.Path(exists=True), help="Its private key (PEM).")
@click.option(
    "--follow", is_flag=True, hidden=True, help="End when the agents of this data directory change."
)
@json_option
@click.pass_obj
def run(
    session: Session,
    *,
    work_ids: tuple[int, ...],
    host: str,
    port: int | None,
    url: str,
    certificate: str | None,
    private_key: str | None,
    follow: bool,
) -> None:
    """Run the agents of this data directory (or those with WORK_IDS) until Ctrl-C."""

    def say(event: dict[str, Any]) -> None:
        if session.terminal.json_output:
            session.terminal.result(event)
        elif event["event"] == "ready":
            agents = len(event["agents"])
            session.terminal.say(f"{agents} agent(s) at {event['url']}. End with Ctrl-C.")

    place = session.settings.agents_port if port is None else port
    options = HostOptions(host, place, url, certificate, private_key)
    with session.node() as node:
        Agents.of(node).run(options, say, work_ids, follow=follow)


@group.command("list")
@json_option
@click.pass_obj
def list_agents(session: Session) -> None:
    """The agents of this data directory, and whether they run."""
    with session.node() as node:
        agents = Agents.of(node)
        kept, running = agents.kept(), agents.running()
    session.terminal.result(
        {"running": running, "agents": [_kept(each) for each in kept]},
        lambda terminal: terminal.table(
            f"Agents, running at {running}" if running else "Agents, not running",
            ["Work", "Name", "Account", "Made from"],
            [(each.work_id, each.name, each.account, each.target) for each in kept],
            right=[0],
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def show(session: Session, *, work_id: int) -> None:
    """What agent WORK_ID is, where it answers and what it takes, wherever it runs."""
    with session.node() as node:
        seen = Agents.of(node).see(work_id)
    session.terminal.result(_seen(seen), lambda terminal: _show_seen(terminal, seen))


@group.command()
@click.argument("work_id", type=int)
@click.argument("message")
@click.argument("fields", default="{}")
@json_option
@click.pass_obj
def send(session: Session, *, work_id: int, message: str, fields: str) -> None:
    """Send agent WORK_ID a MESSAGE with FIELDS (JSON): a skill is answered, others are signed by you.

    A reply to what you signed is waited for where the agent runs here; from elsewhere none can come."""
    given = read_fields(fields)
    with session.node() as node:
        told = Agents.of(node).send(work_id, message, given)
    session.terminal.result(asdict(told), lambda terminal: _show_told(terminal, told))


@group.command()
@json_option
@click.pass_obj
def stop(session: Session) -> None:
    """Stop the process that runs this data directory's agents; what waits is kept."""
    with session.node() as node:
        stopped = Agents.of(node).stop()
    sentence = "The agents' host has ended." if stopped else "No agents run here."
    session.terminal.result({"stopped": stopped}, lambda terminal: terminal.say(sentence))


@group.command()
@click.option("--retry", "again", type=int, metavar="N", help="Try letter N again.")
@click.option("--drop", "gone", type=int, metavar="N", help="Throw letter N away.")
@json_option
@click.pass_obj
def letters(session: Session, *, again: int | None, gone: int | None) -> None:
    """Dead letters of this data directory's agents: what no handler could finish, or no host took."""
    if again is not None and gone is not None:
        raise click.UsageError("Give --retry or --drop, not both.")
    folder = session.settings.home / ROOM
    if again is not None:
        retry(folder, again)
        running = running_host(folder) is not None
        sentence = "It is tried again." if running else "It is tried again when its agent runs."
        session.terminal.result({"retried": again}, lambda terminal: terminal.say(sentence))
    elif gone is not None:
        drop(folder, gone)
        session.terminal.result({"dropped": gone}, lambda terminal: terminal.say("It is thrown away."))
    else:
        found = dead_letters(folder)
        session.terminal.result(
            {"letters": [_letter(each) for each in found]}, lambda terminal: _show_letters(terminal, found)
        )


group.add_command(fulfil)


def _letter(letter: DeadLetter) -> dict[str, Any]:
    envelope = Envelope.from_bytes(letter.envelope)
    return {
        "number": letter.number,
        "agent": letter.agent,
        "message": letter.name,
        "from": str(envelope.sender),
        "to": str(envelope.target),
        "outgoing": letter.outgoing,
        "code": letter.code,
        "why": letter.why,
        "at": int(letter.at),
    }


def _show_letters(terminal: Terminal, found: list[DeadLetter]) -> None:
    told = [_letter(each) for each in found]
    rows = [(each["number"], each["message"], each["from"], each["to"], each["why"]) for each in told]
    terminal.table("Dead letters", ["Letter", "Message", "From", "To", "Why"], rows, right=[0])


def _kept(kept: KeptAgent) -> dict[str, Any]:
    return asdict(kept) | {"address": str(kept.address)}


def _seen(seen: Seen) -> dict[str, Any]:
    contact = seen.contact
    return {
        "address": str(contact.address),
        "owner": contact.owner,
        "name": contact.registration.name,
        "description": contact.registration.description,
        "url": contact.url,
        "seen_at": None if seen.beat is None else seen.beat.at,
        "manifest": seen.manifest,
    }


def _show_new(terminal: Terminal, kept: KeptAgent) -> None:
    terminal.say(f"{kept.name} is Work {kept.work_id}; {kept.account} signs for it.")
    terminal.say("Run it: koinon agent run")


def _show_seen(terminal: Terminal, seen: Seen) -> None:
    terminal.say(f"{seen.contact.registration.name} ({seen.contact.address}), owned by {seen.contact.owner}")
    if seen.manifest is None:
        terminal.say(f"It does not answer at {seen.contact.url} now.")
        return
    rows = [
        (
            handled["message"],
            protocol["name"] or "its own",
            "anybody" if handled["skill"] else "signed",
            ", ".join(reply["message"] for reply in handled["replies"]),
            handled["summary"],
        )
        for protocol in seen.manifest["protocols"]
        for handled in protocol["handles"]
    ]
    title = f"What it takes, at {seen.contact.url}"
    terminal.table(title, ["Message", "Protocol", "From", "Answers", "What for"], rows)


def _show_told(terminal: Terminal, told: Told) -> None:
    if told.message_id:
        terminal.say(f"Accepted as {told.message_id}.")
    if told.note:
        terminal.say(told.note)
    if told.answer is not None:
        terminal.result(told.answer)
