# SPDX-License-Identifier: Apache-2.0
"""The recipe of a run: everything its owners agree to before they start, as one digest."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import orjson

from koinon.errors import BadInput
from koinon.learning.aggregation import AGGREGATIONS
from koinon.learning.codec import CODECS
from koinon.learning.contribution import CONTRIBUTIONS
from koinon.learning.datasets import CREDIT_COLUMNS
from koinon.learning.model import Perceptron, Training
from koinon.learning.scaling import Scaling

WHOLE = 1_000_000_000
MAXIMUM_OWNERS = 16
"""As many parents as a Work may declare."""


@dataclass(frozen=True)
class Recipe:
    """What is learnt, how, and how its makers are paid.

    Attributes
    ----------
    columns, label, classes, class_names
        Feature columns in order, what is predicted, how many classes there are, and what they are called.
    hidden, activation
        The perceptron's hidden layers.
    rounds, epochs, batch, learning_rate, weight_decay, seed
        Rounds of training together; local passes over the owner's rows a round; Adam's settings.
    signed_log, scaling
        Which columns are money-like; fixed constants, or None for a round of statistics.
    codec, aggregation, contribution
        Names of the rules in ``CODECS``, ``AGGREGATIONS`` and ``CONTRIBUTIONS``.
    owners_share
        What all owners together get of the model's income, in 1e-9; the rest is the opener's.
    minimum_owners, minimum_rows
        A round with fewer owners ends the run; owners with fewer rows are refused.
    round_deadline_s
        After so many seconds a round ends with those who answered.
    """

    name: str
    columns: tuple[str, ...]
    label: str
    classes: int = 2
    class_names: tuple[str, ...] = ()
    hidden: tuple[int, ...] = (16,)
    activation: str = "relu"
    rounds: int = 15
    epochs: int = 2
    batch: int = 32
    learning_rate: float = 0.005
    weight_decay: float = 0.001
    seed: int = 1
    signed_log: tuple[bool, ...] = ()
    scaling: Scaling | None = None
    codec: str = "float32"
    aggregation: str = "weighted_mean"
    contribution: str = "shapley"
    owners_share: int = 800_000_000
    minimum_owners: int = 2
    minimum_rows: int = 20
    round_deadline_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.signed_log:
            object.__setattr__(self, "signed_log", (False,) * len(self.columns))
        if not self.class_names:
            object.__setattr__(self, "class_names", tuple(str(index) for index in range(self.classes)))
        problems = [
            (len(self.class_names) != self.classes, "every class needs one name"),
            (
                not self.columns or len(set(self.columns)) != len(self.columns),
                "its columns are missing or repeated",
            ),
            (len(self.signed_log) != len(self.columns), "'signed_log' needs one entry a column"),
            (
                self.scaling is not None and len(self.scaling.center) != len(self.columns),
                "its scaling does not fit",
            ),
            (not 1 <= self.rounds <= 10_000, "rounds must be 1 to 10,000"),
            (not 0 <= self.epochs <= 1_000, "epochs must be 0 to 1,000"),
            (self.batch < 1, "the batch must hold at least one row"),
            (not 0 < self.learning_rate < 10, "the learning rate must lie between 0 and 10"),
            (not 0 <= self.weight_decay < 10, "the weight decay must lie between 0 and 10"),
            (not 0 < self.owners_share <= WHOLE, "'owners_share' must be 1 to 1,000,000,000"),
            (
                not 1 <= self.minimum_owners <= MAXIMUM_OWNERS,
                f"'minimum_owners' must be 1 to {MAXIMUM_OWNERS}",
            ),
            (self.minimum_rows < 1, "'minimum_rows' must be at least 1"),
            (not 0 < self.round_deadline_s <= 86_400, "a round may last up to a day"),
            (self.codec not in CODECS, f"no codec '{self.codec}'"),
            (self.aggregation not in AGGREGATIONS, f"no aggregation '{self.aggregation}'"),
            (self.contribution not in CONTRIBUTIONS, f"no contribution rule '{self.contribution}'"),
        ]
        for wrong, reason in problems:
            if wrong:
                raise BadInput(f"The recipe is not usable: {reason}.", code="learning.recipe")
        _ = self.model  # refuses impossible architectures

    @property
    def model(self) -> Perceptron:
        """The architecture."""
        return Perceptron(len(self.columns), self.hidden, self.classes, self.activation)

    @property
    def training(self) -> Training:
        """One round's local training."""
        return Training(self.epochs, self.batch, self.learning_rate, self.weight_decay)

    @property
    def alone(self) -> Training:
        """The same passes in one go: what an owner gets without the others."""
        return replace(self.training, epochs=self.epochs * self.rounds)

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces."""
        content = asdict(self)
        content["scaling"] = None if self.scaling is None else self.scaling.to_dict()
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, content: bytes | str) -> Recipe:
        """Read what :meth:`to_json` wrote; BadInput when it is not a recipe."""
        try:
            found: dict[str, Any] = orjson.loads(content)
            unknown = set(found) - {field.name for field in fields(cls)}
            if unknown:
                raise BadInput(f"A recipe has no '{min(unknown)}'.", code="learning.recipe")
            scaling = found.pop("scaling", None)
            for name in ("columns", "class_names", "hidden", "signed_log"):
                if name in found:
                    found[name] = tuple(found[name])
            return cls(**found, scaling=None if scaling is None else Scaling.from_dict(scaling))
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput("This is not a recipe.", hint=str(error), code="learning.recipe") from error

    @property
    def digest(self) -> bytes:
        """sha256 of the canonical JSON: what owners sign and the chain records."""
        return hashlib.sha256(self.to_json()).digest()

    def local_seed(self, round_number: int, owner_index: int) -> int:
        """Seed of one owner's shuffling in one round (round 0: alone)."""
        text = f"{self.seed} {round_number} {owner_index}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


_MONEY = tuple(name == "limit" or name.startswith(("bill", "paid")) for name in CREDIT_COLUMNS)


def credit_recipe(*, seed: int = 1, **changes: Any) -> Recipe:
    """Default risk of card holders: 15 rounds of 2 local epochs, 16 hidden units, public scaling."""
    center = [11.6, 35.0, *[0.0] * 6, *[7.0] * 12]
    scale = [1.0, 10.0, *[1.2] * 6, *[4.0] * 12]
    recipe = Recipe(
        name="Default risk of card holders",
        columns=CREDIT_COLUMNS,
        label="default",
        class_names=("pays", "defaults"),
        seed=seed,
        signed_log=_MONEY,
        scaling=Scaling(_MONEY, tuple(center), tuple(scale)),
    )
    return replace(recipe, **changes)


def mnist_recipe(*, seed: int = 1, **changes: Any) -> Recipe:
    """Handwritten digits: 784-32-10, 20 rounds."""
    columns = tuple(f"pixel_{index}" for index in range(784))
    recipe = Recipe(
        name="Handwritten digits",
        columns=columns,
        label="digit",
        classes=10,
        hidden=(32,),
        rounds=20,
        epochs=1,
        learning_rate=0.003,
        weight_decay=0.0,
        seed=seed,
        scaling=Scaling((False,) * 784, (0.0,) * 784, (1.0,) * 784),
    )
    return replace(recipe, **changes)
