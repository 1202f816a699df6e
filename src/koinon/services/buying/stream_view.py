# SPDX-License-Identifier: Apache-2.0
"""A stream on the terminal: each part as it comes, and at the end what it cost."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from koinon.errors import PeerError
from koinon.services.buying.streaming import StreamingBuyer
from koinon.services.prices import to_text
from koinon.terminal import Terminal


def show_stream(
    terminal: Terminal, buyer: StreamingBuyer, url: str, arguments: dict[str, Any], decimals: int
) -> None:
    """Buy a stream and print it, one JSON value a line; errors as `StreamingBuyer.stream`.

    Raises PeerError where it ended before its end; what came is printed and paid.
    """
    with buyer.stream(url, arguments) as stream:
        for part in stream:
            terminal.result(
                {"item": part.item, "units": part.units, "cost": part.cost}, partial(_show, part.item)
            )
    end = stream.end
    if end is None:
        return
    terminal.note(f"[dim]paid {to_text(end.charged, decimals)} for {end.units} units: {end.reason}[/dim]")
    if end.reason != "complete":
        raise PeerError(
            f"The stream ended before its end ({end.reason}).",
            hint="What came is paid, and nothing else.",
            code="service.stream_ended",
        )


def _show(item: Any, terminal: Terminal) -> None:
    terminal.stdout.print(orjson.dumps(item).decode(), markup=False)
