# SPDX-License-Identifier: Apache-2.0
"""What a compute job takes of its node beside the buyer's program: taking it, running it through sandbox and
gate, telling it on chain. The peer is the same program in the same sandbox, with nothing around it.

On a devnet of its own, 1,600 rows, one program that computes a mean; slots are passed by the clock of the
benchmark.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.compute.sandbox import BubblewrapSandbox, Limits
from koinon.data.escrow import ComputeJobs, JobState
from koinon.data.job_admission import Admission
from koinon.data.job_desk import JobDesk
from koinon.data.job_journal import JobJournal
from koinon.data.job_runner import JobRunner
from koinon.data.jobs import Bundle, JobRequest, job_domain
from koinon.data.policy_file import read_policy
from koinon.data.publishing import TABLE, KeptDataset, publish_dataset
from koinon.data.sealed_box import BoxKey
from koinon.store import BlockStore
from koinon.tables import Table
from koinon.works.terms import Terms, Use, text_digest

JOBS: Final = 15
TARGET_MS: Final = 500.0
POLICY: Final = """
name = "Rows to measure with"
summary = "Made up."
data = "Made up."
limits = ["Nothing of it is true."]
contest = "Nobody."
epsilon_total = 1000.0
[compute]
price_per_second = "0.01"
max_seconds = 60
[node]
max_blocks = 16
"""
PROGRAM: Final = b"""
import json, sys
import numpy as np
mean = float(np.load(f"{sys.argv[1]}/table.npz")["features"].mean())
with open(f"{sys.argv[2]}/result.json", "w") as file:
    json.dump({"mean": mean}, file)
"""
SCHEMA: Final = '[mean]\nkind = "scalar"\nbounds = [0, 1]\nsensitivity = 1\nepsilon = 1\n'


def run() -> Iterator[dict[str, Any]]:
    """The figures."""
    with tempfile.TemporaryDirectory() as folder, Devnet(Path(folder) / "devnet") as devnet:
        owner, buyer = devnet.key(0), devnet.key(1)
        with Rpc(devnet.rpc_url) as rpc:
            network = deploy(rpc, Sender(rpc, owner, chain_id=devnet.chain_id))
        with Chain.open(network) as chain:
            rows = np.random.default_rng(1).random((1600, 8), dtype=np.float32)
            table = Table(rows, (rows[:, 0] > 0.5).astype(np.int64), tuple("abcdefgh"))
            store, place = BlockStore(Path(folder) / "store"), Path(folder) / "datasets"
            kept = publish_dataset(chain, store, owner, place, table, read_policy(POLICY))
            yield from _measured(chain, owner, buyer, kept, Path(folder))


def _measured(
    chain: Chain, owner: Key, buyer: Key, kept: KeptDataset, folder: Path
) -> Iterator[dict[str, Any]]:
    sandbox, bundle, now = BubblewrapSandbox(), Bundle({"main.py": PROGRAM}), [time.time()]
    Terms(chain).give(
        owner, kept.work_id, Use.COMPUTE, buyer.address, terms_digest=text_digest("To measure.")
    )
    mint = chain.coin.transaction("mint", buyer.address, 10**9)
    chain.sender(buyer).send(mint)
    journal = JobJournal(folder / "jobs.sqlite")
    admission = Admission(chain, owner.address, {kept.work_id: kept}, journal, sandbox)
    desk = JobDesk(chain, admission, journal, clock=lambda: now[0])
    runner = JobRunner(chain, owner, admission, journal, clock=lambda: now[0])
    (folder / "program").mkdir()
    program = bundle.write(folder / "program")
    took: dict[str, list[float]] = {"take": [], "run": [], "tell": [], "bare": []}
    for _ in range(JOBS):
        fields = _handed_in(chain, buyer, kept.work_id, bundle)
        took["take"].append(_milliseconds(lambda: desk.submit(fields)))  # noqa: B023  (called at once)
        took["run"].append(_milliseconds(runner.run_next))
        now[0] += 600
        took["tell"].append(_milliseconds(runner.tell_due))
        took["bare"].append(
            _milliseconds(lambda: sandbox.run(program, {TABLE: kept.folder / TABLE}, Limits()))
        )
    if any(job.state is not JobState.RELEASED for job in ComputeJobs(chain).jobs_of(kept.work_id)):
        raise RuntimeError("a job was not released")
    journal.close()
    median = {name: statistics.median(each) for name, each in took.items()}
    whole = median["take"] + median["run"] + median["tell"]
    over = whole - median["bare"]
    yield {
        "name": "jobs.node_ms",
        "ours": round(over, 1),
        "peer": round(median["bare"], 1),
        "ratio": round(whole / median["bare"], 2),
        "unit": "ms of a job beside its program (peer: the program in the sandbox): "
        + ", ".join(f"{name} {median[name]:.0f}" for name in ("take", "run", "tell")),
        "target": TARGET_MS,
        "ok": over <= TARGET_MS,
    }


def _handed_in(chain: Chain, buyer: Key, work_id: int, bundle: Bundle) -> dict[str, Any]:
    """What a buyer sends for a job that was just ordered."""
    jobs = ComputeJobs(chain)
    declared = hashlib.sha256(SCHEMA.encode()).digest()
    job_id = jobs.order(
        buyer,
        work_id,
        algorithm=bundle.digest,
        schema=declared,
        price_per_second=10_000,
        max_seconds=30,
        deadline=chain.timestamp() + 86_400,
    )
    request = JobRequest(
        job_id, work_id, buyer.address, bundle.digest, declared, 1, BoxKey.generate().public
    ).sign(buyer, job_domain(chain.chain_id, jobs.contract.address))
    return {"request": request.to_fields(), "schema": SCHEMA, "program": bundle.to_fields()}


def _milliseconds(action: Any) -> float:
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)
