# SPDX-License-Identifier: Apache-2.0
"""What really happened, as no chain shows it: who is who, and which transfers belong together and why.

It is written beside the data directory's other files and never goes onto the chain; nothing but evaluation
may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from koinon.errors import IntegrityError, NotFound
from koinon.markets.simulation.accounts import Accounts, Person
from koinon.markets.simulation.tape import Sent


@dataclass
class Case:
    """Transfers that one plan made. ``typology`` such as ``cycle`` or ``payroll``, ``illicit`` whether it
    launders money, ``sent`` the tape's numbers of its transfers, ``members`` the accounts' addresses."""

    number: int
    typology: str
    illicit: bool
    members: tuple[str, ...]
    sent: list[int] = field(default_factory=list)
    planned: int = 0


@dataclass
class Truth:
    """The ground truth of one simulation."""

    cases: list[Case] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def open_case(self, typology: str, *, illicit: bool, members: Iterable[Person], planned: int) -> Case:
        """A new case; ``planned`` is how many transfers it will take."""
        case = Case(len(self.cases), typology, illicit, tuple(each.address for each in members))
        case.planned = planned
        self.cases.append(case)
        return case

    def happened(self, what: str, at: int, **fields: Any) -> None:
        """Something worth evaluating by, at a time (Unix seconds): a default, a liquidation, a whitewash."""
        self.events.append({"what": what, "at": at, **fields})

    def document(
        self, accounts: Accounts, hashes: Mapping[int, tuple[str, int]] | None = None
    ) -> dict[str, Any]:
        """All of it. ``hashes``: tape number → (transaction hash, block number) on the chain it went to."""
        found = hashes or {}
        return {
            "people": [
                {
                    "address": each.address,
                    "name": each.name,
                    "role": each.role,
                    "kind": each.kind,
                    "owner": each.owner,
                }
                for each in accounts
            ],
            "cases": [
                {
                    "case": case.number,
                    "typology": case.typology,
                    "illicit": case.illicit,
                    "members": list(case.members),
                    "planned": case.planned,
                    "transfers": [
                        {"number": number, "transaction": place[0], "block": place[1]}
                        if (place := found.get(number))
                        else {"number": number}
                        for number in case.sent
                    ],
                }
                for case in self.cases
            ],
            "events": self.events,
        }


def keep(case: Case, sent: Sent) -> None:
    """Count a transfer into its case."""
    case.sent.append(sent.number)


def read(path: Path) -> dict[str, Any]:
    """A ground truth file.

    Raises
    ------
    NotFound
        There is none.
    IntegrityError
        It is damaged.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(
            f"There is no ground truth at {path}.",
            hint="A chain that `koinon markets fill` filled has one.",
            code="markets.truth",
        ) from None
    except ValueError:
        content = None
    if not isinstance(content, dict) or not {"people", "cases", "events"} <= set(content):
        raise IntegrityError(f"The ground truth at {path} is damaged.", code="markets.truth_damaged")
    return content


def illicit_transactions(document: Mapping[str, Any]) -> Iterator[str]:
    """The hashes of every transfer that launders money."""
    for case in document["cases"]:
        if case["illicit"]:
            yield from (each["transaction"] for each in case["transfers"] if "transaction" in each)
