# SPDX-License-Identifier: Apache-2.0
"""What an owner says in a run, signed, and what it accepts as said by the opener: no network and no clock.

Whatever carries the frames, the leader's HTTPS or another engine's messages, cannot change or forge them.
"""

from __future__ import annotations

import hashlib

import orjson

from koinon.chain.eip712 import Domain
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError
from koinon.learning.gains import OwnReport
from koinon.learning.global_model import ALONE, read_global_model
from koinon.learning.messages import (
    CONSENT,
    PARENT_PERMISSION,
    AloneModel,
    GlobalModel,
    Joining,
    LocalUpdate,
    Offer,
    Report,
    Start,
    payload_digest,
    works_domain,
)
from koinon.learning.models.base import Vector
from koinon.learning.recipe import MAXIMUM_OWNERS, Recipe
from koinon.learning.scaling import Scaling, Statistics
from koinon.tables import Table, check_trainable


def read_offer(frame: bytes, domain: Domain, opener: str) -> tuple[Offer, Recipe]:
    """The opener's invitation and its recipe.

    Raises
    ------
    BadInput
        Malformed.
    IntegrityError
        Signed by another, or with another recipe than it says.
    """
    offer, payload = Offer.unpack(frame, domain, opener)
    recipe = Recipe.from_json(payload)
    if hashlib.sha256(payload).digest() != offer.recipe or recipe.digest != offer.recipe:
        raise IntegrityError("The recipe is not the one that was signed.", code="learning.digest")
    return offer, recipe


class OwnerFrames:
    """One owner's side of one run.

    Parameters
    ----------
    domain : Domain
        The run's, see `federation_domain`.
    works : str
        The registry on that chain that checks permissions; not used without a chain.
    opener : str
        Whose signature counts.
    rows : int
        How many the owner teaches with.
    """

    def __init__(
        self, key: Key, domain: Domain, works: str, *, opener: str, run_id: int, recipe: Recipe, rows: int
    ) -> None:
        self._key, self._domain, self._works = key, domain, works
        self._opener, self._run_id, self._recipe, self._rows = opener, run_id, recipe, rows

    def joining(self, table: Table, *, work_id: int, minimum_share: int, deadline: int) -> bytes:
        """Ask to take part; on a chain, with the signatures its contracts want, good until ``deadline``.

        Raises
        ------
        BadInput
            The table has not the recipe's columns, or cannot be trained on.
        """
        recipe = self._recipe
        check_table(table, recipe)
        statistics = b""
        if recipe.scaling is None:
            statistics = orjson.dumps(Statistics.of(table.features, recipe.signed_log).to_dict())
        consent = permission = b""
        if self._domain.chain_id:
            consent, permission = self._consent(work_id, minimum_share, deadline)
        joining = Joining(
            self._run_id,
            self._key.address,
            work_id,
            recipe.digest,
            self._rows,
            payload_digest(statistics),
            minimum_share,
            deadline,
            consent,
            permission,
        )
        return joining.pack(self._key, self._domain, statistics)

    def read_start(self, frame: bytes) -> tuple[Start, Scaling, bytes]:
        """The answer to joining: this owner's place, the common scaling, and the frame of the first model."""
        start, model = Start.unpack(frame, self._domain, self._opener)
        if start.run_id != self._run_id or start.owner != self._key.address:
            raise IntegrityError("The leader answered somebody else.", code="learning.other_run")
        if not 0 <= start.index < MAXIMUM_OWNERS:
            raise IntegrityError("The leader gives places that a run does not have.", code="learning.owners")
        scaling = self._scaling(start.scaling)
        if self._recipe.scaling is not None and scaling != self._recipe.scaling:
            raise IntegrityError("The leader scales otherwise than the recipe says.", code="learning.scaling")
        return start, scaling, model

    def _scaling(self, told: str) -> Scaling:
        try:
            found = Scaling.from_dict(orjson.loads(told))
        except (ValueError, TypeError) as error:
            raise BadInput("This is not a scaling.", code="learning.scaling") from error
        if len(found.center) != len(self._recipe.columns):
            raise BadInput("The leader's scaling is of other columns.", code="learning.scaling")
        return found

    def read_model(
        self, frame: bytes, at_least: int, before: Vector | None = None
    ) -> tuple[GlobalModel, Vector]:
        """A common model of round ``at_least`` or later; ``before`` is the one a step starts from."""
        model, payload = GlobalModel.unpack(frame, self._domain, self._opener)
        if model.run_id != self._run_id or model.round < at_least:
            raise IntegrityError("The leader answered with an old model.", code="learning.round")
        if model.round > self._recipe.rounds:
            raise IntegrityError(
                "The leader goes on beyond the recipe's last round.",
                hint="Nobody agreed to teach more.",
                code="learning.round",
            )
        return model, read_global_model(payload, self._recipe, before, model.model)

    def update(self, base: GlobalModel, payload: bytes) -> bytes:
        """The encoded change for the round after ``base``."""
        update = LocalUpdate(
            base.run_id,
            base.round + 1,
            self._key.address,
            base.model,
            payload_digest(payload),
            self._rows,
        )
        return update.pack(self._key, self._domain, payload)

    def alone(self, vector: Vector) -> bytes:
        """The model this owner made by itself, to be measured.

        Raises
        ------
        BadInput
            The recipe promises privacy, which a model made without noise would break.
        """
        if self._recipe.privacy.on:
            raise BadInput("A private recipe shows no model made alone.", code="learning.private_mode")
        payload = ALONE.encode(vector)
        message = AloneModel(self._run_id, self._key.address, payload_digest(payload))
        return message.pack(self._key, self._domain, payload)

    def report(self, report: OwnReport) -> bytes:
        """What this owner tells of its own rows."""
        payload = report.to_bytes()
        message = Report(self._run_id, self._key.address, payload_digest(payload))
        return message.pack(self._key, self._domain, payload)

    def _consent(self, work_id: int, minimum_share: int, deadline: int) -> tuple[bytes, bytes]:
        """Signatures by which the contracts let the run name this owner's Work as a parent of the model."""
        permission = self._key.sign_typed(
            works_domain(self._domain.chain_id, self._works),
            PARENT_PERMISSION,
            work_id,
            self._domain.verifying_contract,
            minimum_share,
            deadline,
        )
        consent = self._key.sign_typed(self._domain, CONSENT, self._run_id, work_id, minimum_share, deadline)
        return consent, deadline.to_bytes(32, "big") + permission


def check_table(table: Table, recipe: Recipe) -> None:
    """Refuse a table that this recipe cannot learn from (BadInput)."""
    if table.columns != recipe.columns:
        missing = [column for column in recipe.columns if column not in table.columns]
        raise BadInput(
            f"The table lacks the recipe's columns: {', '.join(missing[:8]) or 'their order differs'}.",
            hint=f"The recipe reads {', '.join(recipe.columns[:8])}…",
            code="learning.columns_differ",
        )
    check_trainable(table, "Your table", classes=recipe.classes, minimum_rows=recipe.minimum_rows)
