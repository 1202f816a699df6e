# SPDX-License-Identifier: Apache-2.0
"""What may be promised of answers, and what a promise forbids while it stands."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox
from koinon.errors import BadInput, SetupError, UsageError
from koinon.services.api import Services
from koinon.services.gateway.offer import open_pledge
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Registry
from koinon.services.verification.checking import BondPlan
from koinon.store import BlockStore

APP = """
from collections.abc import Iterator


def score(x: float) -> float:
    return x + 1


def better(x: float) -> float:
    return x + 2


def many(x: float) -> Iterator[float]:
    yield x
"""
PLAN = BondPlan(10**6, 0.5, 600, "http://127.0.0.1:8403")


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture
def provider(chain: Chain, new_account: Callable[..., Key]) -> Key:
    key = new_account()
    chain.sender(key).send(chain.coin.transaction("mint", key.address, 2 * PLAN.stake))
    return key


@pytest.fixture
def services(chain: Chain, provider: Key, tmp_path: Path) -> Services:
    return Services(chain, BlockStore(tmp_path / "blocks"), tmp_path / "gateway", provider)


def test_a_stream_and_a_staged_version_are_refused_a_bond(services: Services, app: Path) -> None:
    stream = services.publish(f"{app}:many", "0.001")
    with pytest.raises(BadInput) as refused:
        services.bond(stream.work_id, PLAN)
    assert refused.value.code == "verification.streams"
    listing = services.publish(f"{app}:score", "0.001")
    services.publish(f"{app}:better", "0.001", version_of=listing.work_id)
    with pytest.raises(BadInput) as refused:
        services.bond(listing.work_id, PLAN)
    assert refused.value.code == "verification.staged"


def test_a_bond_is_about_one_version_and_no_other_is_signed(
    chain: Chain, provider: Key, services: Services, app: Path
) -> None:
    listing = services.publish(f"{app}:score", "0.001")
    services.bond(listing.work_id, PLAN)
    assert services.verdicts(listing.work_id) == []
    registry, onchain = Registry(services.data_dir), OnChain(chain, provider)
    pledge = open_pledge(services.data_dir, registry.get(listing.work_id), onchain)
    assert pledge is not None
    pledge.close()
    services.publish(f"{app}:better", "0.001", version_of=listing.work_id)
    with pytest.raises(UsageError) as refused:
        services.versions.roll_out(listing.work_id, Fraction(1, 10))
    assert refused.value.code == "verification.staged"
    services.versions.roll_out(listing.work_id, Fraction(0))
    services.versions.promote(listing.work_id)
    assert open_pledge(services.data_dir, registry.get(listing.work_id), onchain) is None
    services.bond(listing.work_id, PLAN)
    again = open_pledge(services.data_dir, registry.get(listing.work_id), onchain)
    assert again is not None
    again.close()
