# SPDX-License-Identifier: Apache-2.0
import pytest

from koinon.lending.scoring.points import Plan
from koinon.lending.scoring.report import SIMULATED
from koinon.lending.scoring.training import train
from tests.lending.scoring.made_up import made_up

PLAN = Plan(
    monotone={"debt": 1, "arrears": 1},
    actionable={"debt": -1, "arrears": -1, "income": 1, "home": 0},
    tiers=4,
)


@pytest.fixture(scope="session")
def borrowers():
    return made_up(2400)


@pytest.fixture(scope="session")
def trained(borrowers):
    return train(borrowers, PLAN, data="made-up borrowers", evidence=SIMULATED)
