# SPDX-License-Identifier: Apache-2.0
"""The pages of the chain: blocks, transactions, addresses, contracts, and the search box."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.artifacts import Artifact, load
from koinon.chain.contract import reverted
from koinon.chain.handle import Chain
from koinon.chain.rpc import RpcError
from koinon.console.explorer import contracts
from koinon.console.explorer.activity import activity
from koinon.console.explorer.decoding import Decoder
from koinon.console.explorer.search import search
from koinon.console.explorer.views import ChainReader
from koinon.errors import BadInput, TransactionFailed
from koinon.web import Action, Fields, NavEntry, Outcome, Review, Router, Say, Visitor, gettext, node, render
from koinon.web import marked as _
from koinon.works.pages import hall

BLOCKS = 25
"""Blocks on a page."""

ARGUMENTS = 32
"""Arguments a form may have."""


def _reader(request: Request) -> ChainReader:
    """One reader a console: what it learnt about addresses stays."""
    state = request.app.state
    if not hasattr(state, "chain_reader"):
        state.chain_reader = ChainReader(node(request).chain)
    reader: ChainReader = state.chain_reader
    return reader


def _interface(chain: Chain, name: str) -> tuple[str, Artifact]:
    """Address and abilities of a contract by the network's name for it."""
    return chain.network.address(name), load(name)


def _texts(fields: Fields, count: int) -> list[str]:
    return [fields.get(f"argument_{position}", "") for position in range(min(count, ARGUMENTS))]


def _prepare_write(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    address, interface = _interface(ground.chain, fields.get("contract", ""))
    form = contracts.form_of(interface, fields.get("function", ""))
    texts = _texts(fields, len(form.inputs))
    call = contracts.prepare(
        ground.chain, address, interface, form.signature, texts, value=_wei(fields.get("value", ""))
    )
    request = {
        "from": visitor.address,
        "to": call.to,
        "data": "0x" + call.data.hex(),
        "value": hex(call.value),
    }
    try:
        gas = int(ground.chain.rpc.call("eth_estimateGas", request), 16)
    except RpcError as error:
        raise BadInput(
            gettext("The contract refuses this: %(reason)s", reason=_reason(error)),
            hint=gettext("Nothing was sent. Correct the arguments, or ask whose right it is."),
            code="explorer.refused",
        ) from None
    arguments = {
        str(entry.get("name") or position): text
        for position, (entry, text) in enumerate(zip(form.inputs, texts, strict=True))
    }
    return Review(
        title=gettext("Call %(function)s on %(contract)s?", function=form.name, contract=interface.name),
        button=gettext("Send the transaction"),
        changes=(
            gettext(
                "One transaction to %(address)s, signed by %(account)s.",
                address=address,
                account=visitor.address,
            ),
        ),
        costs=(gettext("About %(gas)s units of gas.", gas=f"{gas:,}"),),
        risks=(gettext("This is the contract itself, without the checks that Koinon's own pages make."),),
        result=arguments,
    )


def _run_write(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    name = fields.get("contract", "")
    address, interface = _interface(ground.chain, name)
    form = contracts.form_of(interface, fields.get("function", ""))
    call = contracts.prepare(
        ground.chain,
        address,
        interface,
        form.signature,
        _texts(fields, len(form.inputs)),
        value=_wei(fields.get("value", "")),
    )
    say(gettext("Sending the transaction"))
    receipt = ground.chain.sender(account).send(call)
    return Outcome(
        gettext(
            "%(function)s was carried out in block %(block)s.", function=form.name, block=receipt.block_number
        ),
        f"/chain/transaction/{receipt.transaction_hash}",
        {gettext("Transaction"): receipt.transaction_hash},
    )


WRITE = Action("console.write", _prepare_write, _run_write, back="/chain/contracts")

router = Router(
    "console",
    nav=[
        NavEntry("chain", "/chain", _("Blocks"), order=10),
        NavEntry("chain", "/chain/contracts", _("Contracts"), order=20),
    ],
    actions=[WRITE],
)


@router.page("/chain")
def blocks(request: Request) -> Response:
    reader, text = _reader(request), request.query_params.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 16 else None
    found = reader.latest_blocks(BLOCKS, before)
    older = found[-1].number if found and found[-1].number > 0 else None
    return render(request, "explorer/blocks.html", blocks=found, older=older, before=before, section="chain")


@router.page("/chain/block/{wanted}")
def block(request: Request, wanted: str) -> Response:
    digits = wanted.isascii() and wanted.isdigit() and len(wanted) < 16
    if not digits and not _is_hash(wanted):
        raise BadInput(
            gettext("%(text)s is neither a block's number nor its hash.", text=wanted[:80]),
            code="explorer.block_id",
        )
    found = _reader(request).block(int(wanted) if digits else wanted)
    return render(request, "explorer/block.html", block=found, section="chain")


@router.page("/chain/transaction/{transaction_hash}")
def transaction(request: Request, transaction_hash: str) -> Response:
    if not _is_hash(transaction_hash):
        raise BadInput(
            gettext("%(text)s is not a transaction's hash.", text=transaction_hash[:80]),
            hint=gettext("It has 64 hex digits after 0x."),
            code="explorer.transaction_id",
        )
    found = _reader(request).transaction(transaction_hash.lower())
    return render(request, "explorer/transaction.html", tx=found, section="chain")


@router.page("/chain/address/{account}")
def address(request: Request, account: str) -> Response:
    ground, wanted = node(request), checksum(account)
    reader = _reader(request)
    return render(
        request,
        "explorer/address.html",
        account=reader.address(wanted),
        lines=activity(ground.index, ground.chain.network, wanted),
        section="chain",
    )


@router.page("/chain/contracts")
def all_contracts(request: Request) -> Response:
    network = node(request).chain.network
    return render(request, "explorer/contracts.html", contracts=dict(network.contracts), section="chain")


@router.page("/chain/contract/{name}")
def contract(request: Request, name: str) -> Response:
    chain = node(request).chain
    standing, interface = _interface(chain, name)
    asked = request.query_params.get("function", "")
    answer, fault, texts = None, None, []
    if asked:
        form = contracts.form_of(interface, asked)
        texts = [request.query_params.get(f"argument_{position}", "") for position in range(len(form.inputs))]
        try:
            answer = contracts.read(chain, standing, interface, asked, texts)
        except (BadInput, TransactionFailed) as error:
            fault = error
    return render(
        request,
        "explorer/contract.html",
        name=name,
        standing=standing,
        interface=interface,
        forms=contracts.forms(interface),
        asked=asked,
        texts=texts,
        answer=answer,
        fault=fault,
        section="chain",
    )


@router.page("/search")
def find(request: Request) -> Response:
    ground, text = node(request), request.query_params.get("q", "")
    found = search(ground.chain, text)
    if len(found) == 1:
        return RedirectResponse(found[0].href, status_code=303)
    directory = hall(request).directory
    directory.catch_up()
    works = directory.newest(search=text.strip()[:200]).entries if text.strip() else ()
    return render(
        request, "explorer/search.html", query=text[:200], found=found, works=works, section="explore"
    )


def decoder(request: Request) -> Decoder:
    """The console's decoder, for other pages that show events."""
    return _reader(request).decoder


def _is_hash(text: str) -> bool:
    return len(text) == 66 and text[:2] == "0x" and set(text[2:].lower()) <= set("0123456789abcdef")


def _wei(text: str) -> int:
    cleaned = text.replace(",", "").strip() or "0"
    if not cleaned.isascii() or not cleaned.isdigit() or len(cleaned) > 30:
        raise BadInput(gettext("The ETH to send is a whole number of wei."), code="explorer.value")
    return int(cleaned)


def _reason(error: RpcError) -> str:
    found = reverted(error, "")
    return str(getattr(found, "reason", "")) or error.message
