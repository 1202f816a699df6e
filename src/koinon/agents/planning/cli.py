# SPDX-License-Identifier: Apache-2.0
"""``koinon agent fulfil``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import orjson

from koinon.agents.planning.chat import ChatEndpoint, ChatPlanner
from koinon.agents.planning.fulfilment import Fulfiller, Step
from koinon.agents.planning.goal import Goal
from koinon.agents.planning.purchase import finder, paying
from koinon.agents.planning.search import Plan
from koinon.errors import BadInput
from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.buying.client import Buyer
from koinon.services.buying.reach import place_of
from koinon.services.counter import buyer_key
from koinon.services.finding.opening import open_market
from koinon.services.mandates.book import MandateBook
from koinon.services.mandates.mandate import SignedMandate
from koinon.services.prices import to_text, to_units
from koinon.terminal import Session, Terminal, json_option

_TYPES = ("string", "number", "integer", "boolean", "array", "object")


@click.command()
@click.argument("words", default="")
@click.option("--give", "given", multiple=True, help="A fact you have: NAME=VALUE. Repeat it.")
@click.option("--want", "wanted", multiple=True, help="A fact you want: NAME or NAME:number. Repeat it.")
@click.option("--limit", default="1", show_default=True, help="Most coins this goal may cost.")
@click.option("--mandate", type=click.Path(exists=True, path_type=Path), help="Spend under this mandate.")
@click.option("--plan", "only_plan", is_flag=True, help="Show how it would be done and what it costs.")
@click.option("--model-url", help="An OpenAI-compatible endpoint that plans, like http://127.0.0.1:11434/v1.")
@click.option("--model", default="", help="Its model's name.")
@click.option("--model-key-file", type=click.Path(exists=True, path_type=Path), help="File with its key.")
@json_option
@click.pass_obj
def fulfil(
    session: Session,
    *,
    words: str,
    given: tuple[str, ...],
    wanted: tuple[str, ...],
    limit: str,
    mandate: Path | None,
    only_plan: bool,
    model_url: str | None,
    model: str,
    model_key_file: Path | None,
) -> None:
    """Reach a goal by finding and paying services: from what you give to what you want.

    With a language model WORDS tell the goal, and nothing else is needed.
    """
    with session.node() as node:
        decimals = int(node.chain.coin.call("decimals"))
        budget, key = to_units(limit, decimals), buyer_key(node)
        allowance: Allowance = Limit(budget)
        if mandate is not None:
            book = MandateBook(node.chain, node.settings.home)
            allowance = book.spending(SignedMandate.load(mandate), key.address, store=node.store)
        node.index.sync()
        market = open_market(node)
        opened: list[Buyer] = []

        def open_buyer(highest_price: int | None) -> Buyer:
            opened.append(Buyer(node.chain, key, allowance=allowance, highest_price=highest_price))
            return opened[-1]

        find = finder(
            market,
            market.trust([key.address]),
            open_buyer(None).describe,
            lambda work_id: place_of(node, work_id).url,
        )
        try:
            if model_url:
                secret = model_key_file.read_text().strip() if model_key_file else ""
                endpoint = ChatEndpoint(model_url, model, secret)
                said = ChatPlanner(endpoint, find, paying(open_buyer), budget=budget).fulfil(words)
                told = {"words": said.words, **_told(said.steps, decimals)}
                session.terminal.result(told, lambda terminal: _show(terminal, said.words, told))
                return
            goal = Goal(dict(map(_fact, given)), dict(map(_wish, wanted)), words)
            fulfiller = Fulfiller(find, paying(open_buyer), budget=budget)
            if only_plan:
                plan = fulfiller.plan(goal)
                session.terminal.result(
                    _planned(plan, decimals), lambda terminal: _show_plan(terminal, plan, decimals)
                )
                return
            outcome = fulfiller.fulfil(goal)
        finally:
            for buyer in opened:
                buyer.close()
    answers = orjson.dumps(outcome.answers).decode()
    told = {"answers": dict(outcome.answers), **_told(outcome.steps, decimals)}
    session.terminal.result(told, lambda terminal: _show(terminal, answers, told))


def _fact(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInput(f"{text!r} is no fact.", hint="Write it like --give income=2000.", code="agents.goal")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def _wish(text: str) -> tuple[str, dict[str, Any]]:
    name, _colon, kind = text.partition(":")
    if not name or (kind and kind not in _TYPES):
        raise BadInput(
            f"{text!r} is nothing that can be wanted.",
            hint=f"Write it like --want score:number; types are {', '.join(_TYPES)}.",
            code="agents.goal",
        )
    return name, {"type": kind} if kind else {}


def _told(steps: tuple[Step, ...], decimals: int) -> dict[str, Any]:
    return {
        "charged": to_text(sum(step.charged for step in steps), decimals),
        "steps": [
            {
                "work_id": step.capability.work_id,
                "name": step.capability.name,
                "arguments": dict(step.arguments),
                "result": step.result,
                "charged": to_text(step.charged, decimals),
                "fault": step.fault,
            }
            for step in steps
        ],
    }


def _planned(plan: Plan, decimals: int) -> dict[str, Any]:
    return {
        "price": to_text(plan.price, decimals),
        "calls": [
            {
                "work_id": call.capability.work_id,
                "name": call.capability.name,
                "price": to_text(call.capability.price, decimals),
                "inputs": dict(call.inputs),
            }
            for call in plan.calls
        ],
        "answers": dict(plan.answers),
    }


def _show(terminal: Terminal, words: str, told: dict[str, Any]) -> None:
    terminal.say(words)
    rows = [(step["name"], step["charged"], step["fault"] or "answered") for step in told["steps"]]
    if rows:
        terminal.table(f"{told['charged']} coins for", ["Service", "Coins", ""], rows, right=[1])


def _show_plan(terminal: Terminal, plan: Plan, decimals: int) -> None:
    rows = [
        (call.capability.name, ", ".join(call.inputs), to_text(call.capability.price, decimals))
        for call in plan.calls
    ]
    title = f"{to_text(plan.price, decimals)} coins, for {', '.join(plan.answers)}"
    terminal.table(title, ["Service", "Is given", "Coins"], rows, right=[2])
