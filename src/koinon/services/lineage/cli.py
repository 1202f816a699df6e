# SPDX-License-Identifier: Apache-2.0
"""``koinon lineage``: see whose a Work is, stake on it, find copies of one's own and claim."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from koinon.errors import BadInput
from koinon.services.buying.client import Buyer
from koinon.services.counter import GATEWAY, keyring
from koinon.services.gateway.registry import Registry
from koinon.services.lineage.probing import service_answers
from koinon.services.models.files.prints import answers_of, kept_probes
from koinon.services.prices import to_units
from koinon.terminal import Session, json_option
from koinon.works.api import Works
from koinon.works.fingerprints.behaviour import NEAR, PROBES, Answers, Probes, distance
from koinon.works.fingerprints.claims import LineageClaims
from koinon.works.fingerprints.registering import media_fingerprints
from koinon.works.fingerprints.registering import register as add_fingerprints
from koinon.works.fingerprints.registry import FingerprintRegistry
from koinon.works.fingerprints.verdict import lineage_verified


@click.group()
def group() -> None:
    """Find copies of your Works; stake on your own; claim what was taken."""


@group.command()
@click.argument("work_id", type=int)
@click.option("--stake", "least", default="0.000001", show_default=True, help="Least stake, in coins.")
@json_option
@click.pass_obj
def verify(session: Session, *, work_id: int, least: str) -> None:
    """Whether Work WORK_ID's lineage is verified: fingerprints, no earlier likeness, a stake, no claim."""
    with session.node() as node:
        units = to_units(least, int(node.chain.coin.call("decimals")))
        verdict = lineage_verified(Works(node.chain, node.store), work_id, least_stake=units)
    session.terminal.result(
        asdict(verdict),
        lambda terminal: terminal.say(
            f"{'Verified' if verdict.verified else 'Not verified'}. {verdict.reason}"
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@click.option("--amount", required=True, help="How many coins.")
@click.option("--counter-stake", default="0", show_default=True, help="What a challenger stakes, in coins.")
@json_option
@click.pass_obj
def stake(session: Session, *, work_id: int, amount: str, counter_stake: str) -> None:
    """Stake on it that your Work WORK_ID is nobody else's made over."""
    with session.node() as node:
        decimals = int(node.chain.coin.call("decimals"))
        counter = to_units(counter_stake, decimals) if counter_stake.strip("0.") else 0
        bond = _claims(node).stake(node.operator, work_id, to_units(amount, decimals), counter_stake=counter)
    session.terminal.result(
        {"work_id": work_id, "bond": bond},
        lambda terminal: terminal.say(f"Bond {bond} stands behind the lineage of Work {work_id}."),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
@click.pass_obj
def register(session: Session, *, work_id: int, files: tuple[Path, ...]) -> None:
    """Register fingerprints of your Work WORK_ID's FILES: pictures, and recordings (.wav)."""
    prints = media_fingerprints({path.name: path.read_bytes() for path in files})
    with session.node() as node:
        whole = add_fingerprints(Works(node.chain, node.store, node.operator), work_id, prints)
    session.terminal.result(
        whole.to_json(),
        lambda terminal: terminal.say(
            f"Work {work_id} registered {len(whole.pictures)} pictures and {len(whole.sounds)} recordings."
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@json_option
@click.pass_obj
def find(session: Session, work_id: int) -> None:
    """Which earlier Works of others WORK_ID is like without naming them, by registered fingerprints."""
    with session.node() as node:
        matches = FingerprintRegistry(Works(node.chain, node.store)).earlier(work_id)
    session.terminal.result(
        [
            {"work_id": each.work_id, "likenesses": [asdict(like) for like in each.likenesses]}
            for each in matches
        ],
        lambda terminal: terminal.table(
            "Earlier Works it is like",
            ("Work", "By"),
            [(each.work_id, ", ".join(like.kind for like in each.likenesses)) for each in matches],
            right=(0,),
        ),
    )


@group.command()
@click.argument("work_id", type=int)
@click.argument("suspect")
@click.option("--limit", default="1", show_default=True, help="Most coins that asking a service may cost.")
@json_option
@click.pass_obj
def probe(session: Session, *, work_id: int, suspect: str, limit: str) -> None:
    """Whether SUSPECT (a service's address, or a model file) answers your Work WORK_ID's probes as it does.

    Asking a service costs as many calls as there are probes, and shows it the probes.
    """
    with session.node() as node, _answers(node, suspect, limit) as answers:
        far = distance(_probes(node, work_id), answers)
    like = far <= NEAR
    session.terminal.result(
        {"distance": far, "near": NEAR, "match": like},
        lambda terminal: terminal.say(
            f"It lies {far:.3f} away; {'a match' if like else 'no match'} (at most {NEAR})."
        ),
    )


@group.command()
@click.argument("original", type=int)
@click.argument("accused", type=int)
@click.option("--behaviour", is_flag=True, help="Reveal the probes: jurors ask both models.")
@json_option
@click.pass_obj
def claim(session: Session, *, original: int, accused: int, behaviour: bool) -> None:
    """Bring it before the committee that Work ACCUSED is your Work ORIGINAL made over."""
    with session.node() as node:
        claims = _claims(node)
        prints = claims.fingerprints
        alike = prints.registered(original).likenesses(prints.registered(accused))
        kinds = [each.kind for each in alike] + (["behaviour"] if behaviour else [])
        if not kinds:
            raise BadInput(
                f"The registered fingerprints of {original} and {accused} have nothing in common.",
                hint="Compare how they answer with `koinon lineage probe`, and claim with --behaviour.",
                code="works.lineage_claim",
            )
        probes = _probes(node, original) if behaviour else None
        challenge, case = claims.claim(node.operator, original, accused, kinds=kinds, probes=probes)
    session.terminal.result(
        {"challenge": challenge, "case": case, "kinds": kinds},
        lambda terminal: terminal.say(f"Case {case} is before the committee: {', '.join(kinds)}."),
    )


@group.command()
@click.argument("challenge_id", type=int)
@click.argument("original", required=False)
@click.argument("accused", required=False)
@click.option("--limit", default="1", show_default=True, help="Most coins that asking a service may cost.")
@json_option
@click.pass_obj
def examine(
    session: Session, *, challenge_id: int, original: str | None, accused: str | None, limit: str
) -> None:
    """As a juror: what the evidence of CHALLENGE_ID comes to. ORIGINAL and ACCUSED are files or addresses."""
    with session.node() as node:
        claims = _claims(node)
        document = claims.read(challenge_id)
        if original is None or accused is None:
            finding = claims.examine(document)
        else:
            with _answers(node, original, limit) as one, _answers(node, accused, limit) as other:
                finding = claims.examine(document, original=one, accused=other)
    session.terminal.result(
        asdict(finding),
        lambda terminal: terminal.say(f"{'Uphold' if finding.uphold else 'Dismiss'}: {finding.reason}"),
    )


def _claims(node: Any) -> LineageClaims:
    return LineageClaims(Works(node.chain, node.store, node.operator))


def _probes(node: Any, work_id: int) -> Probes:
    return kept_probes(node.settings.home / GATEWAY, work_id)


@contextmanager
def _answers(node: Any, suspect: str, limit: str) -> Iterator[Answers]:
    if not suspect.startswith(("http://", "https://")):
        kept = Registry(node.settings.home / GATEWAY).all()
        sold = suspect.isdigit() and int(suspect) in kept
        yield answers_of(Path(kept[int(suspect)].target if sold else suspect))
        return
    units = to_units(limit, int(node.chain.coin.call("decimals")))
    key = keyring(node).open("buyer")
    with Buyer(node.chain, key, spending_limit=units) as buyer:
        described = buyer.describe(suspect)
        price = int(described["price"]["amount"])
        if price * PROBES > units:
            raise BadInput(
                f"{PROBES} calls cost more than {limit}.",
                hint="Give a higher --limit.",
                code="payment.spending_limit",
            )
        schema = described.get("schema", {}).get("input", {})
        yield service_answers(lambda body: buyer.call(suspect, body).result, schema)
