# SPDX-License-Identifier: Apache-2.0
"""``koinon service bond``, ``vouch``, ``audit``, ``judge``, ``plant`` and ``verdicts``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from koinon.chain.keys import Key
from koinon.errors import BadInput
from koinon.process import Say
from koinon.services.counter import GATEWAY, keyring, open_shelf
from koinon.services.prices import to_text, to_units
from koinon.services.verification.checking import Bonded, BondPlan, Checking, summary
from koinon.services.verification.process import Worker, work_until_stopped
from koinon.services.verification.verdicts import Verdict
from koinon.terminal import Session, Terminal, json_option
from koinon.works.committee import Committee

AUDITOR = "auditor"
"""The key that stakes on what it says of others' answers."""

JUROR = "juror"
"""The key that stakes on how it votes."""

POCKET_COINS = 200
"""Coins that an auditor is given where they are test money: a case's fee and stakes."""


@click.command()
@click.argument("work_id", type=int)
@click.option("--stake", default="", help="How many coins; the least that covers --answers by default.")
@click.option("--audit-rate", default=0.05, show_default=True, help="The share of answers that is audited.")
@click.option("--window", default=3600, show_default=True, help="Seconds in which an answer can be disputed.")
@click.option("--answers", default=1000, show_default=True, help="How many can be disputed at a time.")
@click.option(
    "--audits",
    type=click.Choice(["open", "callers"]),
    default="open",
    show_default=True,
    help="Who may read inputs and outputs: everybody who audits, or only who got the answer.",
)
@click.option("--url", required=True, help="Where `koinon service vouch` shows answers, as others reach it.")
@json_option
@click.pass_obj
def bond(
    session: Session,
    *,
    work_id: int,
    stake: str,
    audit_rate: float,
    window: int,
    answers: int,
    audits: Literal["open", "callers"],
    url: str,
) -> None:
    """Stake on the answers of Work WORK_ID, which is sold here: who finds one that is wrong gets half."""
    with session.node() as node:
        checking = _checking(node)
        decimals = int(node.chain.coin.call("decimals"))
        amount = to_units(stake, decimals) if stake else 0
        amount = amount or checking.least_stake(work_id, audit_rate, answers=answers)
        plan = BondPlan(amount, audit_rate, window, url.rstrip("/"), audits=audits)
        signer = keyring(node).open(GATEWAY).address
        bonded = checking.bond(node.operator, signer, work_id, plan)
    session.terminal.result(asdict(bonded), lambda terminal: _show_bond(terminal, bonded, audits, decimals))


def _show_bond(terminal: Terminal, bonded: Bonded, audits: str, decimals: int) -> None:
    terminal.say(
        f"Bond {bonded.bond_id} of {to_text(bonded.stake, decimals)} stands behind Work {bonded.work_id}: "
        f"{bonded.covered} answers may be open to dispute at a time."
    )
    if audits == "open":
        terminal.say("Whoever audits may read inputs and outputs of its answers.")
    terminal.say(f"Keep this running:  koinon service vouch {bonded.bond_id}")


@click.command()
@click.argument("bond_id", type=int)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8403, show_default=True, help="0 takes a free one.")
@click.option("--batch-every", default=60.0, show_default=True, help="Seconds that an answer waits at most.")
@json_option
@click.pass_obj
def vouch(session: Session, *, bond_id: int, host: str, port: int, batch_every: float) -> None:
    """Submit the signed answers behind BOND_ID, and show them to whoever checks, until Ctrl-C."""
    from koinon.services.verification import clerk  # noqa: PLC0415  (brings a server)

    with session.node() as node:
        config = _checking(node).clerk_config(bond_id)
        config |= {"host": host, "port": port, "batch_every_s": batch_every}
        _work(session, lambda say: clerk.make(node.chain, node.operator, config, say))


@click.command()
@click.argument("bond_ids", type=int, nargs=-1)
@click.option("--rate", default=0.0, help="The share of answers to run again; each promise's own by default.")
@click.option("--url", default="", help="Where jurors find the evidence, as others reach it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option(
    "--for",
    "sponsors",
    multiple=True,
    metavar="ADDRESS",
    help="Whose known answers to look for, at a stake and for a reward. Repeat it.",
)
@json_option
@click.pass_obj
def audit(
    session: Session,
    *,
    bond_ids: tuple[int, ...],
    rate: float,
    url: str,
    host: str,
    port: int,
    sponsors: tuple[str, ...],
) -> None:
    """Run answers behind BOND_IDS (all when none is named) again, and dispute wrong ones, until Ctrl-C."""
    from koinon.services.verification import challenger  # noqa: PLC0415  (brings a server and the sandbox)

    with session.node() as node:
        key = _checker(node, AUDITOR, POCKET_COINS * 10 ** _decimals(node))
        config: dict[str, Any] = {"data_dir": str(Path(node.settings.home) / AUDITOR), "bonds": bond_ids}
        config |= {"audit_rate": rate, "url": url, "host": host, "port": port, "sponsors": sponsors}
        _work(session, lambda say: challenger.make(node.chain, key, config, say))


@click.command()
@click.option("--stake", default="", help="How many coins to stake; the least that is drawn by default.")
@json_option
@click.pass_obj
def judge(session: Session, *, stake: str) -> None:
    """Sit on the committee: run disputed answers again and vote, until Ctrl-C.

    Who votes with the majority shares the fee; who does not, or sleeps when drawn, loses a part of the stake.
    """
    from koinon.services.verification import juror  # noqa: PLC0415  (brings the sandbox)

    with session.node() as node:
        least, decimals = Committee(node.chain).rules().minimum_stake, _decimals(node)
        amount = to_units(stake, decimals) if stake else least
        if amount < least:
            raise BadInput(
                f"Who stakes {stake} is never drawn.",
                hint=f"Stake at least {to_text(least, decimals)}.",
                code="verification.juror_stake",
            )
        key = _checker(node, JUROR, amount)
        config = {"data_dir": str(Path(node.settings.home) / JUROR), "stake": amount}
        _work(session, lambda say: juror.make(node.chain, key, config, say))


@click.command()
@click.argument("bond_id", type=int)
@click.option("--reward", required=True, help='Coins for each auditor that finds one, like "1".')
@click.option("--finders", default=3, show_default=True, help="How many auditors are paid for one.")
@click.option("--every", default=3600.0, show_default=True, help="Seconds between two of them.")
@json_option
@click.pass_obj
def plant(session: Session, *, bond_id: int, reward: str, finders: int, every: float) -> None:
    """Plant known wrong answers behind BOND_ID, so that auditors stay awake, until Ctrl-C.

    Each is exposed in the third quarter of its batch's window. Keep this running: one that is not exposed in
    time is a wrong answer like any other.
    """
    from koinon.services.verification.planting import PlantOptions  # noqa: PLC0415  (few plant)

    with session.node() as node:
        options = PlantOptions(bond_id, to_units(reward, _decimals(node)), finders, every)
        signer, checking = keyring(node).open(GATEWAY), _checking(node)
        _work(session, lambda say: checking.planter(node.operator, signer, options, say))


@click.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def verdicts(session: Session, work_id: int) -> None:
    """What was found out about the answers of Work WORK_ID."""
    with session.node() as node:
        found = _checking(node).verdicts(work_id)
    rows = [asdict(each) | {"request": "0x" + each.request.hex(), "final": each.final} for each in found]
    session.terminal.result(
        {"work_id": work_id, "summary": dict(summary(found)), "verdicts": rows},
        lambda terminal: _show_verdicts(terminal, found),
    )


def _show_verdicts(terminal: Terminal, found: list[Verdict]) -> None:
    if not found:
        terminal.say("Nobody promised anything about its answers, or nothing was decided yet.")
        return
    terminal.table(
        "Verdicts",
        ("Request", "Verdict", "Kind", "Final"),
        [
            (
                "0x" + each.request.hex()[:16] + "…",
                "kept" if each.kept else "broken",
                each.tag,
                "yes" if each.final else "no",
            )
            for each in found
        ],
    )


COMMANDS = (bond, vouch, audit, judge, plant, verdicts)


def _checking(node: Any) -> Checking:
    return open_shelf(node).checking


def _decimals(node: Any) -> int:
    return int(node.chain.coin.call("decimals"))


def _checker(node: Any, name: str, coins: int) -> Key:
    """A key of who checks, with gas and as many coins as it needs where they cost nothing."""
    key = keyring(node).open(name)
    chain = node.chain
    if not chain.network.test_money:
        return key
    if chain.balance(key.address) == 0:
        node.fund(key.address)
    coin = chain.coin
    lacking, limit = coins - int(coin.call("balanceOf", key.address)), int(coin.call("mintLimit"))
    parts = [limit] * (lacking // limit) + [lacking % limit] if lacking > 0 else []
    chain.sender(key).send_all([coin.transaction("mint", key.address, part) for part in parts if part])
    return key


def _work(session: Session, make: Callable[[Say], Worker]) -> None:
    terminal = session.terminal

    def say(event: dict[str, Any]) -> None:
        words = ", ".join(f"{name} {value}" for name, value in event.items() if name != "event")
        terminal.result(event, lambda there: there.say(f"{event['event']}: {words}"))

    worker = make(say)
    try:
        say({"event": "ready", **worker.ready()})
        work_until_stopped(worker, say)
    finally:
        worker.close()
