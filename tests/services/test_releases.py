# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput, NotFound
from koinon.services.gateway.limits import LARGEST_ANSWER, Limits
from koinon.services.gateway.registry import Registry, Service
from koinon.services.gateway.releases import Release, Retired, next_version

PAYERS = [f"0x{number:040x}" for number in range(4_000)]


def service(**fields: Any) -> Service:
    whole: dict[str, Any] = {"work_id": 7, "name": "s", "description": "d", "till": "0x", "price": 1}
    return Service(**(whole | {"kind": "function", "target": "app:score"} | fields))


def release(**fields: Any) -> Release:
    return Release(**({"version": "2", "kind": "function", "target": "app:score2"} | fields))


def test_a_share_of_the_payers_is_that_share() -> None:
    for share in (0, 1_000, 5_000, 10_000):
        taken = sum(release(share_bps=share).answers(7, payer) for payer in PAYERS)
        assert taken == pytest.approx(len(PAYERS) * share / 10_000, abs=120)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from(PAYERS))
def test_a_payer_stays_while_the_share_grows(one: int, other: int, payer: str) -> None:
    less, more = sorted((one, other))
    assert release(share_bps=more).answers(7, payer) or not release(share_bps=less).answers(7, payer)
    assert release(share_bps=one).answers(7, payer) == release(share_bps=one).answers(7, payer.upper())


def test_other_versions_try_other_payers() -> None:
    one, other = release(share_bps=1_000), release(version="3", share_bps=1_000)
    both = [payer for payer in PAYERS if one.answers(7, payer) and other.answers(7, payer)]
    assert len(both) < 100


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"version": ""}, "service.version"),
        ({"version": "two and more"}, "service.version"),
        ({"share_bps": 10_001}, "service.rollout_share"),
        ({"share_bps": True}, "service.rollout_share"),
    ],
)
def test_what_is_no_release_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(BadInput) as refused:
        release(**fields)
    assert refused.value.code == code


@pytest.mark.parametrize("data", [None, [], {"version": "2"}, {"version": "2", "colour": 1}])
def test_a_release_that_is_none_is_refused(data: Any) -> None:
    with pytest.raises(BadInput):
        Release.from_dict(data)


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("1.9", "1.10"), ("v1", "v2"), ("beta", "beta.1")])
def test_the_next_version(before: str, after: str) -> None:
    assert next_version(before) == after


def test_a_registry_keeps_releases_limits_and_rules(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    kept = service(
        staged=release(share_bps=500),
        limits=Limits(calls_per_minute=60, body_bytes=1000),
        comparison="quantised:0.01",
        supported_trust=("reputation", "crypto-economic"),
        retired=True,
        replaced_by="eip155:1:0x/8",
    )
    registry.add(kept)
    assert registry.get(7) == kept
    with pytest.raises(NotFound):
        registry.change(8, lambda found: found)


@pytest.mark.parametrize(
    "limits",
    [{"calls_per_minute": -1}, {"body_bytes": 0}, {"answer_bytes": LARGEST_ANSWER + 1}, {"body_bytes": 1.5}],
)
def test_limits_have_bounds(limits: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refused:
        Limits(**limits)
    assert refused.value.code == "service.limit"
    with pytest.raises(BadInput):
        Limits.from_json(limits)


def test_a_retired_service_says_what_replaces_it() -> None:
    problem = Retired("score", "eip155:1:0x/8").problem()
    assert (problem["status"], problem["replaced_by"]) == (410, "eip155:1:0x/8")
    assert "replaced_by" not in Retired("score", "").problem()
