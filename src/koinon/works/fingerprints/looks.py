# SPDX-License-Identifier: Apache-2.0
"""Perceptual hashes of pictures: 64 bits that survive scaling, recompression and small changes of colour.

The picture becomes 32 × 32 grey values, these a discrete cosine transform, and each bit says whether one of
the 8 × 8 lowest frequencies (without the constant) lies above their median. Cropped, turned or mirrored
pictures have other bits. Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from koinon.errors import BadInput, SetupError

NEAR_BITS: Final = 8
"""At most so many of the 64 bits differ between a picture and its copy."""

MOST_PIXELS: Final = 64_000_000
_SIDE: Final = 32
_KEPT: Final = 8


def picture_hash(content: bytes) -> bytes:
    """The hash of a picture's file, 8 bytes.

    Raises
    ------
    SetupError
        Pillow is not installed (``works.no_pillow``).
    BadInput
        It is no picture, too large, or shows nothing (``works.picture``).
    """
    return grey_hash(_decoded(content))


def grey_hash(grey: npt.NDArray[Any]) -> bytes:
    """The hash of (32, 32) grey values, 8 bytes; BadInput where all are the same."""
    if grey.shape != (_SIDE, _SIDE) or float(np.ptp(grey)) < 4:
        raise _bad("it shows nothing")
    number = np.arange(_SIDE)
    cosines = np.cos(np.pi * (2 * number[None, :] + 1) * number[:_KEPT, None] / (2 * _SIDE))
    low = (cosines @ grey.astype(np.float64) @ cosines.T).ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    return np.packbits(bits).tobytes()


def differing_bits(one: bytes, other: bytes) -> int:
    """In how many bits two hashes of one length differ."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def _decoded(content: bytes) -> npt.NDArray[Any]:
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  (only who hashes pictures needs it)
    except ImportError:
        raise SetupError(
            "Fingerprints of pictures need Pillow, which is not installed.",
            hint="pip install 'koinon[media]'",
            code="works.no_pillow",
        ) from None
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise _bad("it is too large")
            flat = picture.convert("RGBA")
            ground = Image.new("RGBA", flat.size, "white")
            ground.alpha_composite(flat)
            small = ground.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            return np.asarray(small)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _bad(f"it cannot be read ({type(error).__name__})") from None


def _bad(reason: str) -> BadInput:
    return BadInput(f"This picture has no fingerprint: {reason}.", code="works.picture")
