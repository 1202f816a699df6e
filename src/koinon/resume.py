# SPDX-License-Identifier: Apache-2.0
"""What an earlier process was killed in the middle of, brought to an end.

`koinon up` calls `resume_interrupted` once its node is open and before its gateway starts. Everything here
can be done again: it goes by what the chain says, never by what a killed process remembered.

- Transactions that were signed and not mined are sent again by whoever opens their account (`Chain.sender`).
- A Work whose publishing was cut off gets the shares that its owner signed.
- A killed gateway's vouchers are settled into the tills.
- A run without a leader is closed; its evidence is kept.
- A tour that was killed is finished for each of its parties: its Works and vouchers as above, and everyone
  is paid what the tills hold for them.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import KoinonError
from koinon.learning.api import RUNS
from koinon.learning.interrupted import close_interrupted
from koinon.node import OPERATOR, Node
from koinon.services.api import Services
from koinon.services.gateway.interrupted import settle_interrupted
from koinon.works.api import Works
from koinon.works.interrupted import finish_interrupted

GATEWAY: Final = "gateway"
LEARNING: Final = "learning"
TOUR: Final = "tour"
TOUR_UNDERWAY: Final = "underway"
"""A file in the tour's folder as long as a tour is not over."""

Say = Callable[[str], None]


def resume_interrupted(node: Node, say: Say) -> None:
    """Finish what was interrupted in the node's data directory; ``say`` gets a sentence for each thing done.

    What cannot be finished is said too, and keeps nothing else from being finished.
    """
    home = node.settings.home
    steps: tuple[Callable[[], None], ...] = (
        lambda: _finish_works(node, node.operator, say),
        lambda: _settle(node, home / GATEWAY, node.operator, say),
        lambda: _each(say, close_interrupted(home / LEARNING / RUNS)),
        lambda: _finish_tour(node, home / TOUR, say),
    )
    for work in steps:
        try:
            work()
        except KoinonError as fault:
            say(f"Something that was interrupted could not be finished: {fault.message}")


def _finish_works(node: Node, key: Key, say: Say) -> None:
    _each(say, finish_interrupted(Works(node.chain, node.store, key), key.address))


def _settle(node: Node, gateway: Path, key: Key, say: Say) -> None:
    if gateway.is_dir():
        _each(say, settle_interrupted(Services(node.chain, node.store, gateway, key)))


def _finish_tour(node: Node, tour: Path, say: Say) -> None:
    mark = tour / TOUR_UNDERWAY
    if not mark.exists():
        return
    with _alone(tour) as alone:
        if not alone:
            return  # it goes on
        keys = [Keyring(home / "keys", environment={}).open(OPERATOR) for home in _parties(tour)]
        for home, key in zip(_parties(tour), keys, strict=True):
            node.fund(key.address)
            _finish_works(node, key, say)
            _settle(node, home / GATEWAY, key, say)
        _each(say, close_interrupted(tour / RUNS))
        paid = sum(_collect(node, key) for key in keys)
        said = f"{paid} payments that it left in tills were made." if paid else "Nothing was left to pay."
        say(f"A tour was interrupted and is finished now. {said} Take it again with: koinon tour")
        mark.unlink()


def _parties(tour: Path) -> list[Path]:
    """The data directories of a tour's parties that have a key."""
    found = [*sorted(tour.glob("*")), *sorted((tour / "owners").glob("*"))]  # who pays, before who is paid
    return [home for home in found if (home / "keys" / f"{OPERATOR}.json").is_file()]


def _collect(node: Node, key: Key) -> int:
    """Pay out what lies in the tills of one party's Works; how many were paid."""
    works = Works(node.chain, node.store, key)
    start = node.chain.network.start_block
    owned = {int(event["tokenId"]) for event in works.contract.history("Transfer", start, to=key.address)}
    payouts = 0
    for work_id in sorted(owned, reverse=True):  # children are younger than their parents
        if any(works.balances(work_id).values()):
            payouts += len(works.collect(work_id).payouts)
    return payouts


def _each(say: Say, sentences: list[str]) -> None:
    for sentence in sentences:
        say(sentence)


@contextmanager
def _alone(tour: Path) -> Iterator[bool]:
    """Whether no tour is under way in this folder; none begins meanwhile."""
    with (tour / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
