# SPDX-License-Identifier: Apache-2.0
"""Which jobs a dataset's node takes, decided before anything runs and from nothing in the data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from koinon.chain.handle import Chain
from koinon.compute.sandbox import BubblewrapSandbox, Sandbox
from koinon.compute.sandbox.lockfile import check_lock, read_lock
from koinon.data.budget import MILLION, PrivacyBudget, micro
from koinon.data.escrow import ComputeJobs
from koinon.data.gate import ResultSchema, admit, holds_for_every_program
from koinon.data.job_journal import JobJournal
from koinon.data.jobs import Asked, Quote
from koinon.data.noise_bounds import noise_bounds
from koinon.data.policy_file import DatasetPolicy, units
from koinon.data.publishing import KeptDataset
from koinon.errors import BadInput, NotFound, PaymentError, SetupError

MARGIN_S: Final = 120
"""What deciding and telling may take beside the run and its slot."""


class Admission:
    """The rules of one node's datasets.

    Parameters
    ----------
    chain : Chain
    operator : str
        The account that spends of budgets and ends jobs.
    datasets : mapping of int to KeptDataset
    journal : JobJournal
    sandbox : Sandbox
    """

    def __init__(
        self,
        chain: Chain,
        operator: str,
        datasets: Mapping[int, KeptDataset],
        journal: JobJournal,
        sandbox: Sandbox,
    ) -> None:
        self.datasets, self.sandbox, self.operator = datasets, sandbox, operator
        self._journal = journal
        self._budget, self._jobs = PrivacyBudget(chain), ComputeJobs(chain)
        self._decimals = int(chain.coin.call("decimals"))

    def dataset(self, work_id: int) -> KeptDataset:
        """A dataset that may be computed on here; NotFound."""
        found = self.datasets.get(work_id)
        if found is None or found.policy.compute is None:
            raise NotFound(
                f"Nobody computes on Work {work_id} here.",
                hint="See GET /compute.",
                code="data.not_served",
            )
        return found

    def price(self, work_id: int) -> int:
        """Of a second, in the coin's smallest unit."""
        compute = self.dataset(work_id).policy.compute
        assert compute is not None  # noqa: S101  (`dataset` sees to it)
        return units(compute.price_per_second, self._decimals)

    def check(self, asked: Asked) -> Quote:
        """Everything but the grant and the money.

        Raises
        ------
        BadInput, Refused
            The program, its declaration or its time are not what the owner allows.
        PaymentError
            The privacy budget does not allow it, or too many of the buyer's jobs failed.
        SetupError
            The host cannot isolate programs, lacks packages, or may not act for the dataset.
        """
        policy = self.dataset(asked.work_id).policy
        self.sandbox.check()
        if not self._budget.may_act(asked.work_id, self.operator):
            raise SetupError(
                f"This node may not act for Work {asked.work_id}.",
                hint="Its owner names the node's account first.",
                code="data.not_operator",
            )
        schema = asked.schema()
        self._check_program(asked, policy)
        admit(schema, policy.gate, self.dataset(asked.work_id).table.columns)
        _check_shape(asked, schema, policy)
        if self._journal.failures(asked.work_id, asked.buyer) >= policy.failures:
            raise PaymentError(
                f"{policy.failures} jobs of {asked.buyer} on Work {asked.work_id} ended without a result.",
                hint="The owner takes no more of them: each tells a little of the data.",
                code="data.too_many_failures",
            )
        epsilon = spent_for(schema, policy)
        left = self._budget.of(asked.work_id).left - self._journal.reserved(asked.work_id)
        if micro(epsilon) > left:
            raise PaymentError(
                f"The privacy budget of Work {asked.work_id} has epsilon {max(0, left) / MILLION:g} left; "
                f"this job spends {epsilon:g}.",
                hint="Declare fewer outputs or a smaller epsilon.",
                code="data.budget_exhausted",
            )
        waiting = self._journal.waiting()
        each = asked.max_seconds + 2 * policy.gate.slot_s + MARGIN_S
        return Quote(
            self.price(asked.work_id),
            asked.max_seconds,
            epsilon,
            int((waiting + 1) * each) + 1,
            waiting,
            holds_for_every_program(schema, policy.gate),
            self._jobs.may_compute(asked.work_id, asked.buyer),
            noise_bounds(schema, policy.gate, asked.blocks),
        )

    def _check_program(self, asked: Asked, policy: DatasetPolicy) -> None:
        compute = policy.compute
        assert compute is not None  # noqa: S101  (`dataset` sees to it)
        if compute.algorithms and asked.program.digest.hex() not in compute.algorithms:
            raise BadInput(
                f"The owner of Work {asked.work_id} does not allow the program {asked.program.digest.hex()}.",
                hint="The terms list the digests of those that may run; ask the owner to read yours.",
                code="data.algorithm_not_allowed",
            )
        if not 1 <= asked.max_seconds <= compute.max_seconds:
            raise BadInput(
                f"A program may run {compute.max_seconds} s here, not {asked.max_seconds}.",
                hint="Ask for fewer seconds.",
                code="data.max_seconds",
            )
        with tempfile.TemporaryDirectory(prefix="koinon-check-") as folder:
            lock = asked.program.write(Path(folder)).lock
            if lock is not None and isinstance(self.sandbox, BubblewrapSandbox):
                check_lock(read_lock(lock), self.sandbox.environment.installed)


def spent_for(schema: ResultSchema, policy: DatasetPolicy) -> float:
    """The epsilon that a job spends however it ends: where an outcome can tell of the data, so much more."""
    if holds_for_every_program(schema, policy.gate):
        return schema.epsilon
    return max(schema.epsilon, policy.least_epsilon)


def _check_shape(asked: Asked, schema: ResultSchema, policy: DatasetPolicy) -> None:
    if not 1 <= asked.blocks <= policy.max_blocks:
        raise BadInput(
            f"Programs run on 1 to {policy.max_blocks} blocks of rows here, not {asked.blocks}.",
            hint="Ask for fewer blocks.",
            code="data.blocks",
        )
    if asked.blocks > 1 and any(output.kind in ("table", "choice") for output in schema.outputs):
        raise BadInput(
            "Tables and choices of several blocks cannot be averaged.",
            hint="Ask for one block, or declare numbers only.",
            code="data.blocks",
        )
