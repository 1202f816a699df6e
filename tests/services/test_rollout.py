# SPDX-License-Identifier: Apache-2.0
"""Staged rollout and retirement as payers meet them at a running gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from koinon.errors import KoinonError
from koinon.services.buying.client import Buyer
from koinon.services.buying.transport import Http
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.releases import Release
from tests.services.support import COIN, Hall

APP = """
import time


def first(x: float) -> float:
    return x + 1


def second(x: float) -> float:
    return x + 2


def slow(x: float) -> float:
    time.sleep(x)
    return x
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


def described(url: str) -> dict[str, Any]:
    http = Http()
    try:
        response = http.request("GET", url)
        found: dict[str, Any] = orjson.loads(response.body) if response.status == 200 else {}
        return found
    finally:
        http.close()


def test_a_share_of_the_payers_gets_the_new_version_and_stays_there(
    hall: Hall, tmp_path: Path, app: Path
) -> None:
    registry = Registry(tmp_path / "gateway")
    staged = Release(version="2", kind="function", target=f"{app}:second", share_bps=5_000)
    service = hall.service(registry, f"{app}:first", staged=staged)
    keys = [hall.account(coins=COIN) for _ in range(6)]
    while len({staged.answers(service.work_id, key.address) for key in keys}) == 1:
        keys.append(hall.account(coins=COIN))
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        url = gateway.address(service)
        assert described(url)["staged"] == {"version": "2", "share_bps": 5_000}
        for key in keys:
            with Buyer(hall.chain, key, spending_limit=COIN) as buyer:
                for _ in range(2):
                    answer = buyer.call(url, {"x": 1})
                    new = staged.answers(service.work_id, key.address)
                    assert (answer.result, answer.evidence["version"]) == ((3, "2") if new else (2, "1"))
        registry.change(
            service.work_id, lambda found: replace(found, target=f"{app}:second", version="2", staged=None)
        )
        until(lambda: described(url).get("version") == "2", "the promoted version is served")
        with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
            assert buyer.call(url, {"x": 1}).result == 3


def test_a_release_that_cannot_be_loaded_is_left_out(hall: Hall, tmp_path: Path, app: Path) -> None:
    registry = Registry(tmp_path / "gateway")
    staged = Release(version="2", kind="function", target=f"{app}:missing", share_bps=10_000)
    service = hall.service(registry, f"{app}:first", staged=staged)
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as buyer:
            answer = buyer.call(gateway.address(service), {"x": 1})
        assert (answer.result, answer.evidence["version"]) == (2, "1")
        assert "Version 2 is left out" in described(f"{gateway.url}/health")["faults"][str(service.work_id)]


def test_a_retired_service_ends_its_calls_names_its_successor_and_pays_back(
    hall: Hall, tmp_path: Path, app: Path
) -> None:
    registry = Registry(tmp_path / "gateway")
    service = hall.service(registry, f"{app}:slow")
    account = hall.account(coins=COIN)
    with (
        hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway,
        Buyer(hall.chain, account, spending_limit=COIN) as buyer,
    ):
        url = gateway.address(service)
        assert buyer.call(url, {"x": 0}).result == 0
        late: list[Any] = []
        caller = threading.Thread(target=lambda: late.append(buyer.call(url, {"x": 3}).result))
        caller.start()
        retire(registry, service)
        until(lambda: described(url).get("retired"), "the gateway sees that it is retired")
        assert described(url)["replaced_by"] == "eip155:1:0x1/9"
        caller.join(60)
        assert late == [3], "a call that ran was answered"
        with Buyer(hall.chain, hall.account(coins=COIN), spending_limit=COIN) as other:
            with pytest.raises(KoinonError) as refused:
                other.call(url, {"x": 0})
            assert "not sold any more" in refused.value.message or "eip155:1:0x1/9" in refused.value.hint
        before = hall.coins(account.address)
        buyer.refund(url)
        assert hall.coins(account.address) > before
    assert hall.coins(service.till) == 2_000


def retire(registry: Registry, service: Service) -> None:
    registry.change(service.work_id, lambda found: replace(found, retired=True, replaced_by="eip155:1:0x1/9"))


def until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)
