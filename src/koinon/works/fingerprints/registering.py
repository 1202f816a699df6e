# SPDX-License-Identifier: Apache-2.0
"""Giving a Work that exists the fingerprints of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from koinon.errors import BadInput
from koinon.works.api import Works
from koinon.works.fingerprints.looks import picture_hash
from koinon.works.fingerprints.record import TOPIC, Fingerprints, read_fingerprints
from koinon.works.fingerprints.sounds import sound_print


def media_fingerprints(files: Mapping[str, bytes]) -> Fingerprints:
    """Of pictures and recordings by their names: ``.wav`` is a recording, all else a picture.

    Raises
    ------
    BadInput
        A file is neither (``works.picture``, ``works.sound``), or there are none (``works.fingerprints``).
    SetupError
        Pillow is not installed (``works.no_pillow``).
    """
    if not files:
        raise BadInput("There is no file to take a fingerprint of.", code="works.fingerprints")
    heard = {name: content for name, content in files.items() if name.lower().endswith(".wav")}
    return Fingerprints(
        pictures=tuple(picture_hash(files[name]) for name in files if name not in heard),
        sounds=tuple(sound_print(content) for content in heard.values()),
    )


def register(works: Works, work_id: int, prints: Fingerprints) -> Fingerprints:
    """Add fingerprints to those of a Work, in its file and on chain; all it has now.

    They count from now on, except for weights registered before. Cut off, call it again.

    Raises
    ------
    NotFound
        No such Work, or its file is not in this store.
    TransactionFailed
        The key is not its owner's or an operator's.
    """
    before = works.registration_of(work_id).registration
    old = read_fingerprints(before.about)
    whole = Fingerprints(
        weights={**old.weights, **prints.weights},
        behaviour=prints.behaviour or old.behaviour,
        pictures=tuple(dict.fromkeys((*old.pictures, *prints.pictures))),
        sounds=tuple(dict.fromkeys((*old.sounds, *prints.sounds))),
    )
    if whole != old:
        works.update(work_id, replace(before, about={**before.about, TOPIC: whole.to_json()}))
    for key, value in whole.metadata():
        if bytes(works.contract.call("getMetadata", work_id, key)) != value:
            works.set_metadata(work_id, key, value)
    return whole
