# SPDX-License-Identifier: Apache-2.0
"""A small dataset to sell in tests, and the file that says on what terms."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import BubblewrapSandbox, Sandbox
from koinon.data.budget import PrivacyBudget
from koinon.data.escrow import ComputeJobs
from koinon.data.job_admission import Admission
from koinon.data.job_client import JobClient
from koinon.data.job_desk import JobDesk
from koinon.data.job_journal import JobJournal
from koinon.data.job_orders import JobOrders, JobReview
from koinon.data.job_runner import JobRunner
from koinon.data.jobs import Asked, Bundle
from koinon.data.order_folder import JobOrder
from koinon.data.policy_file import read_policy
from koinon.data.publishing import kept_dataset, publish_dataset
from koinon.errors import KoinonError
from koinon.store import BlockStore
from koinon.tables import Table
from koinon.works.terms import Terms

COIN = 10**6
ROWS = 400
POLICY = """
name = "Loans of a regional bank"
summary = "Who paid back, by income and age."
data = "Made up."
limits = ["Nothing of it is true."]
contest = "data@bank.example"
epsilon_total = 10.0
statistics_epsilon = 1.0
sample = "synthetic"

[columns.age]
bounds = [18, 98]
bins = 8

[columns.label]
bounds = [0, 1]
bins = 2

[compute]
price = "5"
period_days = 30
price_per_second = "0.01"
max_seconds = 20

[train]
price = "7"

[gate]
epsilon_per_job = 2.0
slot_s = 0.5

[node]
max_blocks = 16
"""


def table(rows: int = ROWS, seed: int = 7) -> Table:
    """``income``, ``age`` and whether they paid back."""
    generator = np.random.default_rng(seed)
    income = generator.lognormal(10, 0.5, rows)
    age = generator.integers(18, 98, rows)
    labels = (generator.uniform(size=rows) < 0.2 + 0.5 * (age > 50)).astype(np.int64)
    return Table(np.column_stack([income, age]).astype(np.float32), labels, ("income", "age"))


MEAN_AGE = """
import json, sys
import numpy as np

stored = np.load(f"{sys.argv[1]}/table.npz")
ages = stored["features"][:, list(stored["columns"]).index("age")]
with open(f"{sys.argv[2]}/result.json", "w") as file:
    json.dump({"mean_age": float(ages.mean())}, file)
"""
MEAN_SCHEMA = """
[mean_age]
kind = "scalar"
bounds = [18, 98]
sensitivity = 1.0
epsilon = 1.0
"""
VERDICT_SCHEMA = """
[verdict]
kind = "choice"
options = ["yes", "no"]
"""


def verdict(body: str) -> str:
    """A program that says yes after it did ``body``; how it ends is told, for its output has no noise."""
    said = 'open(sys.argv[2] + "/result.json", "w").write(\'{"verdict": "yes"}\')'
    return f"import sys, time, os\nimport numpy as np\n{body}\n{said}\n"


class DeskClient(JobClient):
    """Talks to a desk in this process instead of over a wire, in the wire's words."""

    def __init__(self, url: str, desk: JobDesk) -> None:
        super().__init__(url)
        self.desk = desk

    def _send(self, method: str, path: str, fields: dict[str, Any] | None) -> tuple[int, bytes]:
        body = None if fields is None else orjson.loads(orjson.dumps(fields))
        _, kind, *rest = path.split("/")
        try:
            if method == "POST":
                answer: Any = self.desk.check(body) if kind == "checks" else self.desk.submit(body)
            elif kind == "compute":
                answer = self.desk.about()
            else:
                found = self.desk.result if rest[1:] else self.desk.state
                answer = found(int(rest[0]))
        except KoinonError as error:
            return error.http_status, orjson.dumps(error.problem())
        return 200, answer if isinstance(answer, bytes) else orjson.dumps(answer)


@dataclass
class Market:
    """An owner with a dataset and its node, on a chain; buyers who come with coins."""

    chain: Chain
    folder: Path
    new_account: Callable[..., Key]
    policy: str = POLICY
    sandbox: Sandbox = field(default_factory=BubblewrapSandbox)
    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.owner = self.new_account()
        self.store = BlockStore(self.folder / "store")
        self.kept = publish_dataset(
            self.chain,
            self.store,
            self.owner,
            self.folder / "datasets",
            table(),
            read_policy(self.policy),
        )
        self.work_id = self.kept.work_id
        self.jobs, self.budget = ComputeJobs(self.chain), PrivacyBudget(self.chain)
        self.terms = Terms(self.chain)
        self.start()

    def start(self) -> None:
        """The node's process, after a crash as well: nothing but files is taken over."""
        self.journal = JobJournal(self.folder / "jobs.sqlite")
        kept = {self.work_id: kept_dataset(self.folder / "datasets", self.work_id)}
        admission = Admission(self.chain, self.owner.address, kept, self.journal, self.sandbox)
        self.desk = JobDesk(self.chain, admission, self.journal, clock=lambda: self.now)
        self.runner = JobRunner(self.chain, self.owner, admission, self.journal, clock=lambda: self.now)

    def crash(self) -> None:
        """The process is gone; the next one finds the files."""
        self.journal.close()
        self.start()

    def buyer(self, coins: int = 100 * COIN) -> Buyer:
        key = self.new_account()
        self.chain.sender(key).send(self.chain.coin.transaction("mint", key.address, coins))
        folder = self.folder / f"orders-{key.address}"
        connect = lambda url: DeskClient(url, self.desk)  # noqa: E731
        return Buyer(self, key, JobOrders(self.chain, folder, connect=connect))

    def coins(self, account: str) -> int:
        return int(self.chain.coin.call("balanceOf", account))

    @property
    def till(self) -> int:
        """What lies in the dataset's till."""
        return self.coins(str(self.chain.contract("Works").call("till_of", self.work_id)))

    def pass_time(self, seconds: float) -> None:
        """For slots."""
        self.now += seconds

    def work(self) -> None:
        """Run everything there is and tell it at its time."""
        while self.runner.run_next() or self.journal.due(self.now + 3600):
            self.pass_time(60)
            self.runner.tell_due()


@dataclass
class Buyer:
    """Somebody with coins."""

    market: Market
    key: Key
    orders: JobOrders

    @property
    def coins(self) -> int:
        return self.market.coins(self.key.address)

    def asked(
        self, program: str = MEAN_AGE, schema: str = MEAN_SCHEMA, *, blocks: int = 1, seconds: int = 5
    ) -> Asked:
        bundle = Bundle({"main.py": program.encode()})
        return Asked(self.market.work_id, self.key.address, bundle, schema, blocks, seconds)

    def review(self, *arguments: Any, **options: Any) -> JobReview:
        return self.orders.review("http://node.example", self.asked(*arguments, **options))

    def buy(self, *arguments: Any, **options: Any) -> JobOrder:
        return self.orders.buy(self.key, self.review(*arguments, **options))
