# SPDX-License-Identifier: Apache-2.0
"""A child process that holds one function or ONNX file: ``python -m koinon.services.gateway.worker TARGET``.

It reads frames from its standard input and answers on its standard output. The kinds:

    in   c  a call: the JSON body as the buyer sent it
         s  begin a stream: likewise                    n  make its next part    x  no more of it
    out  h  ready: the function's signature as JSON     f  cannot be served: a problem as JSON
         r  the result, with its units                  i  the body does not fit: problems as JSON
         p  the stream's next part, with its units      z  the stream has ended
         e  the function raised: {"type": ..., "message": ...}

A stream is made part by part, each when it is asked for: nobody computes what will not be paid.

Nothing but JSON crosses the pipe, so whatever the function does cannot reach the gateway's memory. What the
function prints goes to standard error. The process ends when its input closes.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from koinon.errors import KoinonError
from koinon.services.gateway.executor import Callable, MeteredCallable
from koinon.services.gateway.frames import pack, read_frame, write_frame
from koinon.services.gateway.metering import Measured
from koinon.services.selling.signature import InvalidInput

MESSAGE_LIMIT: Final = 500


def serve(target: str, source: BinaryIO, sink: BinaryIO) -> int:
    """Load ``target``, answer calls until ``source`` ends; the exit status."""
    try:
        function = _load(target)
    except KoinonError as error:
        write_frame(sink, b"f", orjson.dumps(error.problem()))
        return error.exit_status
    write_frame(sink, b"h", orjson.dumps(function.signature.to_dict()))
    parts: Generator[Measured, None, None] = _no_parts()
    while (frame := read_frame(source)) is not None:
        kind, body = frame
        try:
            if kind == b"c":
                write_frame(sink, b"r", pack(_measure(function, body)))
                continue
            if kind == b"s":
                parts = function.stream(body) if isinstance(function, MeteredCallable) else _no_parts()
            elif kind == b"x":
                parts.close()
            part = next(parts, None)
            write_frame(sink, b"z" if part is None else b"p", b"" if part is None else pack(part))
        except InvalidInput as error:
            write_frame(sink, b"i", orjson.dumps(error.problems))
        except Exception as error:  # whatever a stranger's function raises is an answer, not our fault
            traceback.print_exc()
            fault = {"type": type(error).__name__, "message": str(error)[:MESSAGE_LIMIT]}
            write_frame(sink, b"e", orjson.dumps(fault))
    return 0


def _load(target: str) -> Callable:
    if target.endswith(".onnx"):
        from koinon.services.models.files.onnx_file import OnnxFile  # noqa: PLC0415  (needs onnxruntime)

        return OnnxFile(Path(target))
    from koinon.services.selling.schema import load  # noqa: PLC0415  (brings pydantic)

    return load(target)


def _measure(function: Callable, body: bytes) -> Measured:
    if isinstance(function, MeteredCallable):
        return function.measure(body)
    return Measured(function.call(body), None)


def _no_parts() -> Generator[Measured, None, None]:
    yield from ()


def main() -> int:
    sink = os.fdopen(os.dup(1), "wb")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which then closes our input
    os.dup2(2, 1)  # the function's print() must not mix with frames
    return serve(sys.argv[1], sys.stdin.buffer, sink)


if __name__ == "__main__":
    sys.exit(main())
