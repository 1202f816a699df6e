# SPDX-License-Identifier: Apache-2.0
"""A host's HTTP side, as a raw ASGI application.

    POST /agents/envelopes      a bundle of envelopes → {"verdicts": [...]}, one an envelope, once on the disk
    GET  /agents                who runs here
    GET  /agents/ID             one agent: its message types, protocols, skills (ID: its Work, or its account)
    GET  /agents/ID/heartbeat   its account's signature that it is here now

and the doors for stock clients of each (see `stock`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from koinon.agents.address import Address
from koinon.agents.client import PATH, unbundle
from koinon.agents.heartbeat import Heartbeat
from koinon.agents.lane import BUNDLE
from koinon.agents.limits import Limits, RateLimit
from koinon.agents.manifest import ROOT, manifest
from koinon.agents.post import Post
from koinon.agents.runtime import Runtime
from koinon.agents.stock import SKILLS, Stock, check_origin
from koinon.agents.verdicts import TOO_FAST
from koinon.chain.eip712 import Domain
from koinon.errors import BadInput, KoinonError, NotFound
from koinon.services.gateway.asgi import (
    JSON,
    Receive,
    RequestProblem,
    Scope,
    Send,
    read_body,
    respond,
    respond_error,
)


class Door:
    """The application.

    Parameters
    ----------
    runtime : Runtime
    domain : Domain
        What heartbeats are signed for.
    url : str
        Where this host is reached.
    clock : callable
        Unix seconds.
    limits : Limits
    """

    def __init__(
        self, runtime: Runtime, domain: Domain, url: str, clock: Callable[[], float], limits: Limits
    ) -> None:
        self._runtime, self._domain, self._url, self._clock = runtime, domain, url, clock
        self._rate = RateLimit(limits.host_per_s, limits.host_burst)
        self._stock = Stock(self, domain, url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise TypeError(f"this application does not speak {scope['type']}")
        try:
            await self._route(scope, receive, send)
        except KoinonError as error:
            await respond_error(send, error)

    async def close(self) -> None:
        """End what still runs."""
        await self._stock.close()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/")
        peer = (scope.get("client") or ("",))[0]
        if not self._rate.take(peer):
            raise _too_fast()
        check_origin(scope, self._url)
        name, _, rest = path.removeprefix(f"{ROOT}/").partition("/")
        if path.startswith(f"{ROOT}/") and self._stock.takes(rest):
            await self._stock(scope, receive, send, self._post(name), rest)
            return
        await respond(send, 200, [JSON], orjson.dumps(await self._answer(scope, receive, path, peer)))

    async def _answer(self, scope: Scope, receive: Receive, path: str, peer: str) -> Mapping[str, Any]:
        method = scope["method"]
        if method == "POST" and path == PATH:
            return {"verdicts": await self._take_in(await read_body(receive), peer)}
        if method == "GET" and path == ROOT:
            return {"agents": [self._described(post) for post in self._runtime.posts.values()]}
        name, _, rest = path.removeprefix(f"{ROOT}/").partition("/")
        post = self._post(name if path.startswith(f"{ROOT}/") else "")
        if method == "GET" and not rest:
            return self._described(post)
        if method == "GET" and rest == "heartbeat":
            return Heartbeat(post.address, self._url, int(self._clock())).signed(post.key, self._domain)
        if method == "POST" and rest.startswith(SKILLS):
            return await self._ask(post.address, rest.removeprefix(SKILLS), await read_body(receive))
        raise NotFound(f"There is nothing at {path}.", code="agents.no_page")

    async def _take_in(self, body: bytes, peer: str) -> list[str]:
        envelopes = unbundle(body, BUNDLE)
        if len(envelopes) > 1 and not self._rate.take(peer, len(envelopes) - 1):
            return [TOO_FAST] * len(envelopes)
        return await self._runtime.accept(envelopes)

    async def _ask(self, address: Address, skill: str, body: bytes) -> Mapping[str, Any]:
        try:
            fields = orjson.loads(body)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise BadInput(
                f"The body is no JSON object with the fields of {skill}.",
                hint="The agent's page names its skills and their fields.",
                code="agents.question",
            )
        name, answer = await self._runtime.ask(address, skill, fields)
        return {"message": name, "result": answer}

    def _described(self, post: Post) -> Mapping[str, Any]:
        return manifest(post, self._url)

    def _post(self, name: str) -> Post:
        for address, post in self._runtime.posts.items():
            if name in (address.account, str(address.work_id or "")) and name:
                return post
        raise NotFound(
            "No such agent runs here.", hint=f"See who does: {self._url}/agents", code="agents.unknown_agent"
        )


def _too_fast() -> RequestProblem:
    return RequestProblem(429, "Too many requests.", "Wait a little.", TOO_FAST)
