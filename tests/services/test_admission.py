# SPDX-License-Identifier: Apache-2.0
"""Queues with an end, and rates that nobody can use up for another."""

from __future__ import annotations

import asyncio

import pytest

from koinon.services.gateway.admission import Admission, Busy, TooOften


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def hold(admission: Admission, payer: str, until: asyncio.Event) -> None:
    async with admission.enter(payer):
        await until.wait()


def test_calls_beyond_the_queue_are_sent_away_with_a_time_to_come_back() -> None:
    async def story() -> None:
        admission = Admission(at_once=2, waiting=1, wait_s=60)
        end = asyncio.Event()
        running = [asyncio.create_task(hold(admission, "a", end)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Busy) as busy:
            await hold(admission, "b", end)
        assert busy.value.http_status == 503
        assert busy.value.retry_after_s > 0
        assert admission.running == 2
        end.set()
        await asyncio.gather(*running)
        assert admission.running == 0

    asyncio.run(story())


def test_who_waits_too_long_or_leaves_takes_nobodys_turn() -> None:
    async def story() -> None:
        admission = Admission(at_once=1, waiting=5, wait_s=0.01)
        end = asyncio.Event()
        first = asyncio.create_task(hold(admission, "a", end))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await hold(admission, "b", end)
        leaving = asyncio.create_task(hold(admission, "c", end))
        await asyncio.sleep(0)
        leaving.cancel()
        end.set()
        await asyncio.gather(first, leaving, return_exceptions=True)
        await hold(admission, "d", end)
        assert admission.running == 0

    asyncio.run(story())


def test_one_payer_cannot_hold_every_place() -> None:
    async def story() -> None:
        admission = Admission(at_once=4, of_one_payer=2)
        end = asyncio.Event()
        greedy = [asyncio.create_task(hold(admission, "a", end)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await hold(admission, "a", end)
        end.set()
        await hold(admission, "b", end)
        await asyncio.gather(*greedy)

    asyncio.run(story())


def test_a_rate_is_each_payers_own_and_comes_back_with_time() -> None:
    async def story() -> None:
        clock = Clock()
        admission = Admission(calls_per_minute=120, clock=clock)
        end = asyncio.Event()
        end.set()
        for _ in range(2):
            await hold(admission, "a", end)
        with pytest.raises(TooOften) as often:
            await hold(admission, "a", end)
        assert often.value.http_status == 429
        await hold(admission, "b", end)
        clock.now += 0.5
        await hold(admission, "a", end)
        clock.now -= 100
        with pytest.raises(TooOften):
            await hold(admission, "a", end)

    asyncio.run(story())
