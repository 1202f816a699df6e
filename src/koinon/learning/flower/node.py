# SPDX-License-Identifier: Apache-2.0
"""An owner on a SuperNode: each message is answered by a fresh process, so what is remembered lies in files.

The owner's folder has one folder a run, ``flower/<digest of the invitation>``: the invitation, the signed
request to join, and what learner and codec remember since the last round. A SuperNode that was killed goes on
from there.
"""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from koinon.chain.address import checksum
from koinon.chain.keys import write_private
from koinon.errors import BadInput, NotFound
from koinon.learning.closing import OWN_REPORT, close
from koinon.learning.gains import OwnReport, OwnRows, set_aside
from koinon.learning.local import LocalLearner
from koinon.learning.messages import federation_domain
from koinon.learning.models.base import Vector
from koinon.learning.owner import PERMISSION_S, dataset_on_chain
from koinon.learning.owner_config import Network, OwnerConfig
from koinon.learning.owner_frames import OwnerFrames, read_offer
from koinon.learning.recipe import Recipe
from koinon.learning.trained import TrainedModel
from koinon.tables import Table, read_table

OFFER: Final = "offer.bin"
JOINING: Final = "joining.bin"
LEARNER: Final = "learner.npz"


def run_name(offer: bytes) -> bytes:
    """What messages of a run call it: 32 bytes, other ones for every run that is opened."""
    return hashlib.sha256(offer).digest()


def check_recipe(recipe: Recipe) -> None:
    """Refuse what Flower's app cannot carry (BadInput)."""
    if recipe.privacy.private_sum:
        raise BadInput(
            "A private sum's changes travel under masks, which the messages on Flower do not carry.",
            hint="Run this recipe with a coordinator.",
            code="learning.private_mode",
        )


@dataclass(frozen=True)
class Remembered:
    """After teaching round ``round`` from the common vector ``base``: the signed update, the learner, and how
    common models did on the owner's own rows."""

    round: int
    base: Vector
    update: bytes
    learner: bytes
    trail: tuple[tuple[int, float], ...] = ()

    def to_bytes(self) -> bytes:
        file = io.BytesIO()
        parts: dict[str, Any] = {
            "round": np.array(self.round),
            "base": self.base,
            "update": np.frombuffer(self.update, dtype=np.uint8),
            "learner": np.frombuffer(self.learner, dtype=np.uint8),
            "trail": np.array(self.trail, dtype=np.float64).reshape(-1, 2),
        }
        np.savez(file, **parts)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Remembered:
        """Read what `to_bytes` wrote; BadInput when it is something else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as parts:
                return cls(
                    int(parts["round"]),
                    parts["base"].astype(np.float32),
                    parts["update"].tobytes(),
                    parts["learner"].tobytes(),
                    tuple((int(number), float(score)) for number, score in parts["trail"]),
                )
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput("This is not what an owner remembers.", code="learning.snapshot") from error


class OwnerNode:
    """Answers the three messages of a run with one owner's table and key.

    Parameters
    ----------
    config : OwnerConfig
        ``leader`` is not used; ``run_id`` 0 is any run of ``opener``.
    """

    def __init__(self, config: OwnerConfig, now: Callable[[], float] = time.time) -> None:
        self._config, self._now = config, now
        self._opener = checksum(config.opener)
        self._network = Network.load(config.network)
        self._domain = federation_domain(self._network.chain_id, self._network.federation)
        self._table = read_table(Path(config.table), config.label)

    def join(self, offer: bytes) -> bytes:
        """A signed request to take part in the run of this invitation; the same one when asked again.

        Raises
        ------
        BadInput
            Another run than the config's, or a table the recipe cannot learn from.
        IntegrityError
            Not the opener's invitation, or the chain knows another opener or recipe.
        """
        folder = self._folder(run_name(offer))
        kept = folder / JOINING
        if kept.exists():
            return kept.read_bytes()
        config = self._config
        found, recipe = read_offer(offer, self._domain, self._opener)
        if config.run_id not in (0, found.run_id):
            raise BadInput(
                f"This owner takes part in run {config.run_id}, not {found.run_id}.",
                code="learning.other_run",
            )
        work_id = config.work_id
        if config.network:
            here = replace(config, run_id=found.run_id)
            work_id, check_offer = dataset_on_chain(
                here, config.key(), self._table, self._opener, lambda _: None
            )
            check_offer(found)
        check_recipe(recipe)
        teaching, _ = set_aside(recipe, self._table)
        joining = self._frames(found.run_id, recipe, len(teaching)).joining(
            teaching,
            work_id=work_id,
            minimum_share=config.minimum_share,
            deadline=int(self._now()) + PERMISSION_S,
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / OFFER, offer)
        write_private(kept, joining)
        return joining

    def teach(self, run: bytes, start: bytes, model: bytes) -> bytes:
        """Train on from the common model; the signed update, the same one when the round is asked again.

        Parameters
        ----------
        run : bytes
            See `run_name`.
        start, model : bytes
            The opener's frames: this owner's place, and the common model, whole or as a step from the last.

        Raises
        ------
        NotFound
            This owner did not join that run.
        BadInput, IntegrityError
            Not the opener's, not this owner's, or of an earlier round than the last.
        """
        joined = self._joined(run)
        place, scaling, _ = joined.frames.read_start(start)
        known = joined.remembered()
        common, vector = joined.frames.read_model(model, 0, None if known is None else known.base)
        number = common.round + 1
        if known is not None and known.round == number and np.array_equal(known.base, vector):
            return known.update
        if common.last or (known is not None and number <= known.round):
            raise BadInput("This round is over.", code="learning.round")
        learner = LocalLearner(joined.recipe, joined.teaching, scaling, place.index)
        own = OwnRows(joined.recipe, joined.kept, scaling, () if known is None else known.trail)
        if known is not None:
            learner.restore(known.learner)
        if common.round:
            own.note(common.round, vector)
        payload, _ = learner.teach(vector, number)
        update = joined.frames.update(common, payload)
        now = Remembered(number, vector, update, learner.snapshot(), own.trail)
        write_private(joined.folder / LEARNER, now.to_bytes())
        return update

    def finish(self, run: bytes, start: bytes, model: bytes) -> dict[str, bytes]:
        """Keep the last common model and what it is worth to this owner; what of that is shown, by name."""
        joined = self._joined(run)
        recipe, frames = joined.recipe, joined.frames
        place, scaling, _ = frames.read_start(start)
        known = joined.remembered()
        common, vector = frames.read_model(model, recipe.rounds, None if known is None else known.base)
        own = OwnRows(recipe, joined.kept, scaling, () if known is None else known.trail)
        own.note(common.round, vector)
        closing = close(
            learner=LocalLearner(recipe, joined.teaching, scaling, place.index),
            teaching=joined.teaching,
            own=own,
            scaling=scaling,
            last=vector,
            frames=frames,
            share_alone=self._config.share_alone,
            share_report=self._config.share_report,
        )
        home = Path(self._config.data_dir)
        TrainedModel(recipe, scaling, vector[: recipe.model.size]).save(home / "model.npz")
        write_private(home / OWN_REPORT, OwnReport(closing.gain, closing.population).to_bytes())
        return {path.strip("/"): frame for path, frame in closing.shown}

    def _folder(self, run: bytes) -> Path:
        return Path(self._config.data_dir) / "flower" / run.hex()[:32]

    def _joined(self, run: bytes) -> _Joined:
        folder = self._folder(run)
        try:
            content = (folder / OFFER).read_bytes()
        except OSError as error:
            raise NotFound("This owner did not join that run.", code="learning.not_member") from error
        offer, recipe = read_offer(content, self._domain, self._opener)
        teaching, kept = set_aside(recipe, self._table)
        return _Joined(folder, self._frames(offer.run_id, recipe, len(teaching)), recipe, teaching, kept)

    def _frames(self, run_id: int, recipe: Recipe, rows: int) -> OwnerFrames:
        return OwnerFrames(
            self._config.key(),
            self._domain,
            self._network.works,
            opener=self._opener,
            run_id=run_id,
            recipe=recipe,
            rows=rows,
        )


@dataclass(frozen=True)
class _Joined:
    """A run this owner takes part in: its folder, and the owner's table as what teaches and what measures."""

    folder: Path
    frames: OwnerFrames
    recipe: Recipe
    teaching: Table
    kept: Table

    def remembered(self) -> Remembered | None:
        """What the last round left."""
        try:
            return Remembered.from_bytes((self.folder / LEARNER).read_bytes())
        except FileNotFoundError:
            return None
