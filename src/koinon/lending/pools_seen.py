# SPDX-License-Identifier: Apache-2.0
"""Credit pools as pages look at them: each read once a block, and those told apart that do not answer.

Anyone may create a pool of any tokens: one whose token stops answering must not take the others' pages away.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from koinon.chain.handle import Chain
from koinon.errors import KoinonError, NodeUnavailable, NotFound
from koinon.lending.ledger import Ledger
from koinon.lending.pool_state import Borne, PoolState, read_pool
from koinon.lending.pools import CreditPool, CreditPools
from koinon.markets.tokens import Token, token_at
from koinon.web import gettext

KEPT: Final = 512
"""Pools and tokens that are remembered."""
SAME_S: Final = 10
"""How long a price counts while no block comes: it grows old by itself."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Listing:
    """Pools that answer, and the addresses of those that do not."""

    states: Sequence[PoolState]
    silent: Sequence[str]


class PoolsSeen:
    """The pools of one network, for its console. Safe to use from several threads.

    Parameters
    ----------
    chain : Chain
    ledger : Ledger
        Says what earlier defaults took.
    """

    def __init__(self, chain: Chain, ledger: Ledger) -> None:
        self.chain, self.ledger = chain, ledger
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, Token] = OrderedDict()
        self._kept: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()

    def addresses(self) -> list[str]:
        """Every pool of the network's factory, oldest first."""
        return self.once("addresses", lambda: [pool.address for pool in CreditPools(self.chain).all()])

    def listed(self, addresses: Sequence[str]) -> Listing:
        """These pools, as of now."""
        found = [(address, self._state(address)) for address in addresses]
        silent = [address for address, state in found if state is None]
        return Listing([state for _, state in found if state is not None], silent)

    def state(self, address: str) -> PoolState:
        """A pool that the factory created; NotFound where it does not answer."""
        found = self._state(address)
        if found is None:
            raise silent_pool(address)
        return found

    def once(self, key: Any, make: Callable[[], Answer]) -> Answer:
        """What ``make`` says, kept for the block and what the index has read."""
        now = (self.chain.block_number(), self.ledger.through(), int(time.monotonic() / SAME_S))
        with self._lock:
            at, kept = self._kept.get(key, (None, None))
        if at == now:
            found: Answer = kept
            return found
        made = make()  # outside the lock: whoever waits for one pool must not make all others wait
        with self._lock:
            _keep(self._kept, key, (now, made))
        return made

    def token(self, address: str) -> Token:
        """A token as it first said it was; errors as in `token_at`."""
        with self._lock:
            known = self._tokens.get(address)
        if known is None:
            known = token_at(self.chain, address)
            with self._lock:
                _keep(self._tokens, address, known)
        return known

    def _state(self, address: str) -> PoolState | None:
        return self.once(("pool", address), lambda: self._read(address))

    def _read(self, address: str) -> PoolState | None:
        try:
            pool = CreditPool(self.chain, address)
            return read_pool(self.chain, pool, token=self.token, lost=Borne(*self.ledger.lost(address)))
        except NodeUnavailable:
            raise
        except (KoinonError, ValueError):
            return None


def silent_pool(address: str) -> NotFound:
    """What is said of a pool that does not answer."""
    return NotFound(
        gettext("The pool at %(address)s does not answer.", address=address),
        hint=gettext("One of its tokens or its price feed broke. Look at another pool."),
        code="lending.silent_pool",
    )


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
