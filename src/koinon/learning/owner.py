# SPDX-License-Identifier: Apache-2.0
"""An owner's own process: it holds the table and the key, and only updates leave it.

``python -m koinon.learning.owner CONFIG.json``; the fields are those of `OwnerConfig`. Progress goes
to standard output as one JSON object a line; errors as one line with a hint to standard error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import IntegrityError, KoinonError, PeerError
from koinon.learning.closing import close, keep_own
from koinon.learning.connection import HttpsTransport, Transport
from koinon.learning.drift import Population
from koinon.learning.gains import Gain, OwnRows, set_aside
from koinon.learning.global_model import model_limit
from koinon.learning.journal import Journal
from koinon.learning.local import LocalLearner
from koinon.learning.messages import GlobalModel, Offer, Start, federation_domain, payload_digest
from koinon.learning.models.base import Vector
from koinon.learning.owner_config import Network, OwnerConfig
from koinon.learning.owner_frames import OwnerFrames
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.learning.trained import TrainedModel
from koinon.process import say
from koinon.tables import Table, read_table

PERMISSION_S = 7 * 86_400
ASK_AGAIN_S = 1.0
LONGEST_ROUND = 8
"""For so many of the recipe's deadlines an owner waits for a round that it must not teach again."""

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Taught:
    """What the owner has after a run: the common model, in which rounds it took part, and what it gained.

    Rounds before a restart of its process are not in ``rounds``. ``gain`` is None where the recipe keeps no
    rows to measure on, or too few; ``population`` tells what its own rows are like.
    """

    model: TrainedModel
    rounds: tuple[int, ...]
    index: int
    gain: Gain | None
    population: Population


class Owner:
    """Trains on its own table and talks to a leader through a transport.

    Parameters
    ----------
    home : Path, optional
        Where its `Journal` is kept.
    keep : callable
        Given the model after the last round, before anything else is told to anybody.
    now, pause : callable
        The time in seconds since 1970, and a wait of so many seconds.
    """

    def __init__(
        self,
        key: Key,
        table: Table,
        transport: Transport,
        network: Network,
        *,
        opener: str,
        work_id: int = 0,
        minimum_share: int = 0,
        share_alone: bool = True,
        share_report: bool = True,
        check_offer: Callable[[Offer], None] = lambda _: None,
        home: Path | None = None,
        keep: Callable[[TrainedModel], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
        report: Report = lambda _: None,
    ) -> None:
        self._key, self._table, self._transport, self._network = key, table, transport, network
        self._opener, self._work_id, self._minimum_share = opener, work_id, minimum_share
        self._share_alone, self._share_report = share_alone, share_report
        self._home, self._keep = home, keep
        self._now, self._pause, self._report = now, pause, report
        self._check_offer = check_offer
        self._domain = federation_domain(network.chain_id, network.federation)

    def take_part(self) -> Taught:
        """Join, train round after round, and tell as much of it as is allowed.

        The same call in a new process, with the same ``home``, goes on where the one before was killed; a
        round of a private recipe that it had begun is left to the others.
        """
        offer, recipe = self._transport.offer()
        self._check_offer(offer)
        with Journal(self._home, self._domain, offer, self._key.address) as journal:
            return self._teach_all(offer, recipe, journal)

    def _teach_all(self, offer: Offer, recipe: Recipe, journal: Journal) -> Taught:
        teaching, kept = set_aside(recipe, self._table)
        frames = OwnerFrames(
            self._key,
            self._domain,
            self._network.works,
            opener=self._opener,
            run_id=offer.run_id,
            recipe=recipe,
            rows=len(teaching),
        )
        joining = frames.joining(
            teaching,
            work_id=self._work_id,
            minimum_share=self._minimum_share,
            deadline=journal.join(int(self._now()) + PERMISSION_S),
        )
        start, scaling, first = self._join(frames, joining, recipe)
        model, vector = frames.read_model(first, 0)
        learner = LocalLearner(recipe, teaching, scaling, start.index)
        own = OwnRows(recipe, kept, scaling)
        teach = self._teacher(learner, frames)
        rounds: list[int] = []
        self._report({"event": "started", "run": offer.run_id, "index": start.index, "rounds": recipe.rounds})
        while not model.last:
            number = model.round + 1
            frame = teach(model, vector) if journal.begin(number) or not recipe.privacy.on else None
            if frame is None:
                model, vector = self._model_after(number, frames, joining, recipe)
            else:
                model, vector = frames.read_model(frame, number, vector)
            included = model.round == number and bool(model.participants >> start.index & 1)
            if included:
                rounds.append(number)
            score = own.note(model.round, vector)
            self._report({"event": "round", "round": model.round, "included": included, "score": score})
        model_here = TrainedModel(recipe, scaling, vector[: recipe.model.size])
        self._keep(model_here)
        closing = close(
            learner=learner,
            teaching=teaching,
            own=own,
            scaling=scaling,
            last=vector,
            frames=frames,
            share_alone=self._share_alone,
            share_report=self._share_report,
        )
        for path, frame in closing.shown:
            self._show(path, frame)
        return Taught(model_here, tuple(rounds), start.index, closing.gain, closing.population)

    def _join(self, frames: OwnerFrames, joining: bytes, recipe: Recipe) -> tuple[Start, Scaling, bytes]:
        limit = _answer_limit(recipe) + 256 * len(recipe.columns)
        return frames.read_start(self._transport.send("/join", joining, answer_limit=limit))

    def _model_after(
        self, number: int, frames: OwnerFrames, joining: bytes, recipe: Recipe
    ) -> tuple[GlobalModel, Vector]:
        """The common model of this round or a later one, without teaching it."""
        give_up = self._now() + LONGEST_ROUND * recipe.round_deadline_s
        while self._now() < give_up:
            _, _, frame = self._join(frames, joining, recipe)
            model, vector = frames.read_model(frame, 0)
            if model.round >= number or model.last:
                return model, vector
            self._pause(ASK_AGAIN_S)
        raise PeerError(
            f"Round {number} does not end, and this owner has begun to teach it before.",
            hint="To teach it again would spend privacy that nobody agreed to.",
            code="learning.round",
        )

    def _show(self, path: str, frame: bytes) -> None:
        """Tell the leader; what it does not hear any more is no reason to lose what was learnt."""
        try:
            self._transport.send(path, frame, answer_limit=1 << 12)
        except KoinonError as error:
            told = {"what": path.strip("/"), "title": error.message, "code": error.code}
            self._report({"event": "unheard"} | told)
        else:
            self._report({"event": path.strip("/")})

    def _teacher(
        self, learner: LocalLearner, frames: OwnerFrames
    ) -> Callable[[GlobalModel, Vector], bytes | None]:
        """Teaches a round from a common model, and brings the frame of the model after it.

        None where the leader has another update already: that of this owner before it was killed, which had
        remembered more from the rounds before.
        """
        recipe, limit = learner.recipe, _answer_limit(learner.recipe)
        if not recipe.privacy.private_sum:

            def openly(model: GlobalModel, vector: Vector) -> bytes | None:
                payload, _ = learner.teach(vector, model.round + 1)
                try:
                    return self._transport.send("/update", frames.update(model, payload), answer_limit=limit)
                except PeerError as error:
                    if error.code != "learning.second_update":
                        raise
                    return None

            return openly
        from koinon.learning.private_owner import (  # noqa: PLC0415  open runs never load it
            LONGEST_ANSWER,
            PrivateExchange,
        )

        exchange = PrivateExchange(self._key, self._domain, recipe, learner.index)

        def send(frame: bytes) -> bytes:
            return self._transport.send("/private", frame, answer_limit=max(limit, LONGEST_ANSWER))

        def in_private(model: GlobalModel, vector: Vector) -> bytes:
            return exchange.contribute(model, learner.contribute(vector, model.round + 1), send)

        return in_private


def run_owner(config: OwnerConfig, report: Report) -> Taught:
    """Everything an owner's process does, from its config to the saved model."""
    table = read_table(Path(config.table), config.label)
    key, network = config.key(), Network.load(config.network)
    opener = checksum(config.opener)
    domain: Domain = federation_domain(network.chain_id, network.federation)
    work_id: int = config.work_id
    check_offer: Callable[[Offer], None] = _accept
    if config.network:
        work_id, check_offer = dataset_on_chain(config, key, table, opener, report)
    with HttpsTransport(config.leader, opener, domain, config.run_id) as transport:
        taught = Owner(
            key,
            table,
            transport,
            network,
            opener=opener,
            work_id=work_id,
            minimum_share=config.minimum_share,
            share_alone=config.share_alone,
            share_report=config.share_report,
            check_offer=check_offer,
            home=Path(config.data_dir),
            keep=lambda model: model.save(Path(config.data_dir) / "model.npz"),
            report=report,
        ).take_part()
    keep_own(Path(config.data_dir), taught.gain, taught.population, taught.model.recipe, report)
    report(
        {
            "event": "done",
            "rounds": len(taught.rounds),
            "model": payload_digest(taught.model.vector.tobytes()).hex(),
            "gain": None if taught.gain is None else asdict(taught.gain.difference),
        }
    )
    return taught


def _accept(_: Offer) -> None:
    """Without a chain the opener's signature is all there is to check."""


def dataset_on_chain(
    config: OwnerConfig, key: Key, table: Table, opener: str, report: Report
) -> tuple[int, Callable[[Offer], None]]:
    """Publish the dataset where that is still to be done; a check of offers against the chain."""
    from koinon.chain.handle import Chain  # noqa: PLC0415  runs without a chain never load it
    from koinon.learning.dataset_work import publish_dataset  # noqa: PLC0415
    from koinon.learning.ledger import read_run  # noqa: PLC0415
    from koinon.learning.train_grant import check_train_grant  # noqa: PLC0415

    with Chain.open(Path(config.network), rpc_url=os.environ.get("KOINON_RPC_URL") or None) as chain:
        record = read_run(chain.contract("Federation"), config.run_id)
        work_id = config.work_id
        if not work_id:
            work_id = publish_dataset(chain, key, table, Path(config.data_dir), name=config.name).work_id
        check_train_grant(chain, work_id, opener)
        report({"event": "dataset", "work_id": work_id})

    def check(offer: Offer) -> None:
        if (record.opener, record.recipe) != (opener, offer.recipe):
            raise IntegrityError(
                "The chain knows this run by another opener or recipe than the leader offers.",
                hint="Ask the opener; do not join.",
                code="learning.chain_differs",
            )

    return work_id, check


def _answer_limit(recipe: Recipe) -> int:
    return model_limit(recipe) + (1 << 14)


def main(arguments: list[str]) -> int:
    """Run one owner; returns the process's exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m koinon.learning.owner CONFIG.json\n")
        return 2
    try:
        with np.errstate(all="ignore"):
            run_owner(OwnerConfig.load(Path(arguments[0])), say)
    except KoinonError as error:
        say({"event": "failed", "title": error.message, "code": error.code})
        sys.stderr.write(f"{error.message} {error.hint}".rstrip() + f" [{error.code}]\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
