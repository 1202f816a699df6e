# SPDX-License-Identifier: Apache-2.0
"""Runs published functions: in worker processes for anybody's code, inline for built-in models."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, runtime_checkable

import orjson

from koinon.errors import BadInput, PeerError
from koinon.services.gateway.admission import Busy
from koinon.services.gateway.frames import HEADER, unpack
from koinon.services.gateway.metering import Measured
from koinon.services.selling.signature import InvalidInput, Signature

START_TIMEOUT_S = 60.0


class Runner(Protocol):
    """Answers calls with JSON: the raw request body in, the result as JSON out.

    Raises InvalidInput when the body does not fit the schema and PeerError when no answer came
    (``service.function_failed``, ``service.worker_lost``, ``service.timeout``). Nobody is charged for either.
    """

    @property
    def signature(self) -> Signature: ...

    async def call(self, body: bytes) -> bytes: ...

    async def close(self) -> None: ...


@runtime_checkable
class MeteredRunner(Runner, Protocol):
    """A runner that says how many units a call took."""

    async def measure(self, body: bytes) -> Measured: ...


@runtime_checkable
class StreamRunner(Runner, Protocol):
    """A runner whose answer comes in parts; each is made when it is asked for, and none after `aclose`."""

    def stream(self, body: bytes) -> AsyncGenerator[Measured, None]: ...


class Callable(Protocol):
    """A function with validators of its own, as `schema.Function`."""

    @property
    def signature(self) -> Signature: ...

    def call(self, body: bytes) -> bytes: ...


@runtime_checkable
class MeteredCallable(Callable, Protocol):
    """A function that reports units and may be a generator."""

    def measure(self, body: bytes) -> Measured: ...

    def stream(self, body: bytes) -> Generator[Measured, None, None]: ...


class Inline:
    """Runs a trusted function in the gateway's own process; for built-in models that answer in
    microseconds."""

    def __init__(self, function: MeteredCallable) -> None:
        self._function = function

    @property
    def signature(self) -> Signature:
        return self._function.signature

    async def measure(self, body: bytes) -> Measured:
        with _failures():
            return self._function.measure(body)

    async def call(self, body: bytes) -> bytes:
        with _failures():
            return self._function.call(body)

    async def stream(self, body: bytes) -> AsyncGenerator[Measured, None]:
        with _failures():
            parts = self._function.stream(body)
        try:
            while True:
                with _failures():
                    part = next(parts, None)
                if part is None:
                    return
                yield part
                await asyncio.sleep(0)
        finally:
            parts.close()

    async def close(self) -> None:
        """Nothing to release."""


class Workers:
    """A pool of processes that each hold one function; calls wait for a free one.

    A process that dies or runs over time is replaced; only its own call fails.

    Parameters
    ----------
    target : str
        ``/absolute/path.py:function`` or ``module:function``.
    count : int
        Processes, 1 or more.
    timeout_s : float
        Seconds one call may take.
    waiting : int
        Calls that may wait for a process before new ones are refused.
    """

    def __init__(self, target: str, *, count: int = 1, timeout_s: float = 30.0, waiting: int = 256) -> None:
        self._target = target
        self._count = count
        self._timeout_s = timeout_s
        self._limit = waiting + count
        self._pending = 0
        self._idle: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        self._alive: set[_Worker] = set()
        self._signature: Signature | None = None

    @property
    def signature(self) -> Signature:
        if self._signature is None:
            raise RuntimeError("the workers have not started")
        return self._signature

    async def start(self) -> Signature:
        """Start one process (the others start when needed) and return the function's signature.

        Raises BadInput with the reason when the function cannot be served.
        """
        worker = await self._spawn()
        self._signature = worker.signature
        for _ in range(self._count - 1):
            self._idle.put_nowait(None)
        self._idle.put_nowait(worker)
        return worker.signature

    async def call(self, body: bytes) -> bytes:
        return (await self.measure(body)).body

    async def measure(self, body: bytes) -> Measured:
        async with self._lent() as worker:
            kind, answer = await worker.exchange(b"c", body, self._timeout_s)
        return _result(kind, answer)

    async def stream(self, body: bytes) -> AsyncGenerator[Measured, None]:
        """Parts of a generator function; the time limit is for each of them."""
        async with self._lent() as worker:
            kind, answer = await worker.exchange(b"s", body, self._timeout_s)
            while kind == b"p":
                try:
                    yield unpack(answer)
                except GeneratorExit:
                    kind, answer = await worker.exchange(b"x", b"", self._timeout_s)
                    raise
                kind, answer = await worker.exchange(b"n", b"", self._timeout_s)
        if kind != b"z":
            _result(kind, answer)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[_Worker]:
        """A process for one call or stream; it is replaced unless everything asked of it was answered."""
        if self._pending >= self._limit:
            raise Busy()
        self._pending += 1
        worker: _Worker | None = None
        taken = False
        try:
            worker = await self._idle.get()
            taken = True
            if worker is None:
                worker = await self._spawn()
            yield worker
        finally:
            self._pending -= 1
            healthy = worker is not None and worker.answered
            if taken:
                self._idle.put_nowait(worker if healthy else None)
            if worker is not None and not healthy:
                worker.kill()
                await worker.ended()
                self._alive.discard(worker)

    async def close(self) -> None:
        """End every process."""
        for worker in list(self._alive):
            worker.kill()
        for worker in list(self._alive):
            await worker.ended()
        self._alive.clear()

    async def _spawn(self) -> _Worker:
        worker = await _Worker.start(self._target)
        self._alive.add(worker)
        return worker


class _Worker:
    """One process and its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker without pipes")
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self.answered = True
        self.signature: Signature

    @classmethod
    async def start(cls, target: str) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "koinon.services.gateway.worker",
            target,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                kind, body = await worker._read()
        except (TimeoutError, PeerError) as error:
            worker.kill()
            await worker.ended()
            raise BadInput(
                f"The process that should serve {target} ended or hung while loading it.",
                hint="Run the file by itself and see what it reports.",
                code="service.import_failed",
            ) from error
        except asyncio.CancelledError:  # nobody waits for it any more
            worker.kill()
            await worker.ended()
            raise
        if kind == b"f":
            problem: dict[str, Any] = orjson.loads(body)
            await worker.ended()
            raise BadInput(problem["title"], hint=problem["detail"], code=problem["code"])
        worker.signature = Signature.from_dict(orjson.loads(body))
        return worker

    async def exchange(self, kind: bytes, body: bytes, timeout_s: float) -> tuple[bytes, bytes]:
        """Ask and wait; ``answered`` says whether the process has answered all that it was asked."""
        self.answered = False
        try:
            async with asyncio.timeout(timeout_s):
                self._input.write(HEADER.pack(kind, len(body)) + body)
                answer = await self._read()
                self.answered = True
                return answer
        except TimeoutError:
            raise PeerError(
                f"The function gave no answer within {timeout_s:g} s.",
                hint="Try a smaller request; nothing was charged.",
                code="service.timeout",
            ) from None
        except OSError as error:
            raise _worker_lost() from error

    async def _read(self) -> tuple[bytes, bytes]:
        try:
            kind, length = HEADER.unpack(await self._output.readexactly(HEADER.size))
            return kind, await self._output.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise _worker_lost() from error

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> None:
        """Wait for the end, and let go of the pipes."""
        self._input.close()
        await self._process.wait()


def _result(kind: bytes, answer: bytes) -> Measured:
    if kind == b"r":
        return unpack(answer)
    if kind == b"i":
        raise InvalidInput(orjson.loads(answer))
    raise function_failed(str(orjson.loads(answer)["type"]))


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:
        raise function_failed(type(error).__name__) from error


def function_failed(kind: str) -> PeerError:
    """The error a buyer sees when the function raised: its type only, for its message may hold private
    data."""
    return PeerError(
        f"The service's function raised {kind}.",
        hint="Nothing was charged; check the input, or tell the service's owner.",
        code="service.function_failed",
    )


def _worker_lost() -> PeerError:
    return PeerError(
        "The process that ran the function ended before it answered.",
        hint="Nothing was charged; a new process takes its place, so try again.",
        code="service.worker_lost",
    )
