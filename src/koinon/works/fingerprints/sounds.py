# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of sound: for each third of a second 32 bits of how energy moves between bands.

A recording becomes mono at about 5.5 kHz, windows of 0.37 s that overlap by 31/32, and energies of 33 bands
between 300 and 2,000 Hz; a bit says whether the difference between two neighbouring bands grew since the
window before. Louder, recompressed or slightly noisy copies keep most bits; another speed or pitch does not.
Source: J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002.
"""

from __future__ import annotations

import io
import wave
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from koinon.errors import BadInput

NEAR_SHARE: Final = 0.30
"""At most this share of bits differs between a recording and its copy, at their best alignment."""

RATE_HZ: Final = 5512
WORDS: Final = 256
"""32-bit words in a fingerprint: about three seconds from the middle of the recording."""

_WINDOW: Final = 2048
_HOP: Final = 64
_BANDS: Final = 33
_LARGEST: Final = 256 << 20


def sound_print(content: bytes) -> bytes:
    """The fingerprint of a WAV file's loudest three seconds, `WORDS` × 4 bytes; fewer for a shorter one.

    Raises
    ------
    BadInput
        It is no WAV file of 16-bit samples, too short, or silent (``works.sound``).
    """
    return samples_print(*_decoded(content))


def samples_print(samples: npt.NDArray[Any], rate_hz: int) -> bytes:
    """As `sound_print`, of mono samples (n,) at a rate."""
    mono = _resampled(samples.astype(np.float64), rate_hz)
    frames = (mono.size - _WINDOW) // _HOP + 1
    if frames < 33:
        raise _bad("it is shorter than a second")
    if np.sqrt(np.mean(mono**2)) < 1e-4 * max(1.0, float(np.abs(samples).max())):
        raise _bad("it is silent")
    begin = _loudest(mono, min(frames, WORDS + 1))
    edges = np.geomspace(300, 2000, _BANDS + 1) * _WINDOW / RATE_HZ
    windows = np.lib.stride_tricks.sliding_window_view(mono, _WINDOW)[begin::_HOP][: WORDS + 1]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), axis=1)) ** 2
    bands = np.stack(
        [power[:, int(low) : max(int(low) + 1, int(high))].sum(axis=1) for low, high in pairwise(edges)],
        axis=1,
    )
    return np.packbits(np.diff(np.diff(bands, axis=1), axis=0) > 0, axis=1).tobytes()


def differing_share(one: bytes, other: bytes) -> float:
    """The share of bits in which two fingerprints differ at their best alignment by up to a second; 1.0 where
    they overlap by less than a half."""
    first, second = _words(one), _words(other)
    shortest = min(len(first), len(second))
    best = 1.0
    for shift in range(-86, 87):
        head, tail = first[max(0, shift) :], second[max(0, -shift) :]
        size = min(len(head), len(tail))
        if size * 2 >= shortest and size:
            best = min(best, float(np.mean(head[:size] != tail[:size])))
    return best


def _words(content: bytes) -> npt.NDArray[np.uint8]:
    whole = content[: len(content) // 4 * 4]
    return np.unpackbits(np.frombuffer(whole, dtype=np.uint8).reshape(-1, 4), axis=1)


def _loudest(mono: npt.NDArray[np.float64], frames: int) -> int:
    """Where the loudest stretch of so many windows begins, on a grid of a tenth of a second."""
    length = (frames - 1) * _HOP + _WINDOW
    energy = np.concatenate([[0.0], np.cumsum(mono**2)])
    starts = np.arange(0, mono.size - length + 1, RATE_HZ // 10)
    return int(starts[np.argmax(energy[starts + length] - energy[starts])])


def _resampled(samples: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    """At `RATE_HZ`, what lies above the new half rate taken out first."""
    spectrum = np.fft.rfft(samples)
    size = max(1, round(samples.size * RATE_HZ / rate_hz))
    kept = min(spectrum.size, size // 2 + 1)
    return np.fft.irfft(spectrum[:kept], size) * (size / samples.size)


def _decoded(content: bytes) -> tuple[npt.NDArray[Any], int]:
    if len(content) > _LARGEST:
        raise _bad("it is too long")
    try:
        with wave.open(io.BytesIO(content)) as file:
            if file.getsampwidth() != 2 or not 1 <= file.getnchannels() <= 8:
                raise _bad("its samples are not 16 bits")
            rate, channels = file.getframerate(), file.getnchannels()
            raw = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except (wave.Error, EOFError, ValueError) as error:
        raise _bad(f"it is no WAV file ({error})") from None
    if not 1_000 <= rate <= 400_000:
        raise _bad(f"it has {rate} samples a second")
    whole = raw[: raw.size // channels * channels]
    return whole.reshape(-1, channels).mean(axis=1), rate


def _bad(reason: str) -> BadInput:
    return BadInput(f"This recording has no fingerprint: {reason}.", code="works.sound")
