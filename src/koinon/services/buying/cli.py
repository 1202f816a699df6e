# SPDX-License-Identifier: Apache-2.0
"""``koinon call``: use a service and pay for it."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from koinon.errors import BadInput, PeerError
from koinon.services.buying.allowance import Allowance, Limit
from koinon.services.buying.client import Buyer
from koinon.services.buying.prepaid import call_free
from koinon.services.buying.purchase import new_number, nonce_of
from koinon.services.buying.stream_view import show_stream
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.counter import buyer_key, open_counter
from koinon.services.finding.measured import Measurements, TimedHttp
from koinon.services.mandates.book import MandateBook
from koinon.services.mandates.mandate import SignedMandate
from koinon.services.prices import to_text, to_units
from koinon.terminal import Session, Terminal, json_option


@click.command()
@click.argument("service")
@click.argument("arguments")
@click.option("--limit", default="1", show_default=True, help="Most coins this call may sign away.")
@click.option("--exact", is_flag=True, help="Pay by one transfer on chain instead of a voucher.")
@click.option("--stream", is_flag=True, help="Show a stream's parts as they come and are paid.")
@click.option("--free", is_flag=True, help="Make one of the free calls that the service gives.")
@click.option(
    "--mandate", type=click.Path(path_type=Path), help="Spend under this mandate (file), no --limit."
)
@click.option("--plain", is_flag=True, help="Do not seal the call: a host in between can read it.")
@click.option("--number", default="", help="Of a call that got no answer, to try it again for nothing.")
@json_option
@click.pass_obj
def call(
    session: Session,
    *,
    service: str,
    arguments: str,
    limit: str,
    exact: bool,
    stream: bool,
    free: bool,
    mandate: Path | None,
    plain: bool,
    number: str,
) -> None:
    """Call SERVICE (an address, or a Work's id sold here) with ARGUMENTS (a JSON object), and pay for it."""
    try:
        body = orjson.loads(arguments)
    except orjson.JSONDecodeError as error:
        raise BadInput(
            f"The arguments are not JSON: {error}.", hint="""Write them like '{"income": 5}'."""
        ) from None
    if not isinstance(body, dict):
        raise BadInput("The arguments are not a JSON object.", hint="""Write them like '{"income": 5}'.""")
    with session.node() as node:
        services = open_counter(node)
        url = f"{services.running() or services.url}/services/{service}" if service.isdigit() else service
        decimals = int(node.chain.coin.call("decimals"))
        key = buyer_key(node)
        private = False if plain else None
        allowance: Allowance = Limit(to_units(limit, decimals))
        if mandate is not None:
            book = MandateBook(node.chain, node.settings.home)
            allowance = book.spending(SignedMandate.load(mandate), key.address, store=node.store)
        if stream:
            with StreamingBuyer(node.chain, key, allowance=allowance, private=private) as streaming:
                show_stream(session.terminal, streaming, url, body, decimals)
            return
        http = TimedHttp(Measurements(node.settings.home))
        if free:
            found = call_free(node.chain, key, http, url, body, private=private)
            session.terminal.result(found.to_dict())
            return
        number = number or new_number()
        with Buyer(node.chain, key, allowance=allowance, http=http, private=private) as buyer:
            try:
                if exact:
                    answer = buyer.call_exact(url, body, nonce=nonce_of(number))
                else:
                    answer = buyer.call(url, body, number=number)
            except PeerError:
                if mandate is not None or exact:
                    session.terminal.note(f"[dim]Try again with --number {number}: it is paid once.[/dim]")
                raise

    def show(terminal: Terminal) -> None:
        terminal.stdout.print_json(orjson.dumps(answer.result).decode())
        paid = to_text(answer.charged, decimals)
        terminal.note(f"[dim]paid {paid} to Work {answer.evidence['work_id']}[/dim]")

    session.terminal.result(answer.to_dict(), show)
