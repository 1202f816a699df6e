# SPDX-License-Identifier: Apache-2.0
"""A node that somebody else runs: asked so many times a second and no oftener, and left alone when it says
that it is too much."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from koinon.chain.rpc import BATCH, Rpc, RpcError
from koinon.errors import BadInput

_TOO_MUCH: Final = frozenset({-32005, -32029, 429})
"""What providers answer when a limit is passed (EIP-1474: -32005, limit exceeded)."""

_WAITS_S: Final = (1.0, 2.0, 4.0, 8.0)


class PacedRpc(Rpc):
    """`Rpc` with a budget.

    Parameters
    ----------
    requests_per_s : float
        Most requests in a second; each one in a batch counts.
    clock, sleep : callable
        Time in seconds, and what waits.
    """

    def __init__(
        self,
        url: str,
        requests_per_s: float,
        *,
        timeout_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not requests_per_s > 0:
            raise BadInput(
                "A node is asked more than 0 times a second.",
                hint="Give a rate above 0.",
                code="history.rate",
            )
        super().__init__(url, timeout_s)
        self._interval_s = 1 / requests_per_s
        self._most = max(1, min(BATCH, int(requests_per_s)))
        self._clock, self._sleep = clock, sleep
        self._free_at = clock()
        self._gate = threading.Lock()

    def call(self, method: str, *parameters: Any) -> Any:
        """As `Rpc.call`, when it is this request's turn."""
        for wait_s in (*_WAITS_S, None):
            self._take(1)
            try:
                return super().call(method, *parameters)
            except RpcError as fault:
                if wait_s is None or fault.rpc_code not in _TOO_MUCH:
                    raise
                self._sleep(wait_s)
        raise AssertionError("unreachable")

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]], *, raise_errors: bool = True) -> list[Any]:
        """As `Rpc.batch`, in messages of no more requests than a second has."""
        results: list[Any] = []
        for start in range(0, len(requests), self._most):
            part = requests[start : start + self._most]
            for wait_s in (*_WAITS_S, None):
                self._take(len(part))
                found = super().batch(part, raise_errors=False)
                refused = any(isinstance(each, RpcError) and each.rpc_code in _TOO_MUCH for each in found)
                if wait_s is None or not refused:
                    break
                self._sleep(wait_s)
            results += found
        if raise_errors:
            for result in results:
                if isinstance(result, RpcError):
                    raise result
        return results

    def _take(self, count: int) -> None:
        with self._gate:
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + count * self._interval_s
        if start > now:
            self._sleep(start - now)
