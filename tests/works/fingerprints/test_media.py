# SPDX-License-Identifier: Apache-2.0
"""Pictures and recordings are known again after what copying does to them."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.works.fingerprints.looks import NEAR_BITS, differing_bits, grey_hash, picture_hash
from koinon.works.fingerprints.record import Fingerprints, read_fingerprints
from koinon.works.fingerprints.sounds import NEAR_SHARE, differing_share, sound_print

Image = pytest.importorskip("PIL.Image")


def picture(seed: int, size: int = 160) -> Any:
    """Soft coloured shapes, as in a photograph out of focus."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    layers = np.zeros((size, size, 3))
    for _ in range(12):
        center, width, colour = draw.random(2), draw.uniform(0.05, 0.3), draw.random(3)
        layers += np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / width**2)[..., None] * colour
    return Image.fromarray((255 * layers / layers.max()).astype(np.uint8))


def saved(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: saved(image, "JPEG", quality=30),
        lambda image: saved(image.resize((97, 131))),
        lambda image: saved(image.convert("L")),
        lambda image: saved(Image.fromarray((np.asarray(image) * 0.8 + 20).astype(np.uint8))),
        lambda image: saved(image, "WEBP", quality=40),
    ],
    ids=["jpeg", "scaled", "grey", "pale", "webp"],
)
def test_a_copied_picture_is_near(copy: Any) -> None:
    for seed in range(4):
        image = picture(seed)
        assert differing_bits(picture_hash(saved(image)), picture_hash(copy(image))) <= NEAR_BITS


def test_other_pictures_are_far() -> None:
    hashes = [picture_hash(saved(picture(seed))) for seed in range(10)]
    pairs = [(one, other) for at, one in enumerate(hashes) for other in hashes[:at]]
    assert min(differing_bits(*pair) for pair in pairs) > NEAR_BITS


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"x" * 50])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        picture_hash(content)


def test_an_empty_picture_has_no_hash() -> None:
    with pytest.raises(BadInput):
        picture_hash(saved(Image.new("RGB", (50, 50), "white")))
    with pytest.raises(BadInput):
        grey_hash(np.zeros((3, 3)))


RATE = 22_050


def tune(seed: int, seconds: float = 5.0) -> Any:
    """Notes with overtones, a third of a second each."""
    draw = np.random.default_rng(seed)
    moment = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros_like(moment)
    for number in range(int(seconds * 3)):
        pitch = 220 * 2 ** (draw.integers(0, 30) / 12)
        inside = (moment >= number / 3) & (moment < number / 3 + 0.5)
        for overtone in range(1, 6):
            sound += inside * np.sin(2 * np.pi * pitch * overtone * moment) / overtone
    return sound / np.abs(sound).max() * 0.7


def recorded(sound: Any, rate: int = RATE, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        whole = np.repeat(np.clip(sound, -1, 1)[:, None], channels, axis=1)
        file.writeframes((whole * 32_000).astype("<i2").tobytes())
    return out.getvalue()


@pytest.mark.parametrize(
    "copy",
    [
        lambda sound: recorded(sound * 0.3),
        lambda sound: recorded(sound, channels=2),
        lambda sound: recorded(sound[::2], RATE // 2),
        lambda sound: recorded(sound + 0.01 * np.random.default_rng(1).standard_normal(sound.size)),
        lambda sound: recorded(np.concatenate([np.zeros(3000), sound])),
    ],
    ids=["quiet", "stereo", "half rate", "noise", "later"],
)
def test_a_copied_recording_is_near(copy: Any) -> None:
    for seed in range(2):
        sound = tune(seed)
        assert differing_share(sound_print(recorded(sound)), sound_print(copy(sound))) <= NEAR_SHARE


def test_other_recordings_are_far() -> None:
    prints = [sound_print(recorded(tune(seed))) for seed in range(5)]
    pairs = [(one, other) for at, one in enumerate(prints) for other in prints[:at]]
    assert min(differing_share(*pair) for pair in pairs) > NEAR_SHARE


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", recorded(np.zeros(RATE * 2)), recorded(tune(0, 0.5)), recorded(tune(0), rate=100)],
    ids=["nothing", "torn", "silent", "short", "slow"],
)
def test_what_is_no_recording_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        sound_print(content)


def test_fingerprints_are_read_as_they_were_written_and_compared() -> None:
    mine = Fingerprints(
        weights={"float32": b"w" * 32}, behaviour=b"b" * 32, pictures=(b"12345678",), sounds=(b"s" * 1024,)
    )
    assert Fingerprints.from_json(mine.to_json()) == mine
    assert {key for key, _value in mine.metadata()} == {"fingerprints", "weights"}
    assert [each.kind for each in mine.likenesses(mine)] == ["weights", "picture", "sound"]
    assert mine.likenesses(Fingerprints(pictures=(b"\xff" * 8,))) == []
    assert not Fingerprints()
    assert Fingerprints().metadata() == []


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"colour": 1},
        {"weights": {"float8": "0x" + "00" * 32}},
        {"weights": {"float32": "0x00"}},
        {"behaviour": "0xzz"},
        {"pictures": ["0x00"]},
        {"pictures": [5]},
        {"sounds": ["0x"]},
    ],
)
def test_malformed_fingerprints_are_none(data: Any) -> None:
    with pytest.raises(BadInput):
        Fingerprints.from_json(data)
    assert not read_fingerprints({"fingerprints": data})
