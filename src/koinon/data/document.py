# SPDX-License-Identifier: Apache-2.0
"""What everyone sees of a dataset: the document that its registration file names."""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import Any, Final

import orjson

from koinon.data.policy_file import USES, DatasetPolicy, units
from koinon.data.statistics import Statistics
from koinon.errors import BadInput
from koinon.store import Store
from koinon.works.registration import Registration
from koinon.works.terms import text_digest

DOCUMENT: Final = "dataset.json"
_COMPUTE: Final[dict[str, type | UnionType]] = {
    "price_per_second": int,
    "max_seconds": int,
    "max_blocks": int,
    "epsilon_per_job": int | float,
    "slot_s": int | float,
    "algorithms": list,
    "models": bool,
    "without_noise": bool,
    "trusts_sensitivity": bool,
}


@dataclass(frozen=True)
class DatasetDocument:
    """What everyone sees of a dataset, as `dataset.json` says it."""

    columns: tuple[str, ...]
    statistics: dict[str, Any] | None
    sample: list[dict[str, float]]
    commitment: str
    terms: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return orjson.dumps(
            {
                "columns": list(self.columns),
                "statistics": self.statistics,
                "sample": self.sample,
                "commitment": self.commitment,
                "terms": self.terms,
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> DatasetDocument:
        """Read it; BadInput when it is none."""
        try:
            told = orjson.loads(content)
            found = cls(
                tuple(str(name) for name in told["columns"]),
                told["statistics"],
                [{str(name): float(value) for name, value in row.items()} for row in told["sample"]],
                str(told["commitment"]),
                dict(told["terms"]),
            )
            sound = bool(found.columns) and found._terms_are_sound()
        except (AttributeError, KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise BadInput(
                "This is not the document of a dataset.", hint="Ask its owner.", code="data.document"
            )
        if found.statistics is not None:
            Statistics.from_json(found.statistics)
        return found

    def _terms_are_sound(self) -> bool:
        """Whether pages and programs may take them for terms: their owner wrote what they liked."""
        compute = self.terms.get("compute")
        return all(isinstance(each, dict) for each in self.terms.values()) and (
            compute is None or all(isinstance(compute[name], kind) for name, kind in _COMPUTE.items())
        )

    @property
    def terms_digest(self) -> bytes:
        """Digest of the terms' text: what grants are given under."""
        return text_digest(orjson.dumps(self.terms, option=orjson.OPT_SORT_KEYS).decode())


def terms_of(policy: DatasetPolicy, decimals: int) -> dict[str, Any]:
    """The terms as everyone reads them; amounts in the coin's smallest unit."""
    told: dict[str, Any] = {
        name: {
            "price": units(policy.sales[use].price, decimals),
            "period_days": policy.sales[use].period_days,
            "consent": policy.sales[use].consent.name.lower(),
            "expires_at": policy.sales[use].expires_at,
        }
        for name, use in USES.items()
        if use in policy.sales
    }
    if policy.compute is not None:
        gate = policy.gate
        told["compute"] |= {
            "price_per_second": units(policy.compute.price_per_second, decimals),
            "max_seconds": policy.compute.max_seconds,
            "algorithms": list(policy.compute.algorithms),
            "billing_step_s": policy.billing_s,
            "slot_s": gate.slot_s,
            "epsilon_per_job": gate.epsilon_per_job,
            "least_epsilon": policy.least_epsilon,
            "delta_per_job": gate.delta_per_job,
            "min_group": gate.min_group,
            "models": gate.allow_models,
            "without_noise": gate.allow_undeclared,
            "trusts_sensitivity": gate.trust_sensitivity,
            "max_blocks": policy.max_blocks,
        }
    return told


def document_of(store: Store, registration: Registration) -> DatasetDocument:
    """What a dataset's registration file says of it; BadInput when it is no dataset of this market."""
    for content in registration.contents:
        if content.name == DOCUMENT:
            return DatasetDocument.from_bytes(store.get(content.cid))
    raise BadInput(
        f"{registration.name} is no dataset of this market.",
        hint="It was published in another way; see: koinon works show",
        code="data.no_document",
    )
