# SPDX-License-Identifier: Apache-2.0
"""A run led from this process: opened on chain, taught over the network, measured, ready to publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from koinon.chain.eip712 import Domain, digest
from koinon.chain.handle import Chain
from koinon.chain.keys import Key, verify, write_private
from koinon.errors import BadInput, IntegrityError, KoinonError
from koinon.learning.evidence import Evidence, RoundEvidence, measure
from koinon.learning.findings import find
from koinon.learning.gauge import Gauge
from koinon.learning.interrupted import Underway
from koinon.learning.leader import AloneReceived, Full, Joined, Leader, RoundClosed
from koinon.learning.leaving import History
from koinon.learning.ledger import Ledger
from koinon.learning.messages import (
    CONSENT,
    PARENT_PERMISSION,
    Joining,
    federation_domain,
    works_domain,
)
from koinon.learning.outcome import Outcome, OwnerOutcome, score_all
from koinon.learning.privacy.spending import Spent, spent_by
from koinon.learning.progress import ProgressLog
from koinon.learning.recipe import Recipe
from koinon.learning.told import OUTCOME
from koinon.learning.traffic import Meter
from koinon.learning.trained import TrainedModel
from koinon.tables import Table, check_trainable

Progress = Callable[[dict[str, Any]], None]
UNRECORDED = "unrecorded"
"""The folder of a run that no chain numbers."""


class LedRun:
    """Opens a run and serves its owners until it is over; use as a context manager.

    Parameters
    ----------
    recipe : Recipe
    key : Key
        The opener's.
    folder : Path
        Gets a folder for this run, named by its id, with the certificate, the evidence and the model.
    contribution, held_out : Table
        The sets that pay and report are measured on; committed on chain before anyone joins.
    owners : int
        How many are expected.
    chain : Chain, optional
        Without one nothing is recorded and nobody can be paid.
    allowed : sequence of str, optional
        Who may join, numbered in this order; anybody in order of arrival when not given.
    host, port
        Where owners connect; port 0 is any free one.
    history : History, optional
        An earlier run's rounds, repeated with those of its owners who join (see `koinon.learning.leaving`).

    Raises
    ------
    BadInput
        The common sets do not fit the recipe or are the same.
    """

    def __init__(
        self,
        recipe: Recipe,
        key: Key,
        folder: Path,
        *,
        contribution: Table,
        held_out: Table,
        owners: int,
        chain: Chain | None = None,
        allowed: Sequence[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        join_deadline_s: float = 60.0,
        alone_deadline_s: float = 60.0,
        history: History | None = None,
    ) -> None:
        for name, table in (("contribution set", contribution), ("held-out set", held_out)):
            if table.columns != recipe.columns:
                raise BadInput(
                    f"The {name} has other columns than the recipe.", code="learning.columns_differ"
                )
            check_trainable(table, f"The {name}", classes=recipe.classes)
        if contribution.digest == held_out.digest:
            raise BadInput(
                "The contribution set and the held-out set are the same.",
                hint="Nobody may be paid by the rows the result is reported on.",
                code="learning.same_sets",
            )
        recipe.check_owners(owners, recorded=chain is not None)
        self.recipe, self.contribution, self.held_out = recipe, contribution, held_out
        self._key, self._chain = key, chain
        self._ledger = None if chain is None else Ledger(chain, key)
        federation = () if self._ledger is None else (self._ledger.contract.address,)
        self._domain = federation_domain(0 if chain is None else chain.chain_id, *federation)
        self.run_id = (
            1 if self._ledger is None else self._ledger.open(recipe, contribution.digest, held_out.digest)
        )
        self.folder = folder / (UNRECORDED if chain is None else str(self.run_id))
        self._expected = owners
        self._underway: Underway | None = None
        self._log = ProgressLog(self.folder)
        self._meter = Meter()
        self._gauge = Gauge(recipe, held_out, self._log, self._meter)
        self._leader = Leader(
            recipe,
            key,
            self.folder,
            run_id=self.run_id,
            domain=self._domain,
            expected=owners,
            allowed=allowed,
            check=self._check_joining,
            arrived=self._note_update,
            host=host,
            port=port,
            join_deadline_s=join_deadline_s,
            alone_deadline_s=0.0 if recipe.privacy.on else alone_deadline_s,
            history=history,
        )

    @property
    def url(self) -> str:
        """Where owners connect."""
        return self._leader.url

    @property
    def opener(self) -> str:
        """Whose signature owners must ask for."""
        return self._key.address

    @property
    def domain(self) -> Domain:
        """What everything said in this run is signed for."""
        return self._domain

    def gone(self, owner: str) -> None:
        """Tell the leader that an owner's process has ended, so that nobody waits for it."""
        self._leader.gone(owner)

    def fail(self, error: KoinonError) -> None:
        """End the run with this error, which `lead` then raises."""
        self._leader.fail(error)

    def lead(self, progress: Progress = lambda _: None) -> Outcome:
        """Take in owners, close rounds, record them, measure; blocks until the run is over.

        ``progress`` gets ``{"event": "opened" | "joined" | "started" | "round" | "alone" | "measured", …}``.

        Raises
        ------
        PeerError
            Too few owners joined or stayed.
        """
        self._underway = Underway(self.folder, self.run_id, self.recipe.rounds)
        progress = self._both(progress)
        progress(
            {
                "event": "opened",
                "run": self.run_id,
                "name": self.recipe.name,
                "recipe": self.recipe.digest.hex(),
                "rounds": self.recipe.rounds,
                "owners": self._expected,
            }
            | self._promised()
        )
        started = time.monotonic()
        stages: dict[str, float] = {}
        rounds: list[RoundEvidence] = []
        missing: dict[int, tuple[str, ...]] = {}
        joinings: tuple[Joining, ...] = ()
        for event in self._leader.events():
            match event:
                case Joined(member, waiting):
                    progress({"event": "joined", "owner": member.address, "waiting": waiting})
                case Full(members):
                    joinings = tuple(member.joining for member in members)
                    if self._ledger is not None and joinings:
                        self._ledger.join(self.run_id, joinings)
                    self._leader.begin()
                    stages["joining"] = time.monotonic() - started
                case RoundClosed(closed) if closed.number == 0:
                    progress({"event": "started", "owners": len(joinings), "rounds": self.recipe.rounds})
                case RoundClosed(closed):
                    self._meter.count(closed)
                    examples = {index: joinings[index].examples for index in closed.updates}
                    rounds.append(
                        RoundEvidence(
                            closed.number, closed.updates, examples, closed.model.model, closed.opening
                        )
                    )
                    spent = self._spent(joinings, closed.number)
                    self._keep(len(joinings), rounds)  # first: nothing on chain may lack its evidence
                    if self._ledger is not None:
                        self._ledger.record(closed.model)
                    if closed.missing:
                        missing[closed.number] = closed.missing
                    if closed.model.last:
                        stages["rounds"] = time.monotonic() - started - stages["joining"]
                    progress(
                        {
                            "event": "round",
                            "round": closed.number,
                            "rounds": self.recipe.rounds,
                            "participants": len(closed.updates),
                            "missing": list(closed.missing),
                            "up": self._meter.traffic().up,
                            "down": self._meter.traffic().down,
                        }
                        | ({} if spent is None else {"epsilon": spent.epsilon, "delta": spent.delta})
                    )
                    if self._leader.run.scaling is not None:
                        self._gauge.measure(closed, self._leader.run.scaling)
                case AloneReceived(member):
                    progress({"event": "alone", "owner": member.address})
        stages["alone"] = time.monotonic() - started - sum(stages.values())
        outcome = self._measure(joinings, tuple(rounds), missing, stages)
        self._underway.done()
        stages["measuring"] = time.monotonic() - started - sum(stages.values())
        progress({"event": "measured", "together": outcome.together.value, "metric": outcome.metric})
        self._log.write({"event": "measured", "alone": outcome.alone_mean})
        return outcome

    def _spent(self, joinings: Sequence[Joining], done: int) -> Spent | None:
        rows, recipe = [joining.examples for joining in joinings], self.recipe
        return spent_by(recipe.privacy, done, recipe.rounds, recipe.training, rows)

    def _promised(self) -> dict[str, Any]:
        """What owners are promised, with what an owner of the fewest rows would spend in all."""
        privacy, recipe = self.recipe.privacy, self.recipe
        if not privacy.on:
            return {}
        whole = privacy.spent(recipe.rounds, recipe.rounds, recipe.training, recipe.minimum_rows)
        if privacy.epsilon and whole is not None:
            whole = privacy.epsilon
        return {"privacy": asdict(privacy) | {"protects": privacy.protects, "whole": whole}}

    def _both(self, progress: Progress) -> Progress:
        """Tell the caller, and whoever reads the run's folder."""

        def tell(event: dict[str, Any]) -> None:
            self._log.write(event)
            progress(event)

        return tell

    def _note_update(self, owner: str, number: int) -> None:
        self._log.write({"event": "update", "owner": owner, "round": number})

    def _keep(self, owners: int, rounds: Sequence[RoundEvidence]) -> None:
        """The evidence so far, in case the run is stopped."""
        scaling = self._leader.run.scaling
        if scaling is not None and self._underway is not None:
            evidence = Evidence(self.recipe, scaling, owners, tuple(rounds))
            write_private(self.folder / "evidence.bin", evidence.to_bytes())
            self._underway.reached(len(rounds))

    def _measure(
        self,
        joinings: tuple[Joining, ...],
        rounds: tuple[RoundEvidence, ...],
        missing: dict[int, tuple[str, ...]],
        stages: dict[str, float],
    ) -> Outcome:
        run, recipe = self._leader.run, self.recipe
        scaling = run.scaling
        if scaling is None:
            raise IntegrityError("The run has no scaling.", code="learning.scaling")
        evidence = Evidence(recipe, scaling, len(joinings), rounds)
        minimums = {index: joining.minimum_share for index, joining in enumerate(joinings)}
        contributions = measure(evidence, run.rounds, self.contribution, minimums)
        scores = score_all(recipe, scaling, run.common.parameters, run.alone, self.held_out)
        findings = find(
            recipe,
            self.held_out,
            scores.probabilities,
            rows=[joining.examples for joining in joinings],
            reports=run.reports,
            rounds=() if recipe.privacy.private_sum else run.rounds,
            trail=self._gauge.trail,
        )
        owners = tuple(
            OwnerOutcome(
                index=index,
                address=joining.owner,
                work_id=joining.work_id,
                rows=joining.examples,
                rounds=sum(index in one.updates for one in rounds),
                alone=scores.alone.get(index),
                value=contributions.values[index],
                low=contributions.low[index],
                high=contributions.high[index],
                share=contributions.shares.get(index, 0),
            )
            for index, joining in enumerate(joinings)
        )
        model = TrainedModel(recipe, scaling, run.common.parameters)
        model.save(self.folder / "model.npz")
        write_private(self.folder / "evidence.bin", evidence.to_bytes())
        write_private(self.folder / "contributions.json", contributions.to_bytes())
        outcome = Outcome(
            run_id=self.run_id,
            model=model,
            metric=scores.metric,
            together=scores.together,
            gain=scores.gain,
            money=scores.money,
            owners=owners,
            held_out_rows=len(self.held_out),
            missing=missing,
            stages=stages,
            evidence=evidence,
            contributions=contributions,
            joinings=joinings,
            traffic=self._meter.traffic(),
            findings=findings,
            privacy=self._spent(joinings, len(rounds)),
        )
        write_private(self.folder / OUTCOME, orjson.dumps(outcome.to_dict()))
        return outcome

    def _check_joining(self, joining: Joining) -> None:
        """What the contracts will check, before it can spoil the run for the others."""
        if self._chain is None or self._ledger is None:
            return
        works = self._chain.contract("Works")
        try:
            owner = works.call("ownerOf", joining.work_id)
            now = self._chain.timestamp()
        except KoinonError as error:
            raise BadInput(
                f"Work {joining.work_id} does not exist, or the chain does not answer.",
                hint=error.message,
                code="learning.dataset_work",
            ) from error
        if owner != joining.owner:
            raise BadInput(
                f"Work {joining.work_id} belongs to another account.", code="learning.dataset_work"
            )
        fields = (joining.work_id, joining.minimum_share, joining.deadline)
        consent = digest(self._domain, CONSENT.hash(self.run_id, *fields))
        permission = digest(
            works_domain(self._chain.chain_id, works.address),
            PARENT_PERMISSION.hash(fields[0], self._ledger.contract.address, *fields[1:]),
        )
        good = (
            joining.deadline > now + self.recipe.round_deadline_s
            and joining.permission[:32] == joining.deadline.to_bytes(32, "big")
            and verify(consent, joining.consent, joining.owner)
            and verify(permission, joining.permission[32:], joining.owner)
        )
        if not good:
            raise BadInput(
                "The consent or permission would not be accepted by the contracts.",
                hint="Is the owner on the same network, with its clock right?",
                code="learning.consent",
            )

    def close(self) -> None:
        """Stop serving."""
        self._leader.close()
        self._log.close()
        if self._underway is not None:
            self._underway.close()

    def __enter__(self) -> Self:
        self._leader.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
