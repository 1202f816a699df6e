# SPDX-License-Identifier: Apache-2.0
"""Other people's functions in processes of their own: whatever they do, the gateway goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from koinon.errors import BadInput, PeerError
from koinon.services.gateway.executor import Inline, Workers
from koinon.services.selling.schema import load
from koinon.services.selling.signature import InvalidInput


@asynccontextmanager
async def workers(target: str, **options: float) -> AsyncIterator[Workers]:
    pool = Workers(target, **options)  # type: ignore[arg-type]
    try:
        await pool.start()
        yield pool
    finally:
        await pool.close()


def run(target: str, use: Callable[[Workers], Awaitable[None]], **options: float) -> None:
    async def main() -> None:
        async with workers(target, **options) as pool:
            await use(pool)

    asyncio.run(main())


def test_a_call_is_answered_with_the_functions_result(app: Path) -> None:
    async def use(pool: Workers) -> None:
        assert pool.signature.name == "score"
        assert await pool.call(b'{"income": 2000}') == b"42.0"

    run(f"{app}:score", use)


def test_what_does_not_fit_is_refused_by_the_worker(app: Path) -> None:
    async def use(pool: Workers) -> None:
        with pytest.raises(InvalidInput):
            await pool.call(b'{"income": "much"}')

    run(f"{app}:score", use)


def test_a_function_that_raises_fails_its_own_call_and_keeps_its_secrets(app: Path) -> None:
    async def use(pool: Workers) -> None:
        with pytest.raises(PeerError) as failed:
            await pool.call(b'{"text": "the password"}')
        assert failed.value.code == "service.function_failed"
        assert "ValueError" in failed.value.message
        assert "password" not in str(failed.value.problem())

    run(f"{app}:fails", use)


def test_whoever_stops_waiting_for_a_start_leaves_no_process_behind(tmp_path: Path) -> None:
    app, begun = tmp_path / "slow.py", tmp_path / "begun"
    app.write_text(
        f"import os, time\nopen({str(begun)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
        "def never(x: int) -> int:\n    return x\n"
    )

    async def main() -> int:
        starting = asyncio.create_task(Workers(f"{app}:never").start())
        while not begun.exists() or not begun.read_text():
            await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        return int(begun.read_text())

    pid = asyncio.run(main())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_function_that_kills_its_process_fails_its_own_call_only(app: Path) -> None:
    async def use(pool: Workers) -> None:
        for _ in range(2):
            with pytest.raises(PeerError) as failed:
                await pool.call(b'{"code": 3}')
            assert failed.value.code == "service.worker_lost"

    run(f"{app}:dies", use)


def test_a_call_over_time_is_stopped_and_its_process_replaced(app: Path) -> None:
    async def use(pool: Workers) -> None:
        with pytest.raises(PeerError) as failed:
            await pool.call(b'{"seconds": 60}')
        assert failed.value.code == "service.timeout"
        assert await pool.call(b'{"seconds": 0}') == b"0.0"

    run(f"{app}:sleeps", use, timeout_s=1.0)


def test_what_a_function_prints_does_not_mix_with_answers(app: Path) -> None:
    async def use(pool: Workers) -> None:
        assert await pool.call(b'{"text": "x"}') == b'"x"'
        assert await pool.call(b'{"text": "y"}') == b'"y"'

    run(f"{app}:prints", use)


def test_too_many_waiting_calls_are_turned_away(app: Path) -> None:
    async def use(pool: Workers) -> None:
        calls = [asyncio.create_task(pool.call(b'{"seconds": 0.2}')) for _ in range(5)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        busy = [outcome for outcome in outcomes if isinstance(outcome, PeerError)]
        assert [error.code for error in busy] == ["service.busy"] * 2
        assert outcomes.count(b"0.2") == 3

    run(f"{app}:sleeps", use, waiting=2)


def test_several_processes_work_at_once(app: Path) -> None:
    async def use(pool: Workers) -> None:
        assert await asyncio.gather(*(pool.call(b'{"seconds": 0.1}') for _ in range(4))) == [b"0.1"] * 4

    run(f"{app}:sleeps", use, count=2)


@pytest.mark.parametrize("target", ["missing.py:f", "{app}:nothing"])
def test_what_cannot_be_loaded_says_so_at_the_start(app: Path, target: str) -> None:
    async def use(_pool: Workers) -> None:
        raise AssertionError("it started")

    with pytest.raises(BadInput) as refused:
        run(target.format(app=app), use)
    assert refused.value.code in ("service.file_missing", "service.function_missing")


def test_inline_functions_fail_in_the_same_words(app: Path) -> None:
    async def main() -> None:
        assert await Inline(load(f"{app}:score")).call(b'{"income": 1000}') == b"41.0"
        with pytest.raises(InvalidInput):
            await Inline(load(f"{app}:score")).call(b"{}")
        with pytest.raises(PeerError, match="ValueError") as failed:
            await Inline(load(f"{app}:fails")).call(b'{"text": "x"}')
        assert failed.value.code == "service.function_failed"

    asyncio.run(main())
