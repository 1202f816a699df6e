# SPDX-License-Identifier: Apache-2.0
"""What a peer gives to others and gets from them: updates, lists of updates, agreements, common sets.

Everything is asked for by what it must be (a digest, an account) and checked by whoever asked, so it does
not matter who answers. What is handed over is a courtesy that saves asking.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Final, TypeVar

from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, PeerError
from koinon.learning.messages import payload_digest
from koinon.learning.swarm.client import PeerClient
from koinon.learning.swarm.identity import Identity
from koinon.learning.swarm.inbox import Inbox, Listing, owner_of, pack_pair, unpack_pair
from koinon.learning.swarm.journal import Journal
from koinon.learning.swarm.roster import Fellow, Roster
from koinon.learning.swarm.server import PeerServer

MAXIMUM_TABLE: Final = 1 << 28
"""Bytes of a common set's file."""
_MOST_LISTINGS: Final = 64
_MOST_DOCUMENTS: Final = 8
_FIRST_REST_S: Final = 0.5
_LONGEST_REST_S: Final = 15.0
_SLACK: Final = 1 << 16
_IMPATIENT_S: Final = 0.5

Found = TypeVar("Found")


class Exchange:
    """One peer's line to all others. Serves from `open` on.

    Parameters
    ----------
    account : str
        This peer's own.

    Attributes
    ----------
    gathering : bool
        Whether everything that arrives ends `wait`, or only word of something new on chain.
    """

    def __init__(
        self,
        identity: Identity,
        account: str,
        roster: Roster,
        inbox: Inbox,
        journal: Journal,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._identity, self._account = identity, account
        self._roster, self._inbox, self._journal = roster, inbox, journal
        self._server = PeerServer(
            identity, self.answer, body_limit=2 * inbox.limit + _SLACK, host=host, port=port
        )
        self.url, self.port = self._server.url, self._server.port
        self._clients: dict[str, PeerClient] = {}
        self._resting: dict[str, tuple[float, float]] = {}
        self._listings: OrderedDict[bytes, list[bytes]] = OrderedDict()
        self._documents: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._closed = False
        self.gathering = False
        self._workers: dict[str, ThreadPoolExecutor] = {}

    # ------------------------------------------------------------ for this peer

    def open(self) -> None:
        """Begin to serve."""
        self._server.open()

    def meet(self, fellows: Iterable[Fellow]) -> None:
        """Let new peers in, and be ready to call them. One that announced nonsense is left alone."""
        for one in fellows:
            if one.account != self._account:
                with contextlib.suppress(BadInput):
                    client = PeerClient(self._identity, one.account, one.url, one.certificate)
                    self._server.admit(one.account, one.certificate)
                    # a thread for each, so that one who stalls holds up nobody else
                    self._workers[one.account] = ThreadPoolExecutor(1, thread_name_prefix="swarm line")
                    self._clients[one.account] = client

    def receive(self, frame: bytes) -> bool:
        """Take in an update, as `Inbox.receive`; whoever signed two is shown to everybody, and remembered."""
        try:
            return self._inbox.receive(frame)
        except IntegrityError as error:
            if error.code == "swarm.signed_twice":
                fellow = self._roster.get(owner_of(frame))
                pair = self._inbox.twofold.get(
                    -1 if fellow is None or fellow.member is None else fellow.member
                )
                if pair is not None:
                    self._keep_pair(pair)
                    self.tell("/twofold", pack_pair(pair))
            raise

    def wait(self, seconds: float) -> None:
        """Until something arrived, or so long."""
        self._changed.wait(seconds)
        self._changed.clear()

    def wake(self) -> None:
        """Something has changed."""
        self._changed.set()

    def tell(self, path: str, body: bytes) -> list[Future[bool]]:
        """Hand something to everybody who can be reached now; the futures say whether it was taken."""
        if self._closed:
            return []
        return [
            self._workers[account].submit(self._hand_over, account, path, body)
            for account in list(self._clients)
            if self._reachable(account)
        ]

    def ask(
        self, path: str, read: Callable[[bytes], Found], *, first: Sequence[str] = (), limit: int = 0
    ) -> Found:
        """Ask one peer after another, those in ``first`` before the others, until ``read`` takes an answer.

        Whoever takes long is not waited for before the next is asked too.

        Raises
        ------
        PeerError
            Nobody had it.
        """
        order = [account for account in first if account in self._clients]
        order += [account for account in list(self._clients) if account not in order]
        waiting = [account for account in order if self._reachable(account)]
        asked: set[Future[bytes]] = set()
        while (waiting or asked) and not self._closed:
            if waiting:
                account = waiting.pop(0)
                asked.add(self._workers[account].submit(self._get, account, path, limit or self._inbox.limit))
            done, asked = wait(asked, _IMPATIENT_S if waiting else None, return_when=FIRST_COMPLETED)
            for answer in done:
                with contextlib.suppress(KoinonError, CancelledError):
                    return read(answer.result())
        raise PeerError("No peer that can be reached has what is needed.", hint=path, code="swarm.withheld")

    def ask_one(self, account: str, path: str) -> Future[bytes] | None:
        """Ask one peer in the background; None where it cannot be reached now."""
        if account not in self._clients or not self._reachable(account):
            return None
        return self._workers[account].submit(self._get, account, path, self._inbox.limit)

    def keep_listing(self, place: bytes, listing: bytes) -> None:
        """Remember a list of updates that was told; see `place_of`."""
        with self._lock:
            known = self._listings.setdefault(place, [])
            if listing not in known:
                known.append(listing)
                del known[:-4]
            self._listings.move_to_end(place)
            while len(self._listings) > _MOST_LISTINGS:
                self._listings.popitem(last=False)

    def listings(self, place: bytes) -> list[bytes]:
        """Lists of a round, those of accepted and own rounds first. What others told may be false."""
        kept = self._journal.listing(place)
        with self._lock:
            told = list(reversed(self._listings.get(place, [])))
        return [*([] if kept is None else [kept]), *told]

    def keep_report(self, frame: bytes) -> None:
        """Remember what an owner tells of itself; the first stays."""
        self._journal.note(f"report {self._roster.reporter(frame)}", frame)

    def publish(self, name: str, content: bytes) -> None:
        """Give a document to whoever asks for it by name."""
        with self._lock:
            self._documents[name] = content
            while len(self._documents) > _MOST_DOCUMENTS:
                self._documents.popitem(last=False)

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._server.close()
        for worker in self._workers.values():
            worker.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _get(self, account: str, path: str, limit: int) -> bytes:
        return self._call(account, lambda client: client.get(path, limit=limit))

    def _hand_over(self, account: str, path: str, body: bytes) -> bool:
        try:
            self._call(account, lambda client: client.post(path, body))
        except KoinonError:
            return False
        return True

    def _call(self, account: str, call: Callable[[PeerClient], bytes]) -> bytes:
        try:
            found = call(self._clients[account])
        except KoinonError as error:
            if error.code == "swarm.unreachable":
                with self._lock:
                    _, rest = self._resting.get(account, (0.0, _FIRST_REST_S / 2))
                    rest = min(2 * rest, _LONGEST_REST_S)
                    self._resting[account] = (time.monotonic() + rest, rest)
            raise
        with self._lock:
            self._resting.pop(account, None)
        return found

    def _reachable(self, account: str) -> bool:
        return time.monotonic() >= self._rested(account)

    def _rested(self, account: str) -> float:
        with self._lock:
            return self._resting.get(account, (0.0, 0.0))[0]

    # ------------------------------------------------------------ for others

    def answer(self, account: str, method: str, path: str, body: bytes) -> bytes:
        """A peer's request; NotFound, or what is wrong with it."""
        with self._lock:
            self._resting.pop(account, None)  # it lives
        if self._closed:
            raise _nothing()
        match method, path.strip("/").split("/"):
            case "POST", [kind]:
                self._take(account, kind, body)
                return b""
            case "GET", ["frame", digest]:
                return self._frame(_digest(digest))
            case "GET", ["update", number, owner]:
                return self._update(number, owner)
            case "GET", ["listing", digest]:
                return _first(self.listings(_digest(digest)))
            case "GET", ["agreement", owner]:
                return self._agreement(owner)
            case "GET", ["document", name]:
                with self._lock:
                    return _first([self._documents.get(name)])
            case _:
                raise NotFound("There is nothing at this address.", code="learning.path")

    def _take(self, account: str, kind: str, body: bytes) -> None:
        match kind:
            case "update":
                self._take_update(account, body)
            case "agreement":
                self._roster.agree(body)
            case "listing":
                Listing.from_bytes(body[32:])
                self.keep_listing(body[:32], body[32:])
            case "twofold":
                pair = unpack_pair(body)
                if self._inbox.convict(pair):
                    self._keep_pair(pair)
            case "report":
                self.keep_report(body)
            case "look":
                pass
            case _:
                raise NotFound("There is nothing at this address.", code="learning.path")
        if self.gathering or kind == "look":
            self._changed.set()

    def _take_update(self, account: str, frame: bytes) -> None:
        try:
            self.receive(frame)
        except BadInput as error:
            if error.code == "swarm.not_agreed":  # it follows from whoever sent the update
                self._workers[account].submit(self._ask_agreement, account, frame)
            raise

    def _keep_pair(self, pair: tuple[bytes, bytes]) -> None:
        self._journal.note(f"twofold {self._inbox.number} {owner_of(pair[0])}", pack_pair(pair))

    def _ask_agreement(self, account: str, frame: bytes) -> None:
        with contextlib.suppress(KoinonError):
            self._roster.agree(self._get(account, f"/agreement/{account}", self._inbox.limit))
            self._inbox.receive(frame)
            self._changed.set()

    def _frame(self, digest: bytes) -> bytes:
        received = self._inbox.by_digest(digest)
        return _first([self._journal.frame(digest) if received is None else received.frame])

    def _update(self, number: str, owner: str) -> bytes:
        fellow = self._roster.get(owner)
        received = self._inbox.received
        if fellow is None or fellow.member is None or number != str(self._inbox.number):
            raise _nothing()
        found = received.get(fellow.member)
        return _first([None if found is None else found.frame])

    def _agreement(self, owner: str) -> bytes:
        fellow = self._roster.get(owner)
        agreed = None if fellow is None or fellow.member is None else self._roster.agreed(fellow.member)
        return _first([None if agreed is None else agreed.frame])


def frame_reader(digest: bytes) -> Callable[[bytes], bytes]:
    """Takes exactly the frame of this sha256."""

    def read(content: bytes) -> bytes:
        if payload_digest(content) != digest:
            raise BadInput("This is not what was asked for.", code="learning.digest")
        return content

    return read


def _first(found: Sequence[bytes | None]) -> bytes:
    for content in found:
        if content is not None:
            return content
    raise _nothing()


def _nothing() -> NotFound:
    return NotFound("This peer does not have it.", code="swarm.nothing")


def _digest(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise BadInput("A digest is 64 hexadecimal digits.", code="learning.path")
    return found
