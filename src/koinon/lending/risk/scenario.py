# SPDX-License-Identifier: Apache-2.0
"""A scenario as a file: positions, market, price path and what the model says it does, to be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from koinon.errors import BadInput
from koinon.lending.risk.book import Book, Floats, Venue
from koinon.lending.risk.cascade import Outcome, run_path
from koinon.lending.risk.montecarlo import Simulated

FORMAT: Final = "koinon-lending-scenario-1"


@dataclass(frozen=True)
class Scenario:
    """``returns`` log returns of the pair's price, a step each; ``predicted`` what the model made of them."""

    name: str
    book: Book
    venue: Venue
    returns: Floats
    predicted: Outcome

    @classmethod
    def of(cls, name: str, book: Book, venue: Venue, returns: Floats) -> Scenario:
        """With the model's prediction."""
        return cls(name, book, venue, returns, run_path(book, venue, returns))

    def to_json(self) -> bytes:
        """Canonical JSON, read back by `from_json` to the last bit."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "name": self.name,
                "venue": asdict(self.venue),
                "positions": self.book.rows(),
                "returns": [float(each) for each in self.returns],
                "predicted": asdict(self.predicted),
            },
            option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_json(cls, content: bytes | str) -> Scenario:
        """`BadInput` for what `to_json` never wrote."""
        try:
            document: Mapping[str, Any] = orjson.loads(content)
            _ = {FORMAT: True}[document["format"]]
            return cls(
                str(document["name"]),
                Book.of(document["positions"]),
                Venue(**document["venue"]),
                np.array(document["returns"], dtype=np.float64),
                Outcome(**document["predicted"]),
            )
        except (ValueError, TypeError, KeyError) as fault:
            raise BadInput(
                "This is not a lending scenario.",
                hint="Give a file that `koinon lending risk --export` wrote.",
                code="lending.scenario",
            ) from fault

    @classmethod
    def load(cls, path: Path) -> Scenario:
        """Read a file; `BadInput` where there is none or it is damaged."""
        try:
            return cls.from_json(path.read_bytes())
        except OSError:
            raise BadInput(
                f"{path} cannot be read.", hint="Check the path.", code="lending.scenario"
            ) from None


def worst_scenarios(book: Book, venue: Venue, simulated: Simulated, count: int) -> list[Scenario]:
    """The runs with the most net insolvent debt, worst first."""
    return [
        Scenario(f"run {run}", book, venue, simulated.paths[run], simulated.outcomes[int(run)])
        for run in simulated.worst(count)
    ]


def save_all(scenarios: Sequence[Scenario], folder: Path) -> list[Path]:
    """Write each to a file of its own, worst first by name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, scenario in enumerate(scenarios, start=1):
        path = folder / f"scenario-{number:02}.json"
        path.write_bytes(scenario.to_json())
        paths.append(path)
    return paths
