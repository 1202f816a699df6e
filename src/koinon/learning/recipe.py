# SPDX-License-Identifier: Apache-2.0
"""The recipe of a run: everything its owners agree to before they start, as one digest."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import orjson

from koinon.errors import BadInput
from koinon.learning.aggregation import check_rule
from koinon.learning.codecs import codec_named
from koinon.learning.contribution import CONTRIBUTIONS
from koinon.learning.datasets import CREDIT_COLUMNS
from koinon.learning.fairness import Fairness
from koinon.learning.methods import Method, check_method, method_named
from koinon.learning.models import Model, ModelSpec, Training, model_of
from koinon.learning.privacy.plan import Privacy, check_privacy
from koinon.learning.scaling import Scaling
from koinon.learning.shorthand import spelled_out

WHOLE = 1_000_000_000
MAXIMUM_OWNERS = 100
"""In one run."""
MAXIMUM_PARENTS = 16
"""In a run that is recorded: as many parents as a Work may declare."""


@dataclass(frozen=True)
class Recipe:
    """What is learnt, how, and how its makers are paid.

    Attributes
    ----------
    columns, label, classes, class_names
        Feature columns in order, what is predicted, how many classes there are, and what they are called.
    model_spec
        The kind of model and its options; ``[model]`` in a recipe's file.
    rounds, epochs, steps, batch, optimiser, learning_rate, weight_decay, seed
        Rounds of training together; local passes over the owner's rows a round, or exactly so many
        mini-batches; the local optimiser (``"adam"`` or ``"sgd"``) and its settings.
    method
        Federated optimisation, see ``METHODS``: ``"fedavg"``, ``"fedprox:0.01"``, ``"fedadam"``,
        ``"scaffold"``, ``"outer"``.
    signed_log, scaling
        Which columns are money-like; fixed constants, or None for a round of statistics.
    codec, down_codec, aggregation, contribution
        Names of the rules in ``CODECS`` (owners' changes, and the common model's), ``AGGREGATIONS`` and
        ``CONTRIBUTIONS``, with numbers after colons: ``"topk:0.05"``.
    root_owner
        Index of the owner whose update is the yardstick of ``fltrust``; -1 for none.
    owners_share, compute_share
        What all owners together get of the model's income, and what those who lent computing get, in 1e-9;
        the rest is the opener's.
    minimum_owners, minimum_rows
        A round with fewer owners ends the run; owners with fewer rows are refused.
    round_deadline_s
        After so many seconds a round ends with those who answered.
    privacy
        What owners are promised; ``[privacy]`` in a recipe's file.
    fairness
        What is found out about groups and owners, and who tells it; ``[fairness]`` in a recipe's file.
    """

    name: str
    columns: tuple[str, ...]
    label: str
    classes: int = 2
    class_names: tuple[str, ...] = ()
    model_spec: ModelSpec = field(default_factory=ModelSpec)
    rounds: int = 15
    epochs: int = 2
    steps: int = 0
    batch: int = 32
    optimiser: str = "adam"
    learning_rate: float = 0.005
    weight_decay: float = 0.001
    seed: int = 1
    signed_log: tuple[bool, ...] = ()
    scaling: Scaling | None = None
    method: str = "fedavg"
    codec: str = "float32"
    down_codec: str = "float32"
    aggregation: str = "weighted_mean"
    contribution: str = "shapley"
    root_owner: int = -1
    owners_share: int = 800_000_000
    compute_share: int = 0
    minimum_owners: int = 2
    minimum_rows: int = 20
    round_deadline_s: float = 30.0
    privacy: Privacy = field(default_factory=Privacy)
    fairness: Fairness = field(default_factory=Fairness)

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
            (not 0 <= self.steps <= 1_000_000, "steps must be 0 to 1,000,000"),
            (self.optimiser not in ("adam", "sgd"), f"no local optimiser '{self.optimiser}'"),
            (self.batch < 1, "the batch must hold at least one row"),
            (not 0 < self.learning_rate < 10, "the learning rate must lie between 0 and 10"),
            (not 0 <= self.weight_decay < 10, "the weight decay must lie between 0 and 10"),
            (not 0 < self.owners_share <= WHOLE, "'owners_share' must be 1 to 1,000,000,000"),
            (
                not 0 <= self.compute_share <= WHOLE - self.owners_share,
                "'compute_share' must fit beside 'owners_share'",
            ),
            (
                not 1 <= self.minimum_owners <= MAXIMUM_OWNERS,
                f"'minimum_owners' must be 1 to {MAXIMUM_OWNERS}",
            ),
            (self.minimum_rows < 1, "'minimum_rows' must be at least 1"),
            (not 0 < self.round_deadline_s <= 86_400, "a round may last up to a day"),
            (self.contribution not in CONTRIBUTIONS, f"no contribution rule '{self.contribution}'"),
        ]
        for wrong, reason in problems:
            if wrong:
                raise BadInput(f"The recipe is not usable: {reason}.", code="learning.recipe")
        self.fairness.check(self.columns, self.classes)
        if self.privacy.noise != "none" and self.fairness.asks_owners:
            raise BadInput(
                "The recipe promises noise, and has owners tell findings that have none.",
                hint="Leave out 'told' and 'populations' in [fairness]; owners still find out alone.",
                code="learning.fairness",
            )
        lossless = codec_named(self.codec).lossless and codec_named(self.down_codec).lossless
        check_rule(self.aggregation, self.model, self.rounds, lossless=lossless, root_owner=self.root_owner)
        check_method(self.federated, self.model, self.training)  # refuses impossible architectures too
        check_privacy(self.privacy, self)

    def check_owners(self, owners: int, *, recorded: bool) -> None:
        """Refuse more or fewer owners than can take part (BadInput)."""
        most = MAXIMUM_PARENTS if recorded else MAXIMUM_OWNERS
        if not self.minimum_owners <= owners <= most:
            raise BadInput(
                f"{owners} owners cannot take part; {self.minimum_owners} to {most} can.",
                hint=f"A recorded run has at most {MAXIMUM_PARENTS}; more can learn without a chain.",
                code="learning.owners",
            )

    @property
    def model(self) -> Model:
        """The architecture."""
        return model_of(self.model_spec, len(self.columns), self.classes)

    @property
    def federated(self) -> Method:
        """The method of federated optimisation."""
        return method_named(self.method)

    @property
    def training(self) -> Training:
        """One round's local training."""
        return Training(
            self.epochs,
            self.batch,
            self.learning_rate,
            self.weight_decay,
            steps=self.steps,
            optimiser=self.optimiser,
        )

    @property
    def alone(self) -> Training:
        """The same passes in one go: what an owner gets without the others."""
        return replace(self.training, epochs=self.epochs * self.rounds, steps=self.steps * self.rounds)

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces."""
        content = {name: value for name, value in asdict(self).items() if name != "model_spec"}
        content["model"] = self.model_spec.to_dict()
        if not self.privacy.on:
            del content["privacy"]
        content["scaling"] = None if self.scaling is None else self.scaling.to_dict()
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, content: bytes | str) -> Recipe:
        """Read what :meth:`to_json` wrote; BadInput when it is not a recipe."""
        try:
            found = orjson.loads(content)
        except ValueError as error:
            raise BadInput("This is not a recipe.", hint=str(error), code="learning.recipe") from error
        return cls.from_dict(found)

    @classmethod
    def from_toml(cls, content: str) -> Recipe:
        """Read a recipe's file; fields left out have their defaults. BadInput when it is not a recipe.

        What the file may write shorter: `koinon.learning.shorthand`.
        """
        try:
            found = tomllib.loads(content)
        except tomllib.TOMLDecodeError as error:
            raise BadInput("This is not TOML.", hint=str(error), code="learning.recipe") from error
        return cls.from_dict(spelled_out(found))

    @classmethod
    def from_dict(cls, content: Any) -> Recipe:
        """From plain values, as JSON and TOML give them; BadInput when they are not a recipe."""
        try:
            found: dict[str, Any] = dict(content)
            unknown = set(found) - ({field.name for field in fields(cls)} - {"model_spec"} | {"model"})
            if unknown:
                raise BadInput(f"A recipe has no '{min(unknown)}'.", code="learning.recipe")
            scaling = found.pop("scaling", None)
            spec = ModelSpec.from_dict(found.pop("model", {}))
            privacy = Privacy.from_dict(found.pop("privacy", {}))
            fairness = Fairness.from_dict(found.pop("fairness", {}))
            for name in ("columns", "class_names", "signed_log"):
                if name in found:
                    found[name] = tuple(found[name])
            return cls(
                **found,
                model_spec=spec,
                scaling=None if scaling is None else Scaling.from_dict(scaling),
                privacy=privacy,
                fairness=fairness,
            )
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
        fairness=Fairness(
            group="age", edges=(30, 45), names=("under 30", "30 to 44", "45 and older"), selected=0.8
        ),
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
        model_spec=ModelSpec("perceptron", {"hidden": (32,)}),
        rounds=20,
        epochs=1,
        learning_rate=0.003,
        weight_decay=0.0,
        seed=seed,
        scaling=Scaling((False,) * 784, (0.0,) * 784, (1.0,) * 784),
    )
    return replace(recipe, **changes)
