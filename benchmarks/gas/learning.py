# SPDX-License-Identifier: Apache-2.0
"""A model taught by five owners: opened, joined, recorded round by round, and published at the end."""

from __future__ import annotations

from benchmarks.gas.stage import CHAIN_ID, Stage, digest, key
from benchmarks.gas.works import CARD, URI, permission
from koinon.chain import eip712
from koinon.works.shares import OWNER, ShareTable

OWNERS = 5
OWNERS_SHARE = 800_000_000
MINIMUM = 10_000_000
CONSENT = eip712.TypedStruct("Consent(uint256 runId,uint256 workId,uint64 minimumShare,uint256 deadline)")


def teaching(stage: Stage) -> None:
    """Five data sets, two rounds, one model Work whose root names the data sets' tills."""
    works, federation = stage.contracts["Works"], stage.contracts["Federation"]
    data_sets = range(1, OWNERS + 1)
    for _data_set in data_sets:
        stage.send(works, "register(string)", URI, sender="lender")
    sets = (digest("recipe"), digest("contribution set"), digest("held-out set"))
    stage.measure(federation, "open", *sets, 2, OWNERS_SHARE)
    deadline = stage.now() + 3_600
    domain = eip712.Domain("Koinon Federation", "1", CHAIN_ID, federation.address)
    joinings = [
        (
            number,
            MINIMUM,
            deadline,
            key("lender").sign(eip712.digest(domain, CONSENT.hash(1, number, MINIMUM, deadline))),
        )
        for number in data_sets
    ]
    stage.measure(federation, "join", 1, joinings, note="five owners")
    everyone = 2**OWNERS - 1
    for number, note in ((1, "first"), (2, "again")):
        record = (1, number, digest(f"updates {number}"), digest(f"model {number}"), everyone)
        stage.measure(federation, "record_round", *record, note=note)
    tills = [works.call("till_of", number) for number in data_sets]
    table = ShareTable({OWNER: 10**9 - OWNERS_SHARE, **{till: OWNERS_SHARE // OWNERS for till in tills}})
    permissions = [permission(stage, "lender", number, federation.address, MINIMUM) for number in data_sets]
    proofs = [table.proof(till) for till in tills]
    stage.measure(
        federation,
        "finish",
        *(1, URI, [CARD], 0, permissions, table.root, proofs, digest("contributions")),
        note="five owners",
    )
