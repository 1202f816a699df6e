# SPDX-License-Identifier: Apache-2.0
"""Coming in: as a guest, with a browser wallet, or as the node's operator; and going out again."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from fastapi import FastAPI, Form
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from koinon.chain.address import checksum
from koinon.console.guest import Guests
from koinon.console.operator import use_code
from koinon.console.session import come_in, go_out
from koinon.console.siwe import Nonces, SignIn
from koinon.console.wallet_signature import personal_digest, read_signature, signed_by
from koinon.errors import BadInput, KeyFault
from koinon.web import Router, gettext, node, render, url, visitor
from koinon.web.language import split_language

BODY_LIMIT: Final = 32_768
router: Final = Router("console")


@router.page("/login")
def login(request: Request, next: str = "/me") -> Response:
    """The three ways in, in plain words."""
    guests: Guests = request.app.state.guests
    return render(
        request, "login.html", guests=guests.welcome(), next=_safe(next), chain=chain_words(request)
    )


@router.page("/login/operator")
def operator_page(request: Request, next: str = "/me") -> Response:
    """Where the printed link leads."""
    return render(request, "login_operator.html", next=_safe(next))


@router.change("/login/guest")
def as_guest(request: Request, next: str = Form("/me")) -> Response:
    """A new account with test money, kept by the node."""
    guests: Guests = request.app.state.guests
    address = guests.make(request.client.host if request.client else "")
    response = RedirectResponse(url(_safe(next)), 303)
    _enter(request, response, "guest", address)
    return response


@router.change("/login/operator")
def as_operator(request: Request, code: str = Form(max_length=100), next: str = Form("/me")) -> Response:
    """The printed code, once."""
    use_code(request.app.state.records, code)
    response = RedirectResponse(url(_safe(next)), 303)
    _enter(request, response, "operator", node(request).operator.address)
    return response


@router.change("/login/wallet/message")
async def wallet_message(request: Request) -> Response:
    """What a wallet is to sign."""
    fields = await read_json(request, "address")
    domain, uri = _here(request)
    message = request.app.state.nonces.ask(
        request.state.session_name,
        domain=domain,
        uri=uri + url("/login"),
        address=checksum(fields["address"]),
        chain_id=node(request).chain.chain_id,
    )
    return JSONResponse({"message": message.to_text()})


@router.change("/login/wallet")
async def as_wallet(request: Request) -> Response:
    """A signed message: checked, and good once."""
    fields = await read_json(request, "message", "signature")
    message = SignIn.from_text(fields["message"])
    domain, uri = _here(request)
    nonces: Nonces = request.app.state.nonces
    nonces.take(request.state.session_name, message)
    chain = node(request).chain
    message.check(domain=domain, uri=uri, chain_id=chain.chain_id, now=nonces.clock())
    digest = personal_digest(fields["message"].encode())
    signature = read_signature(fields["signature"])
    if not await run_in_threadpool(signed_by, chain, message.address, digest, signature):
        raise KeyFault(
            f"The message was not signed by {message.address}.",
            hint="Choose the account in your wallet that you want to come in with, and sign again.",
            code="login.signer",
        )
    response = JSONResponse({"next": url(_safe(fields.get("next", "/me")))})
    _enter(request, response, "wallet", message.address)
    return response


@router.change("/logout")
def logout(request: Request) -> Response:
    """Out."""
    response = RedirectResponse(url("/"), 303)
    go_out(request, response)
    return response


def chain_words(request: Request) -> dict[str, Any]:
    """What a wallet needs to be told about this network: EIP-3085's parameters."""
    chain = node(request).chain
    return {
        "chainId": hex(chain.chain_id),
        "chainName": chain.network.name,
        "nativeCurrency": {"name": "Ether", "symbol": "ETH", "decimals": 18},
        "rpcUrls": [node(request).rpc_url],
    }


async def read_json(request: Request, *names: str) -> dict[str, str]:
    """A small JSON object of texts that has these fields; `BadInput` otherwise."""
    body = await request.body()
    try:
        fields = orjson.loads(body) if len(body) <= BODY_LIMIT else None
    except ValueError:
        fields = None
    if isinstance(fields, dict) and set(names) <= set(fields):
        texts = {name: value for name, value in fields.items() if isinstance(value, str)}
        if len(texts) == len(fields):
            return texts
    raise BadInput(
        f"The request must be a JSON object of texts with {', '.join(names)}.",
        hint="Reload the page and try again.",
        code="login.request",
    )


def install(app: FastAPI) -> None:
    """Add the pages and what they need."""
    app.state.nonces = Nonces()
    app.state.guests = Guests(app.state.node, app.state.records)
    app.include_router(router)


def _enter(request: Request, response: Response, kind: Any, address: str) -> None:
    before = request.state.session_name
    come_in(request, response, kind, address)
    moved = getattr(request.app.state, "came_in", None)
    if moved is not None:
        moved(before, kind, address)


def _here(request: Request) -> tuple[str, str]:
    """Host and origin of this page, as the browser has them."""
    host = request.headers.get("host", "")
    return host, f"{request.url.scheme}://{host}"


def _safe(path: str) -> str:
    """A path of this console, without its language; anything else becomes Me."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc
    if not plain or any(ord(character) < 33 or character == "\\" for character in path):
        return "/me"
    return split_language(parts.path)[1] + (f"?{parts.query}" if parts.query else "")


def named_kind(kind: str) -> str:
    """Whom an account belongs to, for people."""
    return {
        "guest": gettext("guest"),
        "wallet": gettext("your wallet"),
        "operator": gettext("this node's operator"),
    }.get(kind, gettext("nobody"))


def who(request: Request) -> str:
    """The kind of account that is in use."""
    return named_kind(visitor(request).kind)
