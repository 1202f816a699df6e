# SPDX-License-Identifier: Apache-2.0
"""A child process that holds one published function: ``python -m koinon.services.worker TARGET``.

It reads frames from its standard input and answers on its standard output. A frame is a kind byte, a 4-byte
big-endian length and that many bytes:

    in   c  a call: the JSON body as the buyer sent it
    out  h  ready: the function's signature as JSON     f  cannot be served: a problem as JSON
         r  the result as JSON                          i  the body does not fit: problems as JSON
         e  the function raised: {"type": ..., "message": ...}

Nothing but JSON crosses the pipe, so whatever the function does cannot reach the gateway's memory. What the
function prints goes to standard error. The process ends when its input closes.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import traceback
from typing import BinaryIO, Final

import orjson

from koinon.errors import KoinonError
from koinon.services.schema import InvalidInput, load, problems_json

HEADER: Final = struct.Struct(">cI")
MESSAGE_LIMIT: Final = 500


def write_frame(pipe: BinaryIO, kind: bytes, body: bytes) -> None:
    pipe.write(HEADER.pack(kind, len(body)) + body)
    pipe.flush()


def read_frame(pipe: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame, or None at the end of the input."""
    head = pipe.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    kind, length = HEADER.unpack(head)
    body = pipe.read(length)
    return (kind, body) if len(body) == length else None


def serve(target: str, source: BinaryIO, sink: BinaryIO) -> int:
    """Load ``target``, answer calls until ``source`` ends; the exit status."""
    try:
        function = load(target)
    except KoinonError as error:
        write_frame(sink, b"f", orjson.dumps(error.problem()))
        return error.exit_status
    write_frame(sink, b"h", orjson.dumps(function.signature.to_dict()))
    while (frame := read_frame(source)) is not None:
        try:
            write_frame(sink, b"r", function.call(frame[1]))
        except InvalidInput as error:
            write_frame(sink, b"i", problems_json(error))
        except Exception as error:  # whatever a stranger's function raises is an answer, not our fault
            traceback.print_exc()
            fault = {"type": type(error).__name__, "message": str(error)[:MESSAGE_LIMIT]}
            write_frame(sink, b"e", orjson.dumps(fault))
    return 0


def main() -> int:
    sink = os.fdopen(os.dup(1), "wb")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which then closes our input
    os.dup2(2, 1)  # the function's print() must not mix with frames
    return serve(sys.argv[1], sys.stdin.buffer, sink)


if __name__ == "__main__":
    sys.exit(main())
