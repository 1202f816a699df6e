# SPDX-License-Identifier: Apache-2.0
"""What a model answers where it hesitates: the same for a copy of it, another for a model taught anew.

Its owner draws some thousand inputs from a secret seed, keeps those on which the model is least decided, and
registers the digest of seed, inputs and answers. Two models that were taught the same task agree on plain
inputs and differ on these; a copy that was pruned, made noisy or taught a little further still answers much
the same. In a dispute the owner reveals them, and everyone can check three things: that the digest was
registered before the other Work, that the inputs are those the rule gives for the seed and the original
model (so that nobody picks inputs all models agree on), and how the accused model answers.

How often that is wrong is measured by ``python -m benchmarks fingerprints``; `NEAR` is set from it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from koinon.errors import BadInput

Array = npt.NDArray[np.float64]
Answers = Callable[[Array], Array]
"""(n, inputs) → (n, outputs)."""

POOL: Final = 4096
PROBES: Final = 128
NEAR: Final = 0.06
"""At most this far from the original is a match; see `distance`."""

_LEAST_SPREAD: Final = 0.02
_MOST_BYTES: Final = 64 << 20
_MOST_INPUTS: Final = 4096


@dataclass(frozen=True, eq=False)
class Probes:
    """What the owner keeps until a dispute.

    Parameters
    ----------
    seed : bytes
        32, secret until then.
    center, scale : array
        (inputs,): where inputs of the task lie, by feature.
    inputs : array
        (`PROBES`, inputs).
    answers : array
        (`PROBES`, outputs) of the original.
    """

    seed: bytes
    center: Array
    scale: Array
    inputs: Array
    answers: Array

    @property
    def digest(self) -> bytes:
        """What is registered: sha256 over all of it at float32, 32 bytes."""
        state = hashlib.sha256(b"koinon.behaviour/1" + self.seed)
        for each in (self.center, self.scale, self.inputs, self.answers):
            array = np.ascontiguousarray(each, dtype="<f4")
            state.update(repr(array.shape).encode() + array.tobytes())
        return state.digest()

    def to_bytes(self) -> bytes:
        """As a file: npz without pickles."""
        out = io.BytesIO()
        np.savez(
            out,
            seed=np.frombuffer(self.seed, dtype=np.uint8),
            center=self.center.astype(np.float32),
            scale=self.scale.astype(np.float32),
            inputs=self.inputs.astype(np.float32),
            answers=self.answers.astype(np.float32),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Probes:
        """Read what `to_bytes` wrote; BadInput (``works.probes``) for anything else."""
        if len(content) > _MOST_BYTES:
            raise _bad("it is too long")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: np.asarray(file[name], dtype=np.float64) for name in _ARRAYS}
                seed = np.asarray(file["seed"], dtype=np.uint8).tobytes()
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise _bad(f"it cannot be read ({type(error).__name__})") from None
        count = arrays["center"].size
        shapes = [arrays[name].shape for name in _ARRAYS]
        answers = arrays["answers"]
        if (
            shapes[:3] != [(count,), (count,), (PROBES, count)]
            or answers.ndim != 2
            or len(answers) != PROBES
            or not answers.shape[1]
            or len(seed) != 32
        ):
            raise _bad("its parts do not fit each other")
        if not all(np.isfinite(each).all() for each in arrays.values()):
            raise _bad("it holds numbers that are not finite")
        return cls(seed, **arrays)


_ARRAYS: Final = ("center", "scale", "inputs", "answers")


def make_probes(model: Answers, center: Any, scale: Any, seed: bytes) -> Probes:
    """Draw and choose probes for a model.

    Parameters
    ----------
    model : callable
    center, scale : (inputs,) numbers
        Mean and standard deviation of each input in the task, roughly; scale above 0.
    seed : bytes
        32 random bytes, to be kept secret.

    Raises
    ------
    BadInput
        The model's answers are no finite numbers, or the same everywhere: nothing to recognise it by
        (``works.probes``).
    """
    middle, width = _single(center), _single(scale)
    if middle.ndim != 1 or middle.shape != width.shape or not 0 < middle.size <= _MOST_INPUTS:
        raise _bad("center and scale are not a number for each input")
    if not (np.isfinite(middle).all() and np.isfinite(width).all() and (width > 0).all()) or len(seed) != 32:
        raise _bad("center, scale or seed are not what they must be")
    pool = _pool(middle, width, seed)
    answers = _asked(model, pool)
    if _spread(answers) < _LEAST_SPREAD:
        raise _bad("the model answers the same everywhere")
    chosen = np.sort(np.argsort(_margins(answers), kind="stable")[:PROBES])
    return Probes(seed, middle, width, pool[chosen], _single(answers[chosen]))


def follow_the_rule(probes: Probes, original: Answers) -> bool:
    """Whether probes are those that their seed gives for a model, with that model's answers.

    Another processor may round a margin otherwise, so a probe counts where it is barely out of the chosen.
    """
    pool = _pool(probes.center, probes.scale, probes.seed)
    answers = _asked(original, pool)
    margins = _margins(answers)
    limit = np.sort(margins)[PROBES - 1] + 1e-3
    allowed = {row.astype("<f4").tobytes() for row in pool[margins <= limit]}
    given = {row.astype("<f4").tobytes() for row in probes.inputs}
    ruled = len(given) == PROBES and given <= allowed
    return ruled and distance(probes, original) < 1e-3 and _spread(answers) >= _LEAST_SPREAD


def distance(probes: Probes, model: Answers) -> float:
    """How far a model's answers lie from the original's: 0 the same, about 0.1 and more another model.

    The median over probes of the total variation between the two distributions where answers are class
    probabilities; else of the mean difference by output, in standard deviations of the original's answers.
    Infinite where the model takes or gives something of another shape.
    """
    try:
        found = _asked(model, probes.inputs)
    except BadInput:
        return float("inf")
    wanted = probes.answers
    if found.shape != wanted.shape:
        return float("inf")
    difference = np.abs(found - wanted)
    if _are_shares(wanted):
        return float(np.median(difference.sum(axis=1) / 2))
    deviation = wanted.std(axis=0)
    used = deviation > 0
    return float(np.median((difference[:, used] / deviation[used]).mean(axis=1)))


def _pool(center: Array, scale: Array, seed: bytes) -> Array:
    """(`POOL`, inputs): normal numbers about the task's inputs, from half to four times as far.

    From SHAKE256 by Box and Muller, so that every version of every library draws the same.
    """
    half = POOL * center.size // 2
    stream = hashlib.shake_256(b"koinon.probes/1" + seed).digest(4 * (2 * half + POOL))
    uniform = (np.frombuffer(stream, dtype="<u4").astype(np.float64) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half : 2 * half]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)]).reshape(POOL, center.size)
    stretch = np.array([0.5, 1.0, 2.0, 4.0])[(uniform[2 * half :] * 4).astype(int)]
    return _single(center + scale * stretch[:, None] * normal)


def _margins(answers: Array) -> Array:
    """(n,): how decided each answer is; where answers are no shares, all the same."""
    if not _are_shares(answers) or answers.shape[1] < 2:
        return np.zeros(len(answers))
    best = np.sort(answers, axis=1)
    return best[:, -1] - best[:, -2]


def _asked(model: Answers, inputs: Array) -> Array:
    answers = np.asarray(model(inputs), dtype=np.float64)
    if answers.ndim == 1:
        answers = answers[:, None]
    if answers.ndim != 2 or len(answers) != len(inputs) or not np.isfinite(answers).all():
        raise _bad("the model's answers are no finite numbers, a row for each input")
    return answers


def _are_shares(answers: Array) -> bool:
    return bool((answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3))


def _spread(answers: Array) -> float:
    """How much answers to different inputs differ, as `distance` measures them."""
    middle = np.median(answers, axis=0)
    if _are_shares(answers):
        return float(np.mean(np.abs(answers - middle).sum(axis=1) / 2))
    return float((answers.std(axis=0) > 0).any())


def _single(values: Any) -> Array:
    """At float32's precision, so that a file and its reader hold the same numbers."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32).astype(np.float64)


def _bad(reason: str) -> BadInput:
    return BadInput(f"These probes tell no model apart: {reason}.", code="works.probes")
