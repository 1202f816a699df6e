# SPDX-License-Identifier: Apache-2.0
"""Versions of a published service, and what its signed file says of it from step to step."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from koinon.errors import BadInput, NotFound, UsageError
from koinon.services.api import Services
from koinon.services.gateway.limits import Limits
from koinon.services.gateway.registry import Registry, Service
from koinon.services.selling.announcement import TOPIC, announce, read_announcement
from koinon.services.selling.promises import Promises
from koinon.services.selling.publication import plain_card
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.registration import Registration
from tests.services.support import Hall

FRIEND = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
APP = """
def score(x: float) -> float:
    return x + 1


def better(x: float, y: float = 0) -> float:
    return x + y + 2


def other(text: str) -> str:
    return text
"""
CARD = plain_card("A test.", FRIEND)
PROMISES = Promises(
    limits=Limits(calls_per_minute=60, body_bytes=1000),
    comparison="tolerance:1e-9",
    supported_trust=("reputation", "crypto-economic"),
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture
def services(hall: Hall, tmp_path: Path) -> Services:
    return Services(hall.chain, BlockStore(tmp_path / "blocks"), tmp_path / "gateway", hall.publisher)


def file_of(services: Services, work_id: int) -> Registration:
    works = Works(services.chain, BlockStore(services.data_dir.parent / "blocks"))
    return works.registration_of(work_id).registration


def test_a_signed_file_says_what_a_service_promises(services: Services, app: Path) -> None:
    listing = services.publish(f"{app}:score", "0.001", promises=PROMISES, timeout_s=5)
    file = file_of(services, listing.work_id)
    said = read_announcement(file)
    assert said is not None
    assert (said.amount, said.unit, said.version, said.timeout_s) == (1000, "call", "1", 5)
    assert (said.limits, said.comparison) == (PROMISES.limits, "tolerance:1e-9")
    assert said.schema is not None
    assert said.schema.input_schema["required"] == ["x"]
    assert file.supported_trust == ("reputation", "crypto-economic")
    assert {service.name for service in file.services} == {"web", "x402", "MCP", "A2A"}


def test_a_version_is_staged_tried_promoted_and_the_work_stays_the_same(
    services: Services, app: Path
) -> None:
    first = services.publish(f"{app}:score", "0.001")
    staged = services.publish(f"{app}:better", "0.001", version_of=first.work_id)
    assert (staged.work_id, staged.till) == (first.work_id, first.till)
    with pytest.raises(UsageError):
        services.publish(f"{app}:better", "0.001", version_of=first.work_id)
    found = services.versions.roll_out(first.work_id, Fraction(1, 10))
    assert found.staged is not None
    assert (found.staged.version, found.staged.share_bps, found.version) == ("2", 1_000, "1")
    for share in (Fraction(-1, 10), Fraction(11, 10)):
        with pytest.raises(BadInput):
            services.versions.roll_out(first.work_id, share)
    promoted = services.versions.promote(first.work_id)
    assert (promoted.version, promoted.staged) == ("2", None)
    assert promoted.target.endswith(":better")
    file = file_of(services, first.work_id)
    said = read_announcement(file)
    assert said is not None
    assert said.version == "2"
    assert [agent for agent, _registry in file.registrations] == [first.work_id]
    assert file.services[0].endpoint.endswith(f"/services/{first.work_id}")
    with pytest.raises(NotFound):
        services.versions.promote(first.work_id)


def test_a_version_is_dropped_and_nothing_else_changes(services: Services, app: Path) -> None:
    first = services.publish(f"{app}:score", "0.001")
    before = Registry(services.data_dir).get(first.work_id)
    services.publish(f"{app}:better", "0.001", version_of=first.work_id, version="2-beta")
    assert services.versions.roll_back(first.work_id) == before
    for change in (services.versions.roll_back, services.versions.promote):
        with pytest.raises(NotFound):
            change(first.work_id)


def test_a_version_that_would_break_its_callers_is_refused(services: Services, app: Path) -> None:
    first = services.publish(f"{app}:better", "0.001")
    for target in ("other", "score"):
        with pytest.raises(BadInput) as refused:
            services.publish(f"{app}:{target}", "0.001", version_of=first.work_id)
        assert refused.value.code == "service.version_schema"
    with pytest.raises(BadInput):
        services.publish(f"{app}:better", "0.001", version_of=first.work_id, version="1")
    with pytest.raises(NotFound):
        services.publish(f"{app}:better", "0.001", version_of=999_999)


def test_new_shares_are_a_new_work_with_the_old_one_as_its_parent(
    hall: Hall, services: Services, app: Path
) -> None:
    first = services.publish(f"{app}:score", "0.001")
    newer = services.publish(
        f"{app}:better", "0.002", version_of=first.work_id, shares={FRIEND: Fraction(2, 5)}
    )
    assert newer.work_id != first.work_id
    assert newer.shares[FRIEND] == 400_000_000
    works = Works(hall.chain, BlockStore(services.data_dir.parent / "blocks"))
    assert [parent for parent, _share in works.parents_of(newer.work_id)] == [first.work_id]
    said = read_announcement(file_of(services, newer.work_id))
    assert said is not None
    assert said.version == "2"
    old = Registry(services.data_dir).get(first.work_id)
    assert old.replaced_by.endswith(f"/{newer.work_id}")
    assert not old.retired


def test_a_retired_service_says_so_in_its_file(services: Services, app: Path) -> None:
    listing = services.publish(f"{app}:score", "0.001")
    services.versions.retire(listing.work_id, "eip155:1:0x1/9")
    file = file_of(services, listing.work_id)
    said = read_announcement(file)
    assert said is not None
    assert (file.active, said.replaced_by) == (False, "eip155:1:0x1/9")
    with pytest.raises(UsageError):
        services.publish(f"{app}:better", "0.001", version_of=listing.work_id)


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {}},
        {"limits": {"timeout_s": "soon"}},
        {"price": {"amount": "-1", "asset": "0x", "unit": "call"}},
        {"price": {"amount": 1.5, "asset": "0x", "unit": "call"}},
        {"price": None},
        {"version": "no version"},
        {"comparison": "about"},
        {"schema": {"name": "x"}},
    ],
)
def test_an_announcement_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    draft = Service(0, "s", "d", "", 1000, "function", "app:score")
    about = {TOPIC: {**announce(draft, "0x1"), **change}}
    registration = Registration("s", "d", CARD, about=about)
    with pytest.raises(BadInput):
        read_announcement(registration)
    assert read_announcement(replace(registration, about={})) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"comparison": "about"},
        {"supported_trust": ("hope",)},
        {"supported_trust": ()},
        {"unit": "two words"},
        {"most_units": 5},
        {"unit": "token", "most_units": 0},
        {"free_calls": 3, "free_in_all": 2},
        {"free_calls": -1},
    ],
)
def test_what_cannot_be_promised_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Promises(**fields)
