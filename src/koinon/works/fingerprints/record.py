# SPDX-License-Identifier: Apache-2.0
"""The fingerprints a Work registers: in its signed file by value, on chain by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput
from koinon.works.fingerprints.looks import NEAR_BITS, differing_bits
from koinon.works.fingerprints.sounds import NEAR_SHARE, differing_share
from koinon.works.fingerprints.weights import PRECISIONS

TOPIC: Final = "fingerprints"
"""Of the file's ``koinon.about``, and the key of the digest on chain."""

WEIGHTS_KEY: Final = "weights"
"""The key on chain under which the weights' float32 digest stands, 32 bytes."""

MOST_MEDIA: Final = 1_000
_PICTURE_BYTES: Final = 8
_MOST_SOUND_BYTES: Final = 4096


@dataclass(frozen=True)
class Likeness:
    """Two Works that have a fingerprint in common: which kind, and how far apart (0 the same)."""

    kind: str
    distance: float


@dataclass(frozen=True)
class Fingerprints:
    """What is registered of one Work.

    Parameters
    ----------
    weights : mapping
        Precision → digest of 32 bytes, see `weights_digests`; empty where it has none.
    behaviour : bytes
        Digest of its `Probes`, 32 bytes; empty where there are none.
    pictures, sounds : tuple of bytes
        See `picture_hash`, `sound_print`; at most 1,000 each.

    Raises
    ------
    BadInput
        A part has the wrong length, or there are too many (``works.fingerprints``).
    """

    weights: Mapping[str, bytes] = field(default_factory=dict)
    behaviour: bytes = b""
    pictures: tuple[bytes, ...] = ()
    sounds: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        right = (
            set(self.weights) <= set(PRECISIONS)
            and all(len(each) == 32 for each in self.weights.values())
            and len(self.behaviour) in (0, 32)
            and all(len(each) == _PICTURE_BYTES for each in self.pictures)
            and all(0 < len(each) <= _MOST_SOUND_BYTES for each in self.sounds)
            and max(len(self.pictures), len(self.sounds)) <= MOST_MEDIA
        )
        if not right:
            raise _malformed()

    def __bool__(self) -> bool:
        return bool(self.weights or self.behaviour or self.pictures or self.sounds)

    def to_json(self) -> dict[str, Any]:
        """As in the registration file: hexadecimal, empty parts left out."""
        found: dict[str, Any] = {
            "weights": {name: _hex(each) for name, each in self.weights.items()},
            "behaviour": _hex(self.behaviour) if self.behaviour else "",
            "pictures": [_hex(each) for each in self.pictures],
            "sounds": [_hex(each) for each in self.sounds],
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_json(cls, data: Any) -> Fingerprints:
        """Read what `to_json` wrote; BadInput for anything else."""
        try:
            if not set(data) <= {"weights", "behaviour", "pictures", "sounds"}:
                raise _malformed()
            return cls(
                weights={str(name): _bytes(each) for name, each in data.get("weights", {}).items()},
                behaviour=_bytes(data.get("behaviour", "0x")),
                pictures=tuple(_bytes(each) for each in data.get("pictures", [])),
                sounds=tuple(_bytes(each) for each in data.get("sounds", [])),
            )
        except (AttributeError, TypeError, ValueError):
            raise _malformed() from None

    @property
    def digest(self) -> bytes:
        """keccak256 of the canonical JSON, 32 bytes: what stands on chain."""
        return keccak256(orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS))

    def metadata(self) -> list[tuple[str, bytes]]:
        """On-chain metadata of a Work that registers these (see `Works.publish`)."""
        entries = [(TOPIC, self.digest)] if self else []
        if "float32" in self.weights:
            entries.append((WEIGHTS_KEY, self.weights["float32"]))
        return entries

    def likenesses(self, other: Fingerprints) -> list[Likeness]:
        """What two Works have in common, without asking either; behaviour needs the owner's probes."""
        found = []
        if any(self.weights.get(name) == each for name, each in other.weights.items()):
            found.append(Likeness("weights", 0.0))
        bits = [differing_bits(one, two) for one in self.pictures for two in other.pictures]
        if bits and min(bits) <= NEAR_BITS:
            found.append(Likeness("picture", min(bits) / 64))
        shares = [differing_share(one, two) for one in self.sounds for two in other.sounds]
        if shares and min(shares) <= NEAR_SHARE:
            found.append(Likeness("sound", min(shares)))
        return found


def read_fingerprints(about: Mapping[str, Any]) -> Fingerprints:
    """Those in a registration's ``about``; empty where it has none or they are malformed."""
    try:
        return Fingerprints.from_json(about.get(TOPIC, {}))
    except BadInput:
        return Fingerprints()


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(text: Any) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _malformed() -> BadInput:
    return BadInput(
        "These fingerprints are malformed.",
        hint="Let `koinon service publish` or `koinon lineage register` write them.",
        code="works.fingerprints",
    )
