# SPDX-License-Identifier: Apache-2.0
"""Jobs by ERC-8183: created, priced, funded, handed in, and each way they end."""

from __future__ import annotations

from benchmarks.gas.stage import DOLLAR, LARGEST, Stage, digest, key
from benchmarks.gas.works import URI

HOUR = 3_600
NOBODY = "0x" + "00" * 20
BRIEF = "A map of the harbour at 1:500, as a PDF with layers. " * 4


def commissions(stage: Stage) -> None:
    """A client, a Work whose till is the provider, and four jobs."""
    works, coin, jobs = (stage.contracts[name] for name in ("Works", "Coin", "Jobs"))
    stage.send(works, "register(string)", URI)
    stage.measure(jobs, "name_till", 1)
    stage.send(coin, "mint", key("buyer").address, 100 * DOLLAR)
    stage.send(coin, "approve", jobs.address, LARGEST, sender="buyer")
    till, judge, expires = works.call("till_of", 1), key("gateway").address, stage.now() + HOUR
    short, full = (
        "createJob(address,address,uint256,string",
        "createJob(address,address,uint256,string,address)",
    )
    for note in ("first", "again"):
        stage.measure(jobs, full, till, judge, expires, BRIEF, NOBODY, sender="buyer", note=note)
    stage.measure(jobs, f"{short})", NOBODY, judge, expires, BRIEF, sender="buyer")
    stage.send(jobs, f"{short})", NOBODY, judge, expires, BRIEF, sender="buyer")
    stage.measure(jobs, "setProvider(uint256,address)", 3, till, sender="buyer")
    stage.measure(jobs, "setProvider(uint256,address,bytes)", 4, till, b"", sender="buyer")
    price, nothing = 5 * DOLLAR, b""
    for job, note in ((1, "first"), (2, "again")):
        stage.measure(
            jobs, "setBudget(uint256,uint256,bytes)", job, price, nothing, sender="buyer", note=note
        )
        stage.measure(jobs, "fund(uint256,uint256,bytes)", job, price, nothing, sender="buyer", note=note)
    stage.measure(jobs, "setBudget(uint256,uint256)", 3, price)
    stage.measure(jobs, "fund(uint256,uint256)", 3, price, sender="buyer")
    stage.send(jobs, "setBudget(uint256,uint256)", 4, price)
    stage.send(jobs, "fund(uint256,uint256)", 4, price, sender="buyer")
    stage.measure(jobs, "submit(uint256,bytes32,bytes)", 1, digest("deliverable"), nothing)
    stage.measure(jobs, "submit(uint256,bytes32)", 2, digest("deliverable"))
    stage.measure(jobs, "complete(uint256,bytes32,bytes)", 1, digest("reason"), nothing, sender="gateway")
    stage.measure(jobs, "complete(uint256,bytes32)", 2, digest("reason"), sender="gateway")
    stage.measure(jobs, "reject(uint256,bytes32,bytes)", 3, digest("reason"), nothing, sender="gateway")
    stage.send(jobs, f"{short})", till, judge, expires, BRIEF, sender="buyer")
    stage.measure(jobs, "reject(uint256,bytes32)", 5, bytes(32), sender="buyer", note="still open")
    stage.wait(HOUR)
    stage.measure(jobs, "claimRefund", 4, sender="stranger")
