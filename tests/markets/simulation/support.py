# SPDX-License-Identifier: Apache-2.0
"""Small worlds for tests."""

from __future__ import annotations

from koinon.markets.simulation.scenario import People, Scenario

FEW = People(
    noise_traders=3,
    momentum_traders=1,
    liquidity_providers=3,
    arbitrageurs=1,
    depositors=2,
    careful=1,
    ordinary=1,
    risky=1,
    fraudulent=1,
    liquidators=1,
    payers=4,
    rings=1,
    decoys=0,
)

TINY = Scenario("tiny", months=0.03, step_s=3_600, people=FEW)
"""22 steps of an hour."""
