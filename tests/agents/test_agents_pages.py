# SPDX-License-Identifier: Apache-2.0
"""Agents in the console: what their operator sees of them, and what everybody does."""

from __future__ import annotations

import time

import pytest

from koinon.agents import Address
from koinon.agents.api import Agents
from koinon.agents.flow import Flow, read_flow
from koinon.agents.host import MAILBOXES
from koinon.agents.letters import dead_letters
from koinon.agents.pictured import MOST, picture_of
from koinon.agents.purse import open_purse
from koinon.agents.runtime import Runtime
from koinon.chain.keys import Key
from koinon.errors import PaymentError
from koinon.services.mandates.book import MandateBook
from koinon.web.pictures import Speaker, Way, draw_talk
from tests.agents.support import Add, Counter, Total2, run, until
from tests.agents.test_runtime import Sender
from tests.pages_support import open_town

TARGET = "tests.agents.support:Counter"


@pytest.fixture(scope="module")
def town(tmp_path_factory, network, devnet):
    with open_town(tmp_path_factory.mktemp("home"), network, devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def agents(town):
    return Agents.of(town.house)


@pytest.fixture(scope="module")
def counter(agents):
    return agents.create(TARGET, name="The <b>teller</b>", description="Counts.")


@pytest.fixture(scope="module")
def caller(agents):
    return agents.create("tests.agents.support:Caller", name="The caller")


@pytest.fixture(scope="module")
def said(agents, counter, caller):
    """What the two said to each other, and to somebody who is not there."""

    async def scenario() -> None:
        runtime = Runtime(agents.directory.domain, agents.home / MAILBOXES)
        target = runtime.add(Counter(), agents._keyring.open(counter.key), counter.work_id)
        sender = Sender(target, Add(1), Add(2), Total2(3))
        runtime.add(sender, agents._keyring.open(caller.key), caller.work_id)
        async with runtime:
            await until(lambda: len(sender.told) == 2 and bool(runtime.dead()))

    run(scenario())
    return agents.flow()


def test_the_flow_tells_who_said_what_to_whom(agents, said, counter, caller):
    assert sorted(each.name for each in said.messages) == ["Add", "Add", "Total", "Total", "Total2"]
    assert said.ways == {
        (caller.address, counter.address): 3,
        (counter.address, caller.address): 2,
    }
    (dead,) = [each for each in said.messages if each.state == "dead"]
    assert (dead.name, dead.outgoing) == ("Total2", True)
    assert "no handler" in dead.why
    assert agents.flow(counter.address).messages == said.messages
    assert agents.flow(Address(0, Key.generate().address)) == Flow(())


def test_the_operator_sees_what_is_said_and_others_do_not(town, said, counter):
    operator, stranger = town.operator(), town.nobody()
    page = operator.page("/agents")
    assert "2 agents of this node, not running" in page
    assert "What was said lately" in page
    assert "has no handler" in page
    assert "The caller has sent The <b>teller</b> 3 messages." in page
    one = operator.page(f"/agents/{counter.work_id}")
    assert "is not running" in one
    assert "What was said lately" in one
    for path in ("/agents", f"/agents/{counter.work_id}"):
        assert "What was said lately" not in stranger.page(path)
    assert "<b>teller</b>" not in stranger.raw("/agents").text
    assert "代理程式" in stranger.page("/zh-hant/agents")


def test_a_work_that_is_no_agent_has_no_agent_s_page(town):
    town.nobody().page("/agents/1000000", status=404)


def test_a_node_without_agents_says_how_to_make_one(tmp_path):
    assert read_flow(tmp_path) == Flow(())


def test_a_picture_of_many_speakers_shows_the_busiest(said):
    crowd = [Address(number, Key.generate().address) for number in range(1, MOST + 5)]
    ways = [Way(0, 1, 5), Way(1, 0, 1)]
    assert "Ann has sent Bo 5 messages." in draw_talk([Speaker("Ann", True, "/a"), Speaker("Bo")], ways)
    assert picture_of(Flow(()), {}, lambda _address: "") is None
    template = said.messages[0]
    messages = tuple(
        type(template)("", "Add", 0.0, each, crowd[0], "", "done", False, 1, "") for each in crowd[1:]
    )
    picture = picture_of(Flow(messages), {crowd[0]: "Hub"}, lambda _address: "")
    assert picture is not None
    assert "4 others" in picture
    assert "Hub" in picture


def test_the_operator_gives_an_agent_a_mandate_after_a_review_and_stops_it(town, agents, caller):
    operator, guest = town.operator(), town.guest()
    fields = {
        "work_id": str(caller.work_id),
        "per_call": "0.01",
        "per_day": "0.1",
        "total": "1",
        "days": "3",
        "use_trade": "1",
    }
    path = f"/agents/{caller.work_id}"
    assert "Nothing yet" in operator.page(path)
    assert "Give it a mandate" not in guest.page(path)
    assert "agents.operator" in guest.refused("agents.give_mandate", **fields)
    for wrong in (
        {"per_call": "0"},
        {"per_call": "2"},
        {"days": "0"},
        {"days": "x"},
        {"use_trade": ""},
        {"total": "much"},
        {"work_id": "9999999"},
    ):
        operator.refused("agents.give_mandate", **fields | wrong)
    review = operator.review("agents.give_mandate", **fields)
    assert "trades between agents" in review
    assert "The caller" in review
    key, book = agents._keyring.open(caller.key), MandateBook(town.house.chain, town.house.settings.home)
    purse = open_purse(town.house.chain, key, book)
    with pytest.raises(PaymentError):
        purse.sign(caller.work_id, 1, b"\1" * 32, int(time.time()) + 60)
    operator.do("agents.give_mandate", **fields)
    purse.sign(caller.work_id, 1, b"\1" * 32, int(time.time()) + 60)
    page = operator.page(path)
    assert "It stands" in page
    assert "Stop it" in page
    assert "它能花多少" in operator.page(f"/zh-hant{path}")
    (entry,) = book.entries()
    operator.do("services.stop_mandate", id=entry.id)
    with pytest.raises(PaymentError):
        purse.sign(caller.work_id, 1, b"\2" * 32, int(time.time()) + 60)
    book.close()


def test_the_operator_decides_what_becomes_of_dead_letters(town, agents, said, caller):
    operator, guest = town.operator(), town.guest()
    path = f"/agents/{caller.work_id}"
    (dead,) = dead_letters(agents.home)
    fields = {"work_id": str(caller.work_id), "number": str(dead.number)}
    assert "Throw it away" in operator.page(path)
    assert "Throw it away" not in guest.page(path)
    for name in ("agents.retry_letter", "agents.drop_letter"):
        assert "agents.operator" in guest.refused(name, **fields)
        assert "agents.no_letter" in operator.refused(name, **fields | {"number": "77"})
    assert "told the same twice" in operator.review("agents.retry_letter", **fields)
    operator.do("agents.drop_letter", **fields)
    assert dead_letters(agents.home) == []
