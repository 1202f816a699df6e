# SPDX-License-Identifier: Apache-2.0
"""A child process that holds one published function: ``python -m koinon.services.worker TARGET``.

It reads frames from its standard input and answers on its standard output. The kinds:

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
import sys
import traceback
from typing import BinaryIO, Final

import orjson

from koinon.errors import KoinonError
from koinon.services.frames import read_frame, write_frame
from koinon.services.schema import load
from koinon.services.signature import InvalidInput

MESSAGE_LIMIT: Final = 500


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
            write_frame(sink, b"i", orjson.dumps(error.problems))
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
