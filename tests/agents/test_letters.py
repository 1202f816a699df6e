# SPDX-License-Identifier: Apache-2.0
"""Dead letters that are tried again or thrown away, while their host runs and while it does not."""

from __future__ import annotations

import pytest

from koinon.agents import Address, Agent, Context, on
from koinon.agents import handling as handling_module
from koinon.agents.envelope import Envelope
from koinon.agents.host import MAILBOXES
from koinon.agents.letters import dead_letters, drop, letter_of, retry
from koinon.agents.runtime import Runtime
from koinon.chain.keys import Key
from koinon.errors import NotFound
from tests.agents.support import DOMAIN, Add, Caller, Counter, Total, envelope, run, until


class Moody(Agent):
    """Fails until it is in a better mood."""

    def __init__(self) -> None:
        super().__init__()
        self.glad = False
        self.handled = 0

    @on(Add)
    def add(self, more: Add, context: Context) -> None:
        if not self.glad:
            raise RuntimeError("not now")
        self.handled += 1


@pytest.mark.parametrize("running", [True, False])
def test_a_letter_that_could_not_be_handled_is_handled_when_it_is_tried_again(tmp_path, monkeypatch, running):
    monkeypatch.setattr(handling_module, "TRIES", 1)
    key, moody = Key.generate(), Moody()

    async def scenario() -> None:
        runtime = Runtime(DOMAIN, tmp_path / MAILBOXES)
        address = runtime.add(moody, key)
        async with runtime:
            await runtime.accept([envelope(Key.generate(), address), envelope(Key.generate(), address)])
            await until(lambda: len(dead_letters(tmp_path)) == 2)
            moody.glad = True
            if running:
                again_and_drop()
                await until(lambda: moody.handled == 1)

    async def next_one() -> None:
        runtime = Runtime(DOMAIN, tmp_path / MAILBOXES)
        runtime.add(moody, key)
        async with runtime:
            await until(lambda: moody.handled == 1)

    def again_and_drop() -> None:
        first, second = (each.number for each in dead_letters(tmp_path))
        retry(tmp_path, first)
        drop(tmp_path, second)
        assert dead_letters(tmp_path) == []
        with pytest.raises(NotFound):
            retry(tmp_path, first)

    run(scenario())
    if not running:
        again_and_drop()
        run(next_one())
    assert (moody.handled, dead_letters(tmp_path)) == (1, [])


def test_a_letter_whose_time_is_over_is_signed_anew_and_comes(tmp_path):
    counter_key, caller_key, caller = Key.generate(), Key.generate(), Caller()

    class Sender(Agent):
        def startup(self, context: Context) -> None:
            if not context.memory.get("sent"):
                context.memory["sent"] = True
                context.send(target, Add(4), lifetime_s=1)

        @on(Total)
        def total(self, total: Total, context: Context) -> None:
            caller.told.append(total.amount)

    async def alone() -> None:
        runtime = Runtime(DOMAIN, tmp_path / MAILBOXES)
        runtime.add(Sender(), caller_key)
        async with runtime:
            await until(lambda: bool(dead_letters(tmp_path)))

    async def together() -> None:
        runtime = Runtime(DOMAIN, tmp_path / MAILBOXES)
        runtime.add(Sender(), caller_key)
        runtime.add(Counter(), counter_key)
        async with runtime:
            await until(lambda: caller.told == [4])

    target = Address(0, counter_key.address)
    run(alone())
    (dead,) = dead_letters(tmp_path)
    assert dead.outgoing
    retry(tmp_path, dead.number)
    run(together())
    assert dead_letters(tmp_path) == []
    assert Envelope.from_bytes(dead.envelope).target == target


def test_letters_that_are_none_are_not_found(tmp_path):
    assert dead_letters(tmp_path) == []
    for decide in (retry, drop, letter_of):
        with pytest.raises(NotFound):
            decide(tmp_path, 1)
