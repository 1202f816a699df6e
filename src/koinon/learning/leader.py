# SPDX-License-Identifier: Apache-2.0
"""The leader of a run: serves owners over HTTPS, closes rounds, and tells its caller what happened.

An owner's update of round r is answered with the model after round r, so a round costs each owner one
request. The server runs in its own thread; :meth:`Leader.events` is consumed by the caller's.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import uvicorn

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, KoinonError, NotFound, PeerError, SetupError
from koinon.learning.certificates import create_certificate
from koinon.learning.leaving import History
from koinon.learning.listening import listen
from koinon.learning.messages import Joining, Offer, Start, split_frame
from koinon.learning.privacy.secagg import Phase
from koinon.learning.private_run import PrivateRun
from koinon.learning.recipe import Recipe
from koinon.learning.run import ClosedRound, Member, Run
from koinon.serving import loop_factory, url_of

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
KEEP_ALIVE_S = 600
LOOK_AGAIN_S = 5.0
PART_S = 60.0
"""How long the next part of a message may take: whoever begins one and never ends it holds up a place."""


@dataclass(frozen=True)
class Joined:
    """An owner joined; ``waiting`` more are expected."""

    member: Member
    waiting: int


@dataclass(frozen=True)
class Full:
    """Everybody is here, or the deadline passed: the caller decides by :meth:`Leader.begin`."""

    members: tuple[Member, ...]


@dataclass(frozen=True)
class RoundClosed:
    """A round ended (0: the start); ``closed.missing`` did not answer in time."""

    closed: ClosedRound


@dataclass(frozen=True)
class AloneReceived:
    """An owner showed the model it made alone."""

    member: Member


Event = Joined | Full | RoundClosed | AloneReceived


class Leader:
    """Serves one run on a loopback or given address.

    Parameters
    ----------
    folder : Path
        Where the TLS certificate goes.
    arrived : callable
        Told (owner, round) in the server's thread whenever an update comes that counts.
    join_deadline_s : float
        How long to wait for the expected owners.
    alone_deadline_s : float
        How long to wait, after the last round, for the models owners made alone; 0 asks for none.
    history : History, optional
        Rounds taught before, which are repeated instead of teaching new ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        key: Key,
        folder: Path,
        *,
        run_id: int,
        domain: Domain,
        expected: int,
        allowed: Sequence[str] | None = None,
        check: Callable[[Joining], None] = lambda _: None,
        arrived: Callable[[str, int], None] = lambda _owner, _round: None,
        host: str = "127.0.0.1",
        port: int = 0,
        join_deadline_s: float = 60.0,
        alone_deadline_s: float = 60.0,
        history: History | None = None,
    ) -> None:
        self._history = history
        self._arrived = arrived
        kind = PrivateRun if recipe.privacy.private_sum else Run
        self.run = kind(recipe, run_id, key, domain, expected=expected, allowed=allowed, check=check)
        self._key, self._domain = key, domain
        self._join_deadline_s, self._alone_deadline_s = join_deadline_s, alone_deadline_s
        certificate = create_certificate(folder)
        offer = Offer(run_id, recipe.digest, certificate.fingerprint)
        self._offer = offer.pack(key, domain, recipe.to_json())
        self._socket = listen(host, port)
        self.url = url_of(host, self._socket, https=True)
        self._events: queue.SimpleQueue[Event | KoinonError | None] = queue.SimpleQueue()
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                ssl_certfile=str(certificate.certificate_path),
                ssl_keyfile=str(certificate.key_path),
                log_config=None,
                access_log=False,
                interface="asgi3",
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                limit_concurrency=256,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="federation-leader", daemon=True)
        self._ready = threading.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._fault: KoinonError | None = None
        self._announced_full = False
        self._over = False

    def open(self) -> str:
        """Begin to serve; returns the address owners connect to."""
        self._thread.start()
        self._ready.wait()
        return self.url

    def begin(self) -> None:
        """Start the first round with those who joined (after :class:`Full`)."""
        if self._loop is None:
            raise BadInput("The leader is not open.", code="learning.not_open")
        self._loop.call_soon_threadsafe(self._guarded, self._begin)

    def gone(self, owner: str) -> None:
        """Do not wait for this owner any longer, because its process is known to have ended."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._guarded, lambda: self._leave(owner))

    def fail(self, error: KoinonError) -> None:
        """End the run for everybody with this error, because what the owners run on has gone.

        After the last round nothing is lost: only models made alone are not waited for any longer.
        """

        def end() -> None:
            if not self.run.finished:
                raise error
            self._finish()

        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._guarded, end)

    def events(self) -> Iterator[Event]:
        """What happens, until the run is over; raises the error that ended it, if one did."""
        while True:
            try:
                event = self._events.get(timeout=LOOK_AGAIN_S)
            except queue.Empty:
                if not self._thread.is_alive():
                    raise PeerError("The leader has stopped serving.", code="learning.ended") from None
                continue
            if event is None:
                return
            if isinstance(event, KoinonError):
                raise event
            yield event

    def close(self) -> None:
        """Stop serving; owners still waiting are told that the run is over."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(timeout=10)
        self._socket.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ in the server's thread

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        self._timer = self._loop.call_later(self._join_deadline_s, self._guarded, self._announce_full)
        await self._server.serve(sockets=[self._socket])

    def _stop(self) -> None:
        if not self._over and self._fault is None:
            self._fault = PeerError("The leader has ended the run.", code="learning.ended")
        self._wake()
        self._server.should_exit = True

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter
        if self._fault is not None:
            raise self._fault

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run a step of the run; an error ends it for everybody."""
        try:
            action()
        except KoinonError as error:
            self._end_by(error)
        except Exception as error:  # whatever it is, nobody may be left waiting for ever
            fault = KoinonError(
                f"The leader failed by an error of its own: {type(error).__name__}: {error}.",
                hint="The rounds before are kept. Please report it.",
                code="learning.leader_failed",
            )
            fault.__cause__ = error
            self._end_by(fault)

    def _end_by(self, error: KoinonError) -> None:
        self._fault = error
        self._events.put(error)
        self._cancel_timer()
        self._wake()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._guarded, action)

    def _announce_full(self) -> None:
        if not self._announced_full:  # an owner that comes back joins again: the round's deadline stands
            self._cancel_timer()
            self._announced_full = True
            self._events.put(Full(self.run.settle()))

    def _begin(self) -> None:
        if self.run.current is None:
            self._publish(self.run.start())
            if self._history is not None:
                for closed in self.run.repeat(self._history):
                    self._publish(closed)

    def _publish(self, closed: ClosedRound) -> None:
        self._events.put(RoundClosed(closed))
        if not closed.model.last:
            self._after(self.run.recipe.round_deadline_s, self._close_round)
        elif self._alone_deadline_s > 0:
            self._after(self._alone_deadline_s, self._finish)
        else:
            self._finish()
        self._wake()

    def _close_round(self) -> None:
        closed = self.run.advance()
        if closed is not None:
            self._publish(closed)
        else:  # a phase of a private round is over, and the next one begins
            self._after(self.run.recipe.round_deadline_s, self._close_round)
            self._wake()

    def _leave(self, owner: str) -> None:
        self.run.left.add(owner)
        if owner not in self.run.members and self.run.current is None:
            self.run.expected -= 1
            if self.run.full:
                self._announce_full()
        elif self.run.current is not None and not self.run.finished and self.run.complete:
            self._close_round()
        elif self.run.finished:
            self._finish_if_all_showed()

    def _finish_if_all_showed(self) -> None:
        present = {member.index for owner, member in self.run.members.items() if owner not in self.run.left}
        if present <= self.run.alone.keys():
            self._finish()

    def _finish(self) -> None:
        self._cancel_timer()
        if not self._over:
            self._over = True
            self._events.put(None)

    # ------------------------------------------------------------ ASGI

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await self._answer(scope["method"], scope["path"], receive)
            await _respond(send, 200, b"application/octet-stream", body)
        except KoinonError as error:
            problem = orjson.dumps(error.problem())
            await _respond(send, error.http_status, b"application/problem+json", problem)

    async def _answer(self, method: str, path: str, receive: Receive) -> bytes:
        match method, path:
            case "GET", "/offer":
                return self._offer
            case "POST", "/join":
                return await self._join(await self._body(receive))
            case "POST", "/update":
                return await self._update(await self._body(receive))
            case "POST", "/private":
                return await self._private(await self._body(receive))
            case "POST", "/report":
                return self._report(await self._body(receive))
            case "POST", "/alone":
                return self._alone(await self._body(receive))
            case _:
                raise NotFound("There is nothing at this address.", code="learning.path")

    async def _body(self, receive: Receive) -> bytes:
        limit, parts, size = self.run.payload_limit(), [], 0
        while True:
            try:
                message = await asyncio.wait_for(receive(), PART_S)
            except TimeoutError as error:
                raise BadInput("The message did not come to its end.", code="learning.message") from error
            if message["type"] != "http.request":
                raise BadInput("The message was cut off.", code="learning.message")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise BadInput(
                    f"A message of this run has at most {limit} bytes.", code="learning.message_too_large"
                )
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _join(self, frame: bytes) -> bytes:
        known = len(self.run.members)
        member = self.run.join(frame)
        if len(self.run.members) > known:
            self._events.put(Joined(member, self.run.expected - len(self.run.members)))
        if self.run.full:
            self._announce_full()
        while self.run.current is None:
            await self._wait()
        scaling = self.run.scaling
        if scaling is None:
            raise SetupError("The run started without a scaling.", code="learning.scaling")
        start = Start(
            self.run.run_id,
            member.address,
            self.run.members[member.address].index,
            orjson.dumps(scaling.to_dict()).decode(),
        )
        return start.pack(self._key, self._domain, self.run.current.frame)

    async def _update(self, frame: bytes) -> bytes:
        counts, number = self.run.receive(frame), self.run.round_number
        if counts:
            self._arrived(str(split_frame(frame)[0]["owner"]), number)
            if self.run.complete:
                self._guarded(self._close_round)
            while self.run.round_number == number and not self.run.finished:
                if self._fault is not None:
                    raise self._fault
                await self._wait()
        if self.run.current is None:
            raise SetupError("The run has not started.", code="learning.round")
        follows = counts and self.run.current.number == number
        return self.run.current.step if follows else self.run.current.frame

    async def _private(self, frame: bytes) -> bytes:
        if not isinstance(self.run, PrivateRun):
            raise BadInput("This run has no private sums.", code="learning.private_mode")
        step = self.run.receive_step(frame)
        if step.counted:
            if step.phase == Phase.MASKED:
                self._arrived(step.owner, step.round)
            if self.run.complete:
                self._guarded(self._close_round)
        while (answer := self.run.answer_to(step)) is None:
            if self._fault is not None:
                raise self._fault
            await self._wait()
        return answer

    def _report(self, frame: bytes) -> bytes:
        if not self.run.finished:
            raise BadInput("The rounds are not over yet.", code="learning.round")
        self.run.receive_report(frame)
        return b""

    def _alone(self, frame: bytes) -> bytes:
        if not self.run.finished:
            raise BadInput("The rounds are not over yet.", code="learning.round")
        self._events.put(AloneReceived(self.run.receive_alone(frame)))
        self._finish_if_all_showed()
        return b""


async def _respond(send: Send, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
