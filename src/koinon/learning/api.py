# SPDX-License-Identifier: Apache-2.0
"""Learning's front door: open a run, let owners teach it, publish what they made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import BadInput, SetupError
from koinon.learning import metrics, simulation
from koinon.learning.findings import in_words
from koinon.learning.gains import set_aside
from koinon.learning.leaving import History
from koinon.learning.led_run import UNRECORDED, LedRun, Progress
from koinon.learning.ledger import Ledger
from koinon.learning.outcome import Outcome, kept_run
from koinon.learning.owner_config import OwnerConfig
from koinon.learning.processes import Engine, LocalOwner, owner_processes
from koinon.learning.recipe import Recipe
from koinon.learning.splits import Split
from koinon.learning.swarm.chain_state import Rules
from koinon.learning.swarm.local_run import learn_in_swarm
from koinon.store import BlockStore, Store
from koinon.works.api import Published, Works
from koinon.works.catalogue import URI_SCHEME
from koinon.works.registration import Card, Metric, Registration, Service, registration_domain
from koinon.works.shares import OWNER, WHOLE, ShareTable

OWNER_KEY = "operator"
RUNS = "runs"
MODEL_DIGEST_KEY = "modelDigest"
REBUILT_FROM_KEY = "rebuiltFromRun"
"""Metadata of a model that was made again because an owner left: the run of the version before."""


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
            chain=self.chain,
            **{"owners": len(split.owners), **options},
        )

    def files(self, outcome: Outcome) -> Path:
        """The folder with a run's model, evidence and contributions."""
        return self._folder(outcome.run_id)

    def kept_score(self, run_id: int) -> float:
        """What a run led from here came to on its held-out rows; NotFound when it is not kept."""
        return kept_run(self._folder(run_id))[2]

    def _folder(self, run_id: int) -> Path:
        return self.data_dir / RUNS / (UNRECORDED if self.chain is None else str(run_id))

    def run(
        self,
        recipe: Recipe,
        split: Split,
        *,
        progress: Progress = lambda _: None,
        fund: Callable[..., None] | None = None,
        names: Sequence[str] = (),
        without: Sequence[int] = (),
        engine: Engine = owner_processes,
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
        without : sequence of int
            Owners of the split, by index, who do not take part.
        engine : Engine
            What the owners run on; `koinon.learning.flower.engine.FlowerEngine` is another one.
        options
            Of :class:`LedRun`; ``history`` repeats an earlier run's rounds instead of teaching new ones.

        Raises
        ------
        PeerError
            Too few owners stayed; the hint has an owner's last words.
        """
        recipe.check_owners(len(split.owners) - len(without), recorded=self.chain is not None)
        homes = [self.data_dir / "owners" / str(index + 1) for index in range(len(split.owners))]
        rings = [Keyring(home / "keys", derivation="pbkdf2", environment={}) for home in homes]
        keys = [ring.open(OWNER_KEY) for ring in rings]
        if fund is not None:
            fund(*(key.address for key in keys))
        present = [index for index in range(len(keys)) if index not in without]
        allowed = [keys[index].address for index in present]
        with self.open(recipe, split, allowed=allowed, owners=len(allowed), **options) as led:
            owners = []
            for index in present:
                home, ring, key = homes[index], rings[index], keys[index]
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
                owners.append(LocalOwner(config, home, key.address))
            with engine(led, owners, self.chain):
                return led.lead(progress)

    def swarm(
        self,
        recipe: Recipe,
        split: Split,
        *,
        progress: Progress = lambda _: None,
        fund: Callable[..., None] | None = None,
        names: Sequence[str] = (),
        lenders: int = 0,
        rules: Rules | None = None,
    ) -> Outcome:
        """Teach without a server: one peer an owner on this machine, who lead by turns and check each other.

        The peers publish the model themselves; its Work is the outcome's ``work_id`` and belongs to this key.

        Parameters
        ----------
        lenders : int
            Peers more that lend computing only; they share in the recipe's ``compute_share``.
        rules : Rules, optional
            Stakes and times; `local_rules` when not given.

        Raises
        ------
        SetupError
            There is no chain, on which peers could agree.
        BadInput
            The recipe hides updates, which peers must see to check.
        PeerError
            Too few peers came or stayed.
        """
        if self.chain is None:
            raise SetupError(
                "A swarm agrees on a chain.",
                hint="Run it with a node, koinon up, or with a coordinator: --mode coordinator.",
                code="learning.no_chain",
            )
        return learn_in_swarm(
            recipe,
            self._key,
            self.data_dir,
            self.data_dir / RUNS,
            split,
            chain=self.chain,
            store=self.store.path if isinstance(self.store, BlockStore) else None,
            lenders=lenders,
            rules=rules,
            fund=fund,
            names=names,
            progress=progress,
        )

    def rebuild(
        self, run_id: int, split: Split, leaving: Sequence[int], *, recipe: Recipe, **options: Any
    ) -> Outcome:
        """A new version of a run's model from the updates of everybody but those who leave.

        The owners who stay agree again, since their shares change; nothing is trained. A new run is recorded,
        whose rounds hold the updates that stay.

        Parameters
        ----------
        run_id : int
            The run, led from this data directory.
        leaving : sequence of int
            Owners of the split, by index.
        options
            As for :meth:`run`.

        Raises
        ------
        NotFound
            No such run is kept here.
        BadInput
            Another recipe than the run's.
        """
        if recipe.privacy.private_sum:
            raise BadInput(
                "A private sum cannot be taken apart to leave an owner out of it.",
                hint="Teach the next version anew, with --without.",
                code="learning.private_mode",
            )
        evidence, owners, _ = kept_run(self._folder(run_id))
        if recipe.scaling is None:
            recipe = replace(
                recipe, scaling=evidence.recipe.scaling
            )  # a swarm's recipe got one before it ran
        if evidence.recipe.digest != recipe.digest:
            raise BadInput(
                "The run was taught by another recipe.",
                hint="Give the same tables, recipe and seed as then.",
                code="learning.other_recipe",
            )
        history = History(run_id, owners, evidence.rounds)
        return self.run(recipe, split, without=leaving, history=history, **options)

    def pooled(self, outcome: Outcome, split: Split) -> Pooled:
        """Train on all owners' rows at once, for comparison only: it needs every table in one place."""
        recipe, scaling = outcome.model.recipe, outcome.model.scaling
        teaching = [set_aside(recipe, table)[0] for table in split.owners]
        vector = simulation.train_pooled(recipe, teaching, scaling)
        score = simulation.utility_on(recipe, split.held_out, scaling)(vector)
        return Pooled(score, recipe.alone.epochs)

    def publish(
        self,
        outcome: Outcome,
        *,
        description: str = "",
        services: tuple[Service, ...] = (),
        royalty_bps: int = 0,
        rebuilt_from: int = 0,
    ) -> Published:
        """Publish the model as a Work whose root names the owners' dataset Works, in one transaction.

        ``rebuilt_from`` is the run of the version that somebody left; the new Work says so. Where a swarm's
        peers have published it, the Work gets this key's description and the card of what was measured here.

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
        if outcome.work_id:
            return self._describe(outcome, works, description, services)
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
        metadata = [(MODEL_DIGEST_KEY, outcome.evidence.rounds[-1].model)]
        if rebuilt_from:
            metadata.append((REBUILT_FROM_KEY, rebuilt_from.to_bytes(32, "big")))
        domain = registration_domain(self.chain.chain_id, works.contract.address)
        uri = URI_SCHEME + self.store.put(registration.sign(self._key, domain).to_bytes())
        work_id = Ledger(self.chain, self._key).finish(
            outcome.run_id,
            uri=uri,
            parents={tills[owner.index]: outcome.joinings[owner.index].permission for owner in taught},
            shares=table,
            contributions=outcome.contributions.digest,
            royalty_bps=royalty_bps,
            metadata=metadata,
        )
        return Published(work_id, works.till_of(work_id), uri, table)

    def _describe(
        self, outcome: Outcome, works: Works, description: str, services: tuple[Service, ...]
    ) -> Published:
        """Put a registration file of the Work's owner in the place of the one that the peers agreed on."""
        if self.chain is None:
            raise SetupError("There is no chain.", code="learning.no_chain")
        agreed = works.registration_of(outcome.work_id).registration
        registration = replace(
            agreed,
            description=description or agreed.description,
            card=model_card(outcome),
            services=services,
            x402_support=bool(services),
        )
        domain = registration_domain(self.chain.chain_id, works.contract.address)
        uri = URI_SCHEME + works.store.put(registration.sign(self._key, domain).to_bytes())
        self.chain.sender(self._key).send(works.contract.transaction("setAgentURI", outcome.work_id, uri))
        table = agreed.shares or ShareTable.of_owner()
        return Published(outcome.work_id, works.till_of(outcome.work_id), uri, table)

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


_SEEN = ("Updates were seen by whoever led the run; they can tell something about single rows.",)


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
            *in_words(outcome.findings, outcome.metric),
            "A decision about a person needs a person who can be asked.",
            *(_SEEN if outcome.privacy is None else outcome.privacy.in_words()),
        ),
        contest="Write to the owner of this Work, or challenge the run: its digests are on chain.",
    )
