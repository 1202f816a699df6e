# SPDX-License-Identifier: Apache-2.0
"""Computing on someone's data: a budget set, raised and spent; jobs ordered, delivered, sent back."""

from __future__ import annotations

from benchmarks.gas.stage import DOLLAR, LARGEST, Stage, digest, key
from benchmarks.gas.works import URI

COMPUTE = 1
HOUR = 3_600
WEEK = 604_800
RELEASED, FAILED = 1, 2


def computing(stage: Stage) -> None:
    """A dataset with a node of its own, and a buyer of three jobs."""
    works, terms, coin = (stage.contracts[name] for name in ("Works", "Terms", "Coin"))
    budget, jobs = stage.contracts["PrivacyBudget"], stage.contracts["ComputeJobs"]
    stage.send(works, "register(string)", URI)
    stage.measure(budget, "set_total", 1, 5_000_000, note="first")
    stage.measure(budget, "set_total", 1, 9_000_000, note="announced")
    stage.measure(budget, "name_operator", 1, key("gateway").address, True)
    stage.wait(WEEK)
    stage.measure(budget, "raise_total", 1)
    stage.send(terms, "give", 1, COMPUTE, key("buyer").address, 0, digest("terms"))
    stage.send(coin, "mint", key("buyer").address, 100 * DOLLAR)
    stage.send(coin, "approve", jobs.address, LARGEST, sender="buyer")
    order = (1, digest("algorithm"), digest("schema"), DOLLAR // 100, 600, stage.now() + HOUR, coin.address)
    stage.measure(jobs, "order", *order, sender="buyer", note="first")
    stage.measure(jobs, "order", *order, sender="buyer", note="again")
    stage.send(jobs, "order", *order, sender="buyer")
    for number, note in ((1, "first"), (2, "again")):
        stage.measure(budget, "spend", 1, digest(f"job {number}"), 300_000, sender="gateway", note=note)
    stage.measure(jobs, "deliver", 1, RELEASED, 60, digest("result"), sender="gateway", note="a result")
    stage.measure(jobs, "deliver", 2, FAILED, 0, bytes(32), sender="gateway", note="a failure")
    stage.wait(HOUR)
    stage.measure(jobs, "refund", 3, sender="stranger")
