# SPDX-License-Identifier: Apache-2.0
"""What a recipe promises its owners: ``[privacy]`` in its file, and which promises exclude each other.

There are two honest modes, and no recipe has both:

``private_sum``
    Owners' changes are clipped and added up under masks. The leader sees the sum, and neither a robust rule
    nor a contribution rule can look at anybody's part of it, so everybody who took part is paid the same.
``accountable``
    The leader sees every change. Robust rules and contributions work; noise can still be added by each owner
    to its own rows (``rows``) or its own change (``local``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from koinon.errors import BadInput
from koinon.learning.codecs import codec_named
from koinon.learning.models.base import Training
from koinon.learning.privacy import accountant
from koinon.learning.privacy.clipping import check_norm
from koinon.learning.privacy.dpsgd import row_sampling
from koinon.learning.privacy.threshold import MINIMUM

if TYPE_CHECKING:
    from koinon.learning.recipe import Recipe

MODES: Final = ("accountable", "private_sum")
NOISES: Final = ("none", "central", "distributed", "local", "rows")
LARGEST_MULTIPLIER: Final = 64.0
SUM_RULE, SUM_PAY = "mean", "equal"
"""The only aggregation and contribution rule that need nobody's own change."""


@dataclass(frozen=True)
class Privacy:
    """A recipe's settings.

    Attributes
    ----------
    mode : str
        ``accountable`` or ``private_sum``.
    noise : str
        Who adds Gaussian noise, and what it protects: ``none``; ``central``, the leader to the sum, which it
        sees without; ``distributed``, every owner a part, so that the sum the leader sees has all of it;
        ``local``, every owner as much as protects it alone; ``rows``, every owner in each step of its
        training (DP-SGD), which protects single rows instead of a whole owner.
    clip_norm : float
        The longest change of the model an owner may send, as Euclidean length.
    row_clip_norm : float
        The longest gradient of one row, for ``rows``.
    noise_multiplier : float
        Standard deviation of the noise, in units of the norm it goes with; or instead of it
    epsilon : float
        what the whole run may spend.
    delta : float
        The chance that goes with epsilon.
    threshold : int
        How many owners must stay until a private sum is unmasked; 0 for more than two thirds.
    """

    mode: str = "accountable"
    noise: str = "none"
    clip_norm: float = 0.0
    row_clip_norm: float = 0.0
    noise_multiplier: float = 0.0
    epsilon: float = 0.0
    delta: float = 1e-5
    threshold: int = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            if str(one.type) == "float":
                object.__setattr__(self, one.name, float(getattr(self, one.name)))
        noisy = self.noise != "none"
        clips = self.private_sum or self.protects == "owner"
        problems = [
            (self.mode not in MODES, f"no mode '{self.mode}'"),
            (self.noise not in NOISES, f"no noise '{self.noise}'"),
            (
                noisy != (self.noise_multiplier > 0 or self.epsilon > 0),
                "noise needs 'noise_multiplier' or 'epsilon', and neither goes without noise",
            ),
            (
                self.noise_multiplier > 0 and self.epsilon > 0,
                "'noise_multiplier' and 'epsilon' are one choice",
            ),
            (not 0 <= self.noise_multiplier <= LARGEST_MULTIPLIER, "a noise multiplier is at most 64"),
            (not 0 <= self.epsilon <= 1_000, "'epsilon' is at most 1,000"),
            (not 0 < self.delta < 1, "'delta' lies between 0 and 1"),
            (
                clips != (self.clip_norm > 0),
                "'clip_norm' goes with a private sum or noise on changes, and only there",
            ),
            (
                (self.noise == "rows") != (self.row_clip_norm > 0),
                "'row_clip_norm' goes with the noise 'rows', and only there",
            ),
            (self.threshold != 0 and not self.private_sum, "'threshold' goes with a private sum"),
            (not 0 <= self.threshold <= 255, "'threshold' is at most 255"),
        ]
        for wrong, reason in problems:
            if wrong:
                raise BadInput(f"The recipe's privacy is not usable: {reason}.", code="learning.privacy")
        if clips:
            check_norm(self.clip_norm)

    @property
    def private_sum(self) -> bool:
        """Whether changes are added up under masks."""
        return self.mode == "private_sum"

    @property
    def on(self) -> bool:
        """Whether anything is promised at all."""
        return self != Privacy()

    @property
    def protects(self) -> str:
        """What epsilon is about: ``owner``, ``row``, or nothing."""
        return {"none": "", "rows": "row"}.get(self.noise, "owner")

    def multiplier(self, rounds: int) -> float:
        """Noise on owners' changes in a run of so many rounds, 0 for none; BadInput where it is too much."""
        if self.protects != "owner":
            return 0.0
        return self.noise_multiplier or _bounded(self.epsilon, self.delta, 1.0, rounds)

    def row_multiplier(self, training: Training, rows: int, rounds: int) -> float:
        """Noise in the steps of an owner with so many rows, 0 for none; BadInput where it is too much."""
        if self.protects != "row":
            return 0.0
        rate, steps = row_sampling(training, rows)
        return self.noise_multiplier or _bounded(self.epsilon, self.delta, rate, steps * rounds)

    def spent(self, done: int, rounds: int, training: Training, rows: int) -> float | None:
        """Epsilon, at `delta`, of the first ``done`` of a run's rounds; None without noise.

        Parameters
        ----------
        rows : int
            Of the owner it is about; matters for the noise ``rows`` only.
        """
        if self.protects == "owner":
            return accountant.spent(self.multiplier(rounds), 1.0, done, self.delta)
        if self.protects == "row":
            rate, steps = row_sampling(training, rows)
            noise = self.row_multiplier(training, rows, rounds)
            return accountant.spent(noise, rate, steps * done, self.delta)
        return None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From plain values; BadInput for a setting there is not."""
        unknown = set(content) - {one.name for one in fields(cls)}
        if unknown:
            raise BadInput(f"A recipe's privacy has no '{min(unknown)}'.", code="learning.privacy")
        return cls(**content)


def check_privacy(privacy: Privacy, recipe: Recipe) -> None:
    """Refuse promises that the rest of the recipe breaks (BadInput, with the reason)."""
    if not privacy.on:
        return
    if privacy.private_sum:
        _check_sum(recipe)
    elif privacy.noise in {"central", "distributed"}:
        raise _conflict(
            f"{privacy.noise} noise and the accountable mode: the leader sees every change without it",
            'Set mode = "private_sum", or noise = "local".',
        )
    if recipe.scaling is None:
        raise _conflict(
            "privacy and a round of statistics: each owner would send its columns' sums as they are",
            "Write public constants in [scaling].",
        )
    if recipe.fairness.asks_owners:
        raise _conflict(
            "privacy and owners who tell of their own rows: what they tell has no noise",
            'Set told = "nothing" and populations = false under [fairness].',
        )
    if not recipe.model.averages:
        raise _conflict(
            f"privacy and a model of kind '{recipe.model_spec.kind}': no noise hides the rows in trees",
            "Take a perceptron, a linear or a torch model.",
        )
    if privacy.noise == "rows" and recipe.model_spec.kind != "torch":
        raise _conflict(
            f"noise on rows and a model of kind '{recipe.model_spec.kind}': DP-SGD works on torch models",
            'Set kind = "torch" under [model].',
        )
    privacy.multiplier(recipe.rounds)
    privacy.row_multiplier(recipe.training, recipe.minimum_rows, recipe.rounds)


def _check_sum(recipe: Recipe) -> None:
    hint = f'Set aggregation = "{SUM_RULE}" and contribution = "{SUM_PAY}", or mode = "accountable".'
    if recipe.aggregation != SUM_RULE:
        raise _conflict(
            f"a private sum and the aggregation '{recipe.aggregation}': "
            "a rule must look at every owner's change or weigh it, which the masks hide",
            hint,
        )
    if recipe.contribution != SUM_PAY:
        raise _conflict(
            f"a private sum and the contribution rule '{recipe.contribution}': "
            "what one owner's change was worth cannot be measured when nobody sees it",
            hint,
        )
    if not codec_named(recipe.codec).lossless:
        raise _conflict(
            f"a private sum and the codec '{recipe.codec}': masks hide what a codec would leave out",
            'Set codec = "float32"; masked vectors have 4 bytes a number.',
        )
    if recipe.minimum_owners < MINIMUM:
        raise _conflict(
            f"a private sum and fewer than {MINIMUM} owners: of two, each learns the other's change",
            f"Set minimum_owners = {MINIMUM} or more.",
        )


def _conflict(what: str, hint: str) -> BadInput:
    return BadInput(f"A recipe cannot have {what}.", hint=hint, code="learning.privacy_conflict")


def _bounded(epsilon: float, delta: float, rate: float, steps: int) -> float:
    found = accountant.noise_multiplier(epsilon, delta, rate, steps)
    if found > LARGEST_MULTIPLIER:
        raise BadInput(
            f"An epsilon of {epsilon:g} takes noise of {found:.0f} times the norm; "
            f"at most {LARGEST_MULTIPLIER:g} is possible.",
            hint="Take a larger epsilon, or fewer rounds.",
            code="learning.privacy",
        )
    return found
