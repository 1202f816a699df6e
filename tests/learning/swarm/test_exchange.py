# SPDX-License-Identifier: Apache-2.0
"""Three peers on their lines: what one tells reaches the others, and lies are found out by comparing."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass, replace
from typing import Any

import pytest

from koinon.errors import BadInput, NotFound, PeerError
from koinon.estimates import Estimate
from koinon.learning.fairness import Fairness
from koinon.learning.gains import Gain, OwnReport
from koinon.learning.messages import Report, payload_digest
from koinon.learning.swarm.client import PeerClient
from koinon.learning.swarm.course import Course
from koinon.learning.swarm.exchange import Exchange, frame_reader
from koinon.learning.swarm.identity import Identity
from koinon.learning.swarm.inbox import Listing, digest_of, listing_of, place_of
from koinon.learning.swarm.journal import Journal
from koinon.learning.swarm.keeping import keep_reports, read_reports
from koinon.learning.swarm.roster import Fellow, Roster
from tests.learning.support import DOMAIN
from tests.learning.swarm.support import RUN, Swarm, agreement, swarm


@dataclass
class Line:
    """One peer: what it knows, its journal and its line."""

    known: Swarm
    journal: Journal
    exchange: Exchange
    course: Course
    identity: Identity


@pytest.fixture
def lines(tmp_path):
    made = []
    for number in range(3):
        known = swarm(fairness=Fairness(own_rows=0.2, told="gain"))
        account = known.keys[number].address
        identity = Identity.open(tmp_path / str(number), account)
        journal = Journal(tmp_path / str(number))
        exchange = Exchange(identity, account, known.roster, known.inbox, journal)
        course = Course(known.common.recipe, known.common, known.inbox, journal)
        exchange.open()
        made.append(Line(known, journal, exchange, course, identity))
    fellows = [
        replace(fellow, certificate=line.identity.certificate, url=line.exchange.url)
        for line, fellow in zip(made, made[0].known.roster.fellows, strict=False)
    ]
    for line in made:
        line.exchange.meet([*fellows, Fellow(9, "0x" + "12" * 20, None, 0, b"no certificate", "nowhere")])
    yield made
    for line in made:
        line.exchange.close()
        line.journal.close()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def tell(line: Line, path: str, body: bytes) -> list[bool]:
    told = line.exchange.tell(path, body)
    wait(told)
    return [one.result() for one in told]


def test_updates_reach_everybody_and_lead_to_one_model(lines):
    for member, line in enumerate(lines):
        frame = line.known.update(member, 0.1 * member)
        assert line.exchange.receive(frame)
        assert tell(line, "/update", frame) == [True, True]
    computed = [line.course.compute(line.known.inbox.received) for line in lines]
    assert len({one.model for one in computed}) == 1
    lines[0].course.accept(computed[0], lines[0].known.inbox.received)
    assert lines[0].course.round == 1
    assert lines[0].course.base == computed[0].model == lines[0].known.common.digest

    found = Listing.from_bytes(computed[0].listing.to_bytes()).frames[2]  # accepted, and still given out
    frame = lines[1].exchange.ask(f"/frame/{found.hex()}", frame_reader(found))
    assert payload_digest(frame) == found


def test_rounds_of_the_same_changes_are_told_apart(lines):
    line, places = lines[0], []
    for _ in range(2):
        line.exchange.receive(line.known.update(0, 0.0))
        received = line.known.inbox.received
        place = place_of(line.known.inbox.number, line.course.base, digest_of(received))
        line.course.accept(line.course.compute(received), received)
        places.append((place, listing_of(received).to_bytes()))
    assert places[0][1] != places[1][1]
    for place, listing in places:
        found = lines[1].exchange.ask(f"/listing/{place.hex()}", lambda content: content)
        assert found == listing


def test_what_is_asked_for_is_checked(lines):
    one, other = lines[0], lines[1]
    frame = other.known.update(1)
    other.exchange.receive(frame)
    received = other.known.inbox.received
    other.exchange.keep_listing(digest_of(received), listing_of(received).to_bytes())
    asked = one.exchange.ask(f"/listing/{digest_of(received).hex()}", Listing.from_bytes)
    assert asked == listing_of(received)
    owner = other.known.keys[1].address
    future = one.exchange.ask_one(owner, f"/update/1/{owner}")
    assert future is not None
    assert future.result() == frame
    assert one.exchange.ask(f"/agreement/{owner}", one.known.roster.agree).joining.owner == owner
    lines[2].exchange.publish("contribution", b"content")
    assert one.exchange.ask("/document/contribution", lambda content: content) == b"content"

    for path in (
        f"/frame/{bytes(32).hex()}",
        "/frame/xyz",
        "/elsewhere",
        f"/update/2/{owner}",
        "/document/x",
    ):
        with pytest.raises(PeerError, match="No peer"):
            one.exchange.ask(path, lambda content: content)
    with pytest.raises(PeerError):  # the wrong bytes are no answer
        one.exchange.ask("/document/contribution", frame_reader(bytes(32)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/update", b"nonsense"),
        ("/agreement", b"nonsense"),
        ("/listing", b"nonsense"),
        ("/twofold", b"nonsense"),
        ("/elsewhere", b""),
    ],
)
def test_nonsense_is_refused(lines, path, body):
    client = PeerClient(lines[1].identity, "peer", lines[0].exchange.url, lines[0].identity.certificate)
    with pytest.raises((PeerError, NotFound)):
        client.post(path, body)
    client.close()


def test_who_signs_two_updates_is_found_out_by_all(lines):
    liar = lines[0].known
    frames = [liar.update(0, 0.1), liar.update(0, 0.2)]
    assert lines[1].exchange.receive(frames[0])
    assert lines[2].exchange.receive(frames[1])
    assert lines[2].known.inbox.received
    tell(lines[1], "/update", frames[0])  # handed on, as it is fetched by digest
    until(lambda: all(0 in line.known.inbox.twofold for line in lines[1:]))
    assert all(not line.known.inbox.received for line in lines[1:])
    owner = liar.keys[0].address
    until(lambda: all(line.journal.fact(f"twofold 1 {owner}") is not None for line in lines[1:]))


def test_who_is_gone_is_not_waited_for(lines):
    lines[2].exchange.close()
    tell(lines[0], "/look", b"")
    assert len(lines[0].exchange.tell("/look", b"")) == 1
    assert lines[0].exchange.ask_one(lines[2].known.keys[2].address, "/update/1/x") is None


def test_an_agreement_is_fetched_when_an_update_comes_before_it(lines):
    late = lines[0]
    late.known.roster = Roster(late.known.common.recipe, RUN, DOMAIN)
    late.known.roster.add(lines[1].known.roster.fellows)
    late.exchange._roster = late.known.inbox._roster = late.known.roster
    tell(lines[1], "/update", lines[1].known.update(1))
    until(lambda: 1 in late.known.inbox.received)
    assert late.known.roster.agreed(1) is not None
    with pytest.raises(BadInput):
        late.known.roster.agree(agreement(late.known.keys[1], 7))


def test_owners_tell_what_the_recipe_asks_and_nothing_else(lines, tmp_path):
    known = lines[1].known

    def told(member: int, run_id: int = RUN, **changes: Any) -> bytes:
        gain = Gain(Estimate(0.1, 0.0, 0.2), **changes)
        payload = OwnReport(gain).to_bytes()
        message = Report(run_id, known.keys[member].address, payload_digest(payload))
        return message.pack(known.keys[member], DOMAIN, payload)

    honest = told(0)
    assert tell(lines[0], "/report", honest) == [True, True]
    forged = told(2)[:-1] + b" "
    for frame in (told(2, rows=60), told(2, run_id=8), told(3), forged, b""):
        assert tell(lines[2], "/report", frame) == [False, False]
    assert [lines[1].journal.fact(f"report {one.address}") for one in known.keys[:3]] == [honest, None, None]

    keep_reports(tmp_path, [honest])
    found = read_reports(tmp_path, known.common.recipe, RUN, DOMAIN)
    assert found == {known.keys[0].address: OwnReport(Gain(Estimate(0.1, 0.0, 0.2)))}
    assert read_reports(tmp_path / "elsewhere", known.common.recipe, RUN, DOMAIN) == {}
