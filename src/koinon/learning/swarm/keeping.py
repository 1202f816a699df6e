# SPDX-License-Identifier: Apache-2.0
"""What a peer leaves in its folder when a run is over: the model, and everything to compute the run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.eip712 import Domain
from koinon.chain.keys import write_private
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.learning.evidence import Contributions, Evidence
from koinon.learning.gains import OwnReport
from koinon.learning.global_model import ALONE
from koinon.learning.messages import AloneModel, Joining, payload_digest
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.swarm.reports import read_report
from koinon.learning.swarm.roster import Roster
from koinon.learning.trained import TrainedModel

MODEL: Final = "model.npz"
_EVIDENCE, _SHARES, _AGREEMENTS = "evidence.bin", "contributions.json", "agreements.bin"
_ALONE, _REPORTS = "alone.bin", "reports.bin"


@dataclass(frozen=True)
class Kept:
    """A finished run as one peer kept it; joinings by member."""

    model: TrainedModel
    evidence: Evidence
    contributions: Contributions
    joinings: tuple[Joining, ...]


def keep(
    folder: Path, model: TrainedModel, evidence: Evidence, shares: Contributions, roster: Roster
) -> None:
    """Write everything."""
    frames = [
        agreed.frame
        for one in roster.members
        if one.member is not None and (agreed := roster.agreed(one.member)) is not None
    ]
    write_private(folder / _AGREEMENTS, _pack(frames))
    write_private(folder / _EVIDENCE, evidence.to_bytes())
    write_private(folder / _SHARES, shares.to_bytes())
    model.save(folder / MODEL)  # last: where it is, all is


def read_kept(folder: Path, domain: Domain) -> Kept:
    """What `keep` wrote; NotFound where a run is not finished there.

    Raises
    ------
    BadInput, IntegrityError
        It is something else.
    """
    try:
        model = TrainedModel.load(folder / MODEL)
        evidence = Evidence.from_bytes((folder / _EVIDENCE).read_bytes())
        shares = read_contributions((folder / _SHARES).read_bytes())
        frames = _unpack((folder / _AGREEMENTS).read_bytes())
    except OSError as error:
        raise NotFound(f"No finished run is kept in {folder.name}.", code="learning.no_run") from error
    return Kept(model, evidence, shares, tuple(Joining.unpack(frame, domain)[0] for frame in frames))


def read_contributions(content: bytes) -> Contributions:
    """Read what `Contributions.to_bytes` wrote; BadInput where it is something else."""
    try:
        found = orjson.loads(content)
        return Contributions(
            rule=str(found["rule"]),
            contribution_set=bytes.fromhex(found["contribution_set"]),
            values=tuple(found["values"]),
            low=tuple(found["low"]),
            high=tuple(found["high"]),
            copies=tuple(tuple(group) for group in found["copies"]),
            shares={int(member): int(share) for member, share in found["shares"].items()},
            minimums={int(member): int(share) for member, share in found["minimums"].items()},
            evidence=bytes.fromhex(found["evidence"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput("These are no contributions of a run.", code="learning.contributions") from error


def keep_alone(folder: Path, frame: bytes) -> None:
    """Write the signed model made alone, to be measured beside the common one."""
    write_private(folder / _ALONE, frame)


def read_alone(folder: Path, recipe: Recipe, domain: Domain) -> Mapping[str, Vector]:
    """The model an owner made alone, by its account; empty where none was kept."""
    try:
        message, payload = AloneModel.unpack((folder / _ALONE).read_bytes(), domain)
    except OSError:
        return {}
    if payload_digest(payload) != message.model:
        raise IntegrityError("The model is not the one that was signed.", code="learning.digest")
    return {message.owner: ALONE.decode(payload, recipe.model.size)}


def keep_reports(folder: Path, frames: Sequence[bytes]) -> None:
    """Write what owners told of themselves."""
    write_private(folder / _REPORTS, _pack(frames))


def read_reports(folder: Path, recipe: Recipe, run_id: int, domain: Domain) -> Mapping[str, OwnReport]:
    """What owners told of themselves, by account; empty where nothing was kept."""
    try:
        frames = _unpack((folder / _REPORTS).read_bytes())
    except OSError:
        return {}
    return dict(read_report(frame, recipe, run_id, domain) for frame in frames)


def _pack(frames: Sequence[bytes]) -> bytes:
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def _unpack(content: bytes) -> list[bytes]:
    frames, position = [], 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        frames.append(content[position + 4 : position + 4 + length])
        position += 4 + length
    return frames
