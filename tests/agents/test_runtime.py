# SPDX-License-Identifier: Apache-2.0
"""Agents of one process, and what strangers try on their host."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from koinon.agents import Address, Agent, Context, every, on
from koinon.agents import exchange as exchange_module
from koinon.agents import handling as handling_module
from koinon.agents.context import LONGEST_LIFETIME_S, SENDS_LIMIT
from koinon.agents.envelope import CLOCK_SKEW_S
from koinon.agents.limits import Limits
from koinon.agents.reach import Known
from koinon.agents.runtime import Runtime
from koinon.agents.verdicts import (
    ACCEPTED,
    CANNOT_TELL,
    DUPLICATE,
    MAILBOX_FULL,
    NOT_ITS_ACCOUNT,
    NOT_UNDERSTOOD,
    REPLAYED,
    TOO_FAST,
    UNKNOWN_AGENT,
)
from koinon.chain.keys import Key
from koinon.errors import BadInput, NodeUnavailable, NotFound, PeerError, SetupError
from tests.agents.support import DOMAIN, Add, Burn, Caller, Counter, Total, Total2, envelope, run, until


def total_in(path: Path, address: Address) -> int:
    with closing(sqlite3.connect(path)) as database:
        row = database.execute(
            "SELECT value FROM memory WHERE agent = ? AND key = 'total'", (str(address),)
        ).fetchone()
    return int(row[0]) if row else 0


def handled(runtime: Runtime, address: Address) -> int:
    return runtime.posts[address].handled


class Sender(Caller):
    """Sends what it is told to at its start."""

    def __init__(self, target: Address, *messages: object) -> None:
        super().__init__()
        self.target, self.messages = target, messages

    def startup(self, context: Context) -> None:
        for each in self.messages:
            context.send(self.target, each)


@pytest.mark.parametrize("durable", [True, False])
def test_agents_of_one_process_speak(tmp_path, durable):
    async def scenario() -> None:
        runtime = Runtime(DOMAIN, tmp_path / "a.sqlite" if durable else None)
        counter = runtime.add(Counter(), Key.generate(), 7)
        caller = Sender(counter, Add(1), Add(2), Add(3))
        runtime.add(caller, Key.generate())
        async with runtime:
            await until(lambda: len(caller.told) == 3)
            assert caller.told == [1, 3, 6]
            assert await runtime.ask(counter, "Add", {"amount": 4}) == ("Total", {"amount": 10})

    run(scenario())


def test_a_guest_asks_skills_alone_and_hears_what_is_wrong():
    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        counter = runtime.add(Counter(), Key.generate())
        async with runtime:
            with pytest.raises(NotFound):
                await runtime.ask(counter, "Burn", {})
            with pytest.raises(NotFound):
                await runtime.ask(Address(3, counter.account), "Add", {"amount": 1})
            with pytest.raises(BadInput):
                await runtime.ask(counter, "Add", {"amount": "1"})

    run(scenario())


def test_a_guest_hears_that_a_handler_failed_or_is_late():
    class Slow(Counter):
        @on(Burn, skill=True)
        async def burn(self, burn: Burn, context: Context) -> Total:
            assert context.guest
            if burn.times == 0:
                raise RuntimeError("no")
            await asyncio.sleep(PATIENCE)
            return Total(0)

    PATIENCE = 0.3

    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        slow = runtime.add(Slow(), Key.generate())
        async with runtime:
            with pytest.raises(PeerError) as raised:
                await runtime.ask(slow, "Burn", {"times": 0})
            assert raised.value.code == "agents.handler_failed"
            with pytest.raises(PeerError) as raised:
                await runtime.ask(slow, "Burn", {"times": 1}, timeout_s=0.01)
            assert raised.value.code == "agents.no_answer"

    run(scenario())


def test_what_strangers_hand_in_is_accepted_once_or_refused(tmp_path):
    key, stranger = Key.generate(), Key.generate()

    async def scenario() -> None:
        runtime = Runtime(DOMAIN, tmp_path / "a.sqlite")
        counter = runtime.add(Counter(), key, 7)
        good = envelope(stranger, counter, Add(5))
        nonce = bytes(16)
        forged = good[:-65] + bytes(65)
        async with runtime:
            assert await runtime.accept([good, good]) == [ACCEPTED, DUPLICATE]
            assert await runtime.accept([good]) == [DUPLICATE]
            first = envelope(stranger, counter, Add(1), nonce=nonce)
            second = envelope(stranger, counter, Add(2), nonce=nonce)
            assert await runtime.accept([first]) == [ACCEPTED]
            assert await runtime.accept([second, first]) == [REPLAYED, DUPLICATE]
            answers = await runtime.accept(
                [
                    forged,
                    b"",
                    bytes(100_000),
                    envelope(stranger, counter, expires=-CLOCK_SKEW_S - 5),
                    envelope(stranger, counter, expires=LONGEST_LIFETIME_S + CLOCK_SKEW_S + 60),
                    envelope(stranger, Address(8, counter.account)),
                    envelope(stranger, counter, Total2(1)),
                    envelope(stranger, counter, protocol=b"\x09" * 32),
                    envelope(stranger, counter, payload=b'{"amount":"x"}'),
                    envelope(stranger, counter, work_id=7),
                ]
            )
            assert answers == [
                "agents.forged",
                "agents.envelope_malformed",
                "agents.envelope_too_long",
                "agents.expired",
                "agents.too_long_lived",
                UNKNOWN_AGENT,
                NOT_UNDERSTOOD,
                NOT_UNDERSTOOD,
                "agents.payload",
                NOT_ITS_ACCOUNT,
            ]
            await until(lambda: handled(runtime, counter) == 2)
            assert not runtime.posts[counter].waiting
        assert total_in(tmp_path / "a.sqlite", counter) == 6

    run(scenario())


def test_replays_are_known_after_a_restart(tmp_path):
    key, good = Key.generate(), b""

    async def scenario() -> None:
        nonlocal good
        runtime = Runtime(DOMAIN, tmp_path / "a.sqlite")
        counter = runtime.add(Counter(), key)
        good = good or envelope(Key.generate(), counter, Add(5))
        async with runtime:
            answers.extend(await runtime.accept([good]))
            await until(lambda: not runtime.posts[counter].waiting)
        assert total_in(tmp_path / "a.sqlite", counter) == 5

    answers: list[str] = []
    run(scenario())
    run(scenario())
    assert answers == [ACCEPTED, DUPLICATE]


def test_an_envelope_to_oneself_that_went_by_already_is_known_at_the_door():
    """A local agent's envelope, seen by somebody, is not handled again when it is handed in from outside."""

    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        counter = runtime.add(Counter(), Key.generate())
        caller = Sender(counter, Add(1))
        runtime.add(caller, Key.generate())
        async with runtime:
            await until(lambda: len(caller.told) == 1)
            seen = runtime._boxes.database.execute("SELECT envelope FROM inbox ORDER BY number").fetchone()[0]
            assert await runtime.accept([seen]) == [DUPLICATE]
        assert caller.told == [1]

    run(scenario())


def test_messages_in_any_order_are_each_handled_once():
    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        counter = runtime.add(Counter(), Key.generate())
        stranger = Key.generate()
        letters = [envelope(stranger, counter, Add(2**number)) for number in range(12)] * 3
        random.Random(5).shuffle(letters)
        async with runtime:
            for start in range(0, len(letters), 5):
                await runtime.accept(letters[start : start + 5])
            await until(lambda: handled(runtime, counter) == 12)
            assert await runtime.ask(counter, "Add", {"amount": 0}) == ("Total", {"amount": 2**12 - 1})

    run(scenario())


def test_a_flood_is_throttled_and_leaves_room_for_others():
    limits = Limits(sender_per_s=1e-9, sender_burst=30, mailbox=60, mailbox_share=20)

    class Stuck(Counter):
        @on(Add)
        async def add(self, more: Add, context: Context) -> None:  # type: ignore[override]
            await gate.wait()

    gate = asyncio.Event()

    async def scenario() -> None:
        known = Key.generate()
        reach = Known({Address(9, known.address): ""})
        runtime = Runtime(DOMAIN, limits=limits, reach=reach)
        stuck = runtime.add(Stuck(), Key.generate())
        flooder, accomplice = Key.generate(), Key.generate()
        async with runtime:
            answers = await runtime.accept([envelope(flooder, stuck) for _ in range(50)])
            assert [answers.count(each) for each in (ACCEPTED, MAILBOX_FULL, TOO_FAST)] == [20, 10, 20]
            answers = await runtime.accept([envelope(accomplice, stuck) for _ in range(20)])
            assert answers.count(ACCEPTED) == 10, "accounts that cost nothing fill half of a mailbox"
            answers = await runtime.accept([envelope(known, stuck, work_id=9) for _ in range(20)])
            assert answers.count(ACCEPTED) == 20
            assert runtime.posts[stuck].waiting == 50
            gate.set()

    run(scenario())


def test_an_agent_that_floods_its_neighbour_waits_for_it():
    """Nothing is lost: what finds no room waits at its sender's, and comes when there is room."""

    async def scenario() -> None:
        runtime = Runtime(DOMAIN, limits=Limits(mailbox_share=10))
        counter = runtime.add(Counter(), Key.generate())
        caller = Sender(counter, *[Add(1)] * 100)
        runtime.add(caller, Key.generate())
        async with runtime:
            await until(lambda: len(caller.told) == 100)
        assert sorted(caller.told) == list(range(1, 101))

    run(scenario())


def test_a_poison_message_ends_as_a_dead_letter_and_has_no_effect(monkeypatch):
    monkeypatch.setattr(handling_module, "FIRST_PAUSE_S", 0.001)

    async def scenario() -> None:
        agent = Counter()
        runtime = Runtime(DOMAIN)
        counter = runtime.add(agent, Key.generate())
        caller = Sender(counter, Burn(), Add(1))
        runtime.add(caller, Key.generate())
        async with runtime:
            await until(lambda: bool(runtime.dead()))
            (letter,) = runtime.dead()
            assert (letter.name, letter.outgoing, letter.code) == ("Burn", False, "agents.handler_failed")
            assert agent.failures == handling_module.TRIES
            assert caller.told == [1], "what a failing handler sent must not leave"
            assert "burnt" not in runtime.posts[counter].memory.get("", {})

    run(scenario())


def test_a_handler_that_fails_now_and_then_is_tried_again(monkeypatch):
    monkeypatch.setattr(handling_module, "FIRST_PAUSE_S", 0.001)

    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        counter = runtime.add(Counter(), Key.generate())
        caller = Sender(counter, Burn(times=2))
        runtime.add(caller, Key.generate())
        async with runtime:
            await until(lambda: caller.told == [-1])
            assert not runtime.dead()

    run(scenario())


def test_a_handler_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr(handling_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(handling_module, "HANDLER_S", 0.01)
    monkeypatch.setattr(handling_module, "TRIES", 2)

    class Endless(Counter):
        @on(Burn)
        async def burn(self, burn: Burn, context: Context) -> None:
            await asyncio.sleep(3_600)

    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        endless = runtime.add(Endless(), Key.generate())
        caller = Sender(endless, Burn(), Add(1))
        runtime.add(caller, Key.generate())
        async with runtime:
            await until(lambda: bool(runtime.dead()) and caller.told == [1])
            assert "TimeoutError" in runtime.dead()[0].why

    run(scenario())


def test_a_reply_that_is_not_announced_is_a_fault():
    class Liar(Counter):
        @on(Add)
        def add(self, more: Add, context: Context) -> Total:
            return Total2(1)  # type: ignore[return-value]

    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        liar = runtime.add(Liar(), Key.generate())
        stranger = Key.generate()
        async with runtime:
            await runtime.accept([envelope(stranger, liar)])
            await until(lambda: runtime.posts[liar].delayed != [])

    run(scenario())


def test_deadlines_and_timers_come(tmp_path):
    class Planner(Agent):
        """Wakes itself."""

        def __init__(self) -> None:
            super().__init__()
            self.woken: list[int] = []
            self.ticks = 0

        def startup(self, context: Context) -> None:
            if "begun" not in context.memory:
                context.memory["begun"] = True
                context.later(0.05, Add(2))
                context.later(0.0, Add(1))
                context.later(3_600, Add(3))

        @on(Add)
        def woke(self, more: Add, context: Context) -> None:
            assert context.sender == context.me
            self.woken.append(more.amount)

        @every(0.01)
        def tick(self, context: Context) -> None:
            self.ticks += 1

    key = Key.generate()

    async def scenario() -> None:
        planner = Planner()
        runtime = Runtime(DOMAIN, tmp_path / "a.sqlite")
        runtime.add(planner, key)
        async with runtime:
            await until(lambda: planner.woken == [1, 2] and planner.ticks > 2)
        again = Planner()
        runtime = Runtime(DOMAIN, tmp_path / "a.sqlite", clock=lambda: time.time() + 3_700)
        runtime.add(again, key)
        async with runtime:
            await until(lambda: again.woken == [3])

    run(scenario())


def test_one_call_sends_so_many_messages_and_no_more():
    class Spammer(Agent):
        fault: BadInput | None = None

        def startup(self, context: Context) -> None:
            try:
                for _ in range(SENDS_LIMIT + 1):
                    context.send(context.me, Add(1))
            except BadInput as error:
                self.fault = error
            with pytest.raises(BadInput):
                context.send(context.me, Add(1), lifetime_s=LONGEST_LIFETIME_S + 1)
            with pytest.raises(BadInput):
                context.later(-1, Add(1))

    async def scenario() -> None:
        spammer = Spammer()
        runtime = Runtime(DOMAIN)
        runtime.add(spammer, Key.generate())
        async with runtime:
            await until(lambda: spammer.fault is not None)
        assert spammer.fault is not None
        assert spammer.fault.code == "agents.too_many_sends"

    run(scenario())


def test_what_nobody_takes_is_dead_at_its_sender():
    async def scenario() -> None:
        now = time.time()
        clock = [now]
        runtime = Runtime(DOMAIN, reach=Known(), clock=lambda: clock[0])
        counter = runtime.add(Counter(), Key.generate())
        nobody = Address(0, Key.generate().address)
        caller = Sender(nobody, Add(1))
        address = runtime.add(caller, Key.generate())
        confused = Sender(counter, Total2(1))
        runtime.add(confused, Key.generate())
        async with runtime:
            await until(lambda: len(runtime.dead()) == 1)
            assert runtime.dead()[0].code == NOT_UNDERSTOOD
            await until(lambda: runtime.posts[address].on_their_way == 1)
            clock[0] = now + 10_000
            await until(lambda: len(runtime.dead()) == 2)
            assert (runtime.dead()[0].code, runtime.dead()[0].outgoing) == ("agents.undelivered", True)
            assert runtime.posts[address].on_their_way == 0

    run(scenario())


def test_an_agent_whose_messages_nobody_takes_is_told_so():
    class Insistent(Agent):
        fault: PeerError | None = None

        def startup(self, context: Context) -> None:
            for _ in range(5):
                context.send(Address(0, Key.generate().address), Add(1))

        @on(Add)
        def add(self, more: Add, context: Context) -> None:
            try:
                context.send(context.sender, Total(1))
            except PeerError as error:
                self.fault = error

    async def scenario() -> None:
        insistent = Insistent()
        runtime = Runtime(DOMAIN, limits=Limits(outbox=5))
        address = runtime.add(insistent, Key.generate())
        async with runtime:
            await until(lambda: runtime.posts[address].on_their_way == 5)
            await runtime.accept([envelope(Key.generate(), address)])
            await until(lambda: insistent.fault is not None)
        assert insistent.fault is not None
        assert insistent.fault.code == "agents.outbox_full"

    run(scenario())


def test_a_deadline_that_meets_a_full_outbox_is_not_lost(monkeypatch):
    monkeypatch.setattr(handling_module, "TRIES", 1)
    monkeypatch.setattr(handling_module, "_FULL_PAUSE_S", 0.01)
    failures: list[Add | None] = []

    class Waiting(Agent):
        @on(Add)
        def add(self, more: Add, context: Context) -> None:
            if len(failures) < 3:
                failures.append(more)
                raise PeerError("full", code="agents.outbox_full")
            failures.append(None)

    async def scenario() -> None:
        runtime = Runtime(DOMAIN)
        address = runtime.add(Waiting(), Key.generate())
        async with runtime:
            await runtime.accept([envelope(Key.generate(), address)])
            await until(lambda: failures[-1:] == [None])
            assert runtime.dead() == []

    run(scenario())


def test_a_chain_that_takes_for_ever_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(exchange_module, "_LOOK_UP_S", 0.05)

    class Slow(Known):
        async def speaks_for(self, address: Address) -> bool:
            await asyncio.sleep(3_600)
            return True

    async def scenario() -> None:
        runtime = Runtime(DOMAIN, reach=Slow())
        counter = runtime.add(Counter(), Key.generate())
        async with runtime:
            letters = [envelope(Key.generate(), counter, work_id=each) for each in (5, 6, 0)]
            assert await runtime.accept(letters) == [CANNOT_TELL, CANNOT_TELL, ACCEPTED]

    run(scenario())


def test_a_chain_that_does_not_answer_refuses_nobody_for_good():
    class Away(Known):
        async def speaks_for(self, address: Address) -> bool:
            raise NodeUnavailable("away")

    async def scenario() -> None:
        runtime = Runtime(DOMAIN, reach=Away())
        counter = runtime.add(Counter(), Key.generate())
        async with runtime:
            assert await runtime.accept([envelope(Key.generate(), counter, work_id=5)]) == [CANNOT_TELL]

    run(scenario())


def test_one_file_has_one_host(tmp_path):
    async def scenario() -> None:
        async with Runtime(DOMAIN, tmp_path / "a.sqlite"):
            with pytest.raises(SetupError) as raised:
                Runtime(DOMAIN, tmp_path / "a.sqlite")
            assert raised.value.code == "agents.running"

    run(scenario())


def test_a_file_that_is_no_mailbox_is_left_alone(tmp_path):
    file = tmp_path / "a.sqlite"
    file.write_bytes(b"something else entirely, and long enough to look at" * 100)
    with pytest.raises(SetupError) as raised:
        Runtime(DOMAIN, file)
    assert raised.value.code == "agents.mailboxes"


def test_an_agent_runs_once():
    runtime, key = Runtime(DOMAIN), Key.generate()
    runtime.add(Counter(), key)
    with pytest.raises(BadInput):
        runtime.add(Counter(), key)
    runtime._boxes.close()
