# SPDX-License-Identifier: Apache-2.0
"""Learning's front door: open a run, let owners teach it, publish what they made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import BadInput, SetupError
from koinon.learning import metrics, simulation
from koinon.learning.led_run import UNRECORDED, LedRun, Progress
from koinon.learning.ledger import Ledger
from koinon.learning.outcome import Outcome
from koinon.learning.owner import OwnerConfig
from koinon.learning.processes import OwnerProcess
from koinon.learning.recipe import MAXIMUM_OWNERS, Recipe
from koinon.learning.splits import Split
from koinon.store import BlockStore, Store
from koinon.works.api import Published, Works
from koinon.works.catalogue import URI_SCHEME
from koinon.works.registration import Card, Metric, Registration, Service, registration_domain
from koinon.works.shares import OWNER, WHOLE, ShareTable

OWNER_KEY = "operator"
RUNS = "runs"
MODEL_DIGEST_KEY = "modelDigest"


@dataclass(frozen=True)
class Pooled:
    """Score of a model on all rows in one place, after as many epochs as the run's: nobody can make it."""

    score: float
    epochs: int


class Learning:
    """Runs opened by one key.

    Parameters
    ----------
    data_dir : Path
        Where runs keep their files, in ``runs/<id>``; of those without a chain, only the last's, in
        ``runs/unrecorded``.
    key : Key
        The opener's.
    chain : Chain, optional
        Without one, runs teach and measure but nothing is recorded or published.
    store : Store, optional
        Where registration files go; needed to publish.
    """

    def __init__(
        self, data_dir: Path, key: Key, *, chain: Chain | None = None, store: Store | None = None
    ) -> None:
        self.data_dir, self.chain, self.store = data_dir, chain, store
        self._key = key

    def open(self, recipe: Recipe, split: Split, **options: Any) -> LedRun:
        """Open a run whose owners, started elsewhere, need ``url``, ``opener`` and ``run_id``. Then lead.

        ``options`` are those of :class:`LedRun` (``allowed``, ``host``, ``port``, deadlines).
        """
        return LedRun(
            recipe,
            self._key,
            self.data_dir / RUNS,
            contribution=split.contribution,
            held_out=split.held_out,
            owners=len(split.owners),
            chain=self.chain,
            **options,
        )

    def files(self, outcome: Outcome) -> Path:
        """The folder with a run's model, evidence and contributions."""
        return self.data_dir / RUNS / (UNRECORDED if self.chain is None else str(outcome.run_id))

    def run(
        self,
        recipe: Recipe,
        split: Split,
        *,
        progress: Progress = lambda _: None,
        fund: Callable[..., None] | None = None,
        names: Sequence[str] = (),
        **options: Any,
    ) -> Outcome:
        """Teach with one process an owner on this machine.

        Parameters
        ----------
        split : Split
            The owners' tables are written to their own folders, ``owners/<number>``, and read only there.
        fund : callable, optional
            Gives accounts ETH for publishing their dataset (``Node.fund``).
        names : sequence of str
            What the owners' datasets are called.

        Raises
        ------
        PeerError
            Too few owners stayed; the hint has an owner's last words.
        """
        if not 1 <= len(split.owners) <= MAXIMUM_OWNERS:
            raise BadInput(f"A run has at most {MAXIMUM_OWNERS} owners.", code="learning.owners")
        homes = [self.data_dir / "owners" / str(index + 1) for index in range(len(split.owners))]
        rings = [Keyring(home / "keys", derivation="pbkdf2", environment={}) for home in homes]
        keys = [ring.open(OWNER_KEY) for ring in rings]
        if fund is not None:
            fund(*(key.address for key in keys))
        allowed = [key.address for key in keys]
        with self.open(recipe, split, allowed=allowed, **options) as led:
            processes = []
            try:
                for index, (home, ring, key) in enumerate(zip(homes, rings, keys, strict=True)):
                    split.owners[index].save(home / "table.npz")
                    self._share_store(home)
                    config = OwnerConfig(
                        leader=led.url,
                        opener=led.opener,
                        run_id=led.run_id,
                        table=str(home / "table.npz"),
                        keystore=str(ring.path(OWNER_KEY)),
                        password_file=str(ring.password_file),
                        data_dir=str(home),
                        network=self._network_file(home),
                        name=names[index] if index < len(names) else f"Data set of owner {index + 1}",
                    )
                    processes.append(OwnerProcess(config, home, key.address, led.gone, self.chain))
                return led.lead(progress)
            finally:
                for process in processes:
                    process.stop()

    def pooled(self, outcome: Outcome, split: Split) -> Pooled:
        """Train on all owners' rows at once, for comparison only: it needs every table in one place."""
        recipe, scaling = outcome.model.recipe, outcome.model.scaling
        vector = simulation.train_pooled(recipe, split.owners, scaling)
        score = simulation.utility_on(recipe, split.held_out, scaling)(vector)
        return Pooled(score, recipe.alone.epochs)

    def publish(
        self,
        outcome: Outcome,
        *,
        description: str = "",
        services: tuple[Service, ...] = (),
        royalty_bps: int = 0,
    ) -> Published:
        """Publish the model as a Work whose root names the owners' dataset Works, in one transaction.

        Raises
        ------
        SetupError
            There is no chain or store to publish to.
        TransactionFailed
            The contracts refused; ``reason`` has their words.
        """
        if self.chain is None or self.store is None:
            raise SetupError(
                "Publishing a model needs a chain and a content store.",
                hint="Run it with a node: koinon up.",
                code="learning.no_chain",
            )
        works = Works(self.chain, self.store, self._key)
        taught = [owner for owner in outcome.owners if owner.rounds]
        tills = {owner.index: works.till_of(owner.work_id) for owner in taught}
        shares = {tills[owner.index]: owner.share for owner in taught}
        rest = WHOLE - sum(shares.values())
        table = ShareTable({**shares, **({OWNER: rest} if rest else {})})
        recipe = outcome.model.recipe
        registration = Registration(
            name=recipe.name,
            description=description or f"{recipe.name}, taught together by {len(taught)} owners of data.",
            card=model_card(outcome),
            services=services,
            shares=table,
            x402_support=bool(services),
        )
        domain = registration_domain(self.chain.chain_id, works.contract.address)
        uri = URI_SCHEME + self.store.put(registration.sign(self._key, domain).to_bytes())
        work_id = Ledger(self.chain, self._key).finish(
            outcome.run_id,
            uri=uri,
            parents={tills[owner.index]: outcome.joinings[owner.index].permission for owner in taught},
            shares=table,
            contributions=outcome.contributions.digest,
            royalty_bps=royalty_bps,
            metadata=[(MODEL_DIGEST_KEY, outcome.evidence.rounds[-1].model)],
        )
        return Published(work_id, works.till_of(work_id), uri, table)

    def _share_store(self, home: Path) -> None:
        """Registration files are public: one store serves everybody on this machine, and pages find them."""
        blocks = home / "blocks"
        if isinstance(self.store, BlockStore) and not blocks.exists():
            self.store.path.mkdir(parents=True, exist_ok=True)
            blocks.symlink_to(self.store.path.resolve(), target_is_directory=True)

    def _network_file(self, home: Path) -> str:
        if self.chain is None:
            return ""
        self.chain.network.save(home / "network.json")
        return str(home / "network.json")


def model_card(outcome: Outcome) -> Card:
    """What a model's buyers must be told, from what was measured."""
    recipe = outcome.model.recipe
    alone = outcome.alone_mean
    guess = metrics.chance(recipe.classes)
    interval = outcome.together
    rows = [owner.rows for owner in outcome.owners if owner.rounds]
    return Card(
        kind="model",
        summary=f"{recipe.name}: predicts '{recipe.label}' from {len(recipe.columns)} columns.",
        data=f"{sum(rows)} rows of {len(rows)} owners, which never left them.",
        metric=Metric(
            name=outcome.metric,
            value=interval.value,
            interval=(min(interval.low, interval.value), max(interval.high, interval.value)),
            baseline=guess if alone is None else alone,
            baseline_name="chance" if alone is None else "mean of the models the owners made alone",
            held_out="rows that no owner trained on and nobody was paid by",
            samples=outcome.held_out_rows,
        ),
        limits=(
            "Measured on rows like those it learnt from; elsewhere it may be wrong.",
            "A decision about a person needs a person who can be asked.",
            "Updates were seen by whoever led the run; they can tell something about single rows.",
        ),
        contest="Write to the owner of this Work, or challenge the run: its digests are on chain.",
    )
