# SPDX-License-Identifier: Apache-2.0
"""What an owner remembers of a run after its process was killed, whoever killed it."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError
from koinon.learning.connection import HttpsTransport
from koinon.learning.journal import FOLDER, Journal
from koinon.learning.leader import Full, Leader, RoundClosed
from koinon.learning.messages import Offer, federation_domain, split_frame
from koinon.learning.owner import Owner
from koinon.learning.owner_config import Network
from koinon.learning.privacy.plan import Privacy
from tests.learning.support import key, recipe, table

OPENER = key("opener")
NETWORK = Network(31337, "0x" + "AB" * 20, "0x" + "cd" * 20)
DOMAIN = federation_domain(NETWORK.chain_id, NETWORK.federation)
OFFER = Offer(1, bytes(32), b"\x01" * 32)
ADDRESS = key("owner 0").address
MASKED = recipe(
    privacy=Privacy("private_sum", clip_norm=2.0), aggregation="mean", contribution="equal", minimum_owners=3
)


def journal(home, offer=OFFER, domain=DOMAIN, owner=ADDRESS):
    return Journal(home, domain, offer, owner)


def taught_in(home):
    """What the one file of a home says, as a new process would read it."""
    (file,) = (home / FOLDER).glob("*.json")
    return file.read_text()


def test_a_round_begun_is_never_begun_again_whatever_process_asks(tmp_path):
    with journal(tmp_path) as first:
        assert first.join(100) == 100
        assert first.begin(2)
        assert not first.begin(2)
        assert not first.begin(1)
    with journal(tmp_path) as second:
        assert second.join(900) == 100
        assert not second.begin(2)
        assert second.begin(3)


def test_two_processes_do_not_teach_as_one_owner(tmp_path):
    with journal(tmp_path):
        with pytest.raises(BadInput) as held:
            journal(tmp_path)
        journal(tmp_path, owner=key("owner 1").address).close()
    assert held.value.code == "learning.journal_held"
    journal(tmp_path).close()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"deadline":1,"taught":-1}', b'{"deadline":1,"taught":true}']
)
def test_a_damaged_journal_stops_the_owner(tmp_path, content):
    with journal(tmp_path) as whole:
        whole.begin(1)
    (file,) = (tmp_path / FOLDER).glob("*.json")
    file.write_bytes(content)
    with pytest.raises(IntegrityError) as damaged:
        journal(tmp_path)
    assert damaged.value.code == "learning.journal"


def test_runs_are_told_apart_by_what_their_opener_cannot_change(tmp_path):
    with journal(tmp_path) as first:
        first.begin(5)
    other_leader = replace(OFFER, certificate=b"\x02" * 32)
    with journal(tmp_path, other_leader) as same:
        assert same.taught == 5
    with journal(tmp_path, replace(OFFER, run_id=2)) as other:
        assert other.taught == 0
    unrecorded = federation_domain(0)
    with journal(tmp_path, domain=unrecorded) as first:
        first.begin(5)
    with journal(tmp_path, other_leader, domain=unrecorded) as other:
        assert other.taught == 0


# ------------------------------------------------------------ owners that die, over TLS


class Dying(HttpsTransport):
    """A line on which an owner is killed before its private message number ``after``."""

    after = 10_000

    def send(self, path, frame, *, answer_limit):
        if path == "/private":
            self.after -= 1
            if self.after < 0:
                raise PeerError("This owner was killed.", code="test.killed")
        return super().send(path, frame, answer_limit=answer_limit)


def owner(url, index, home, *, kind=Dying, after=10_000, hook=None, **options):
    """An owner's whole life in one process: what it came to."""
    with kind(url, OPENER.address, DOMAIN, 1) as line:
        line.after, line.hook = after, hook
        one = Owner(
            key(f"owner {index}"),
            table(60, index),
            line,
            NETWORK,
            opener=OPENER.address,
            home=home / f"owner{index}",
            **options,
        )
        try:
            return one.take_part()
        except KoinonError as error:
            return error


def leader(folder, owners, found=MASKED):
    return Leader(found, OPENER, folder, run_id=1, domain=DOMAIN, expected=owners, alone_deadline_s=0)


def led(serving, lives):
    """Lead a run while every one of ``lives`` goes on in a thread; the closed rounds."""
    closed = []
    with ExitStack() as stack:
        for life in lives:
            thread = threading.Thread(target=life)
            thread.start()
            stack.callback(thread.join, 30)
        for event in serving.events():
            if isinstance(event, Full):
                serving.begin()
            if isinstance(event, RoundClosed):
                closed.append(event.closed)
    return closed


@pytest.mark.parametrize("after", [5, 7, 8])  # killed in the second round before so many messages
def test_an_owner_killed_in_a_private_round_joins_again_and_leaves_that_round_to_the_others(tmp_path, after):
    results: dict[object, Any] = {}
    asked: list[str] = []
    with leader(tmp_path, 5) as serving:

        def killed_and_started_again():
            results["killed"] = owner(serving.url, 0, tmp_path, after=after)
            written = taught_in(tmp_path / "owner0")

            def pause(_):
                asked.append(written)
                serving.gone(ADDRESS)

            results[0] = owner(serving.url, 0, tmp_path, pause=pause)

        def life(index):
            return lambda: results.update({index: owner(serving.url, index, tmp_path)})

        closed = led(serving, [killed_and_started_again, *(life(index) for index in range(1, 5))])
    assert results["killed"].code == "test.killed"
    assert '"taught":2' in asked[0]
    masked_before_it_died = after == 8
    assert (2 in results[0].rounds) is masked_before_it_died
    assert (ADDRESS in closed[2].missing) is not masked_before_it_died
    assert (results[0].model.vector == serving.run.common.parameters).all()


class Hooked(HttpsTransport):
    """A line that does ``hook(connection, path, frame)`` before it sends an update of the second round."""

    hook: Callable[..., object]

    def send(self, path, frame, *, answer_limit):
        if path == "/update" and split_frame(frame)[0]["round"] == 2:
            self.hook(self._pinned(), path, frame)
        return super().send(path, frame, answer_limit=answer_limit)


@pytest.mark.parametrize("codec", ["float32", "topk:0.3"])
def test_an_owner_killed_in_an_open_round_goes_on_with_the_update_that_arrived(tmp_path, codec):
    """With top-k, it remembers another rest than before it was killed, and its second update is refused."""
    results: dict[object, Any] = {}
    arrived, back = threading.Event(), threading.Event()
    places = [ADDRESS, key("owner 1").address]

    def note(address, number):
        if (address, number) == (ADDRESS, 2):
            arrived.set()

    def killed(connection, path, frame):
        connection.request("POST", path, body=frame)
        assert arrived.wait(30)
        raise PeerError("This owner was killed.", code="test.killed")

    def started_again(*_):
        if codec == "float32":
            back.set()

    with Leader(
        recipe(codec=codec),
        OPENER,
        tmp_path,
        run_id=1,
        domain=DOMAIN,
        expected=2,
        alone_deadline_s=0,
        arrived=note,
        allowed=places,
    ) as serving:

        def first():
            results["killed"] = owner(serving.url, 0, tmp_path, kind=Hooked, hook=killed)
            results[0] = owner(
                serving.url, 0, tmp_path, kind=Hooked, hook=started_again, pause=lambda _: back.set()
            )

        def second():
            results[1] = owner(serving.url, 1, tmp_path, kind=Hooked, hook=lambda *_: back.wait(30))

        closed = led(serving, [first, second])
    assert back.is_set()
    assert results["killed"].code == "test.killed"
    assert results[0].rounds == (2, 3)
    assert results[1].rounds == (1, 2, 3)
    assert [one.missing for one in closed] == [()] * 4


def test_a_leader_that_begins_the_run_again_gets_no_round_a_second_time(tmp_path):
    """The difference of two sums of the same round would show what an owner left out of one of them sent."""
    with leader(tmp_path / "first", 3) as first:
        led(first, [partial(owner, first.url, index, tmp_path) for index in range(3)])
    results, clock = {}, iter(range(10_000))
    with leader(tmp_path / "again", 3) as hostile:

        def life(index):
            def live():
                results[index] = owner(
                    hostile.url, index, tmp_path, now=lambda: 10.0 * next(clock), pause=lambda _: None
                )
                if len(results) == 3:
                    hostile.fail(PeerError("Nobody teaches."))

            return live

        with pytest.raises(PeerError, match="Nobody teaches"):
            led(hostile, [life(index) for index in range(3)])
        assert not hostile.run.collector.received
    assert {one.code for one in results.values()} == {"learning.round"}
