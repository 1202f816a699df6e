# SPDX-License-Identifier: Apache-2.0
"""What a promise is about, as a document whose digest stands on chain: what runs, and the rule by which its
answers are compared.

A runtime is a published function's source or a model file, the interpreter and the packages that matter. Its
digest is in every signed answer. Whoever runs an answer again needs the very same; with ``exact`` another
version may already differ in the last digit.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import orjson

import koinon
from koinon.errors import BadInput
from koinon.services.gateway.registry import Service
from koinon.services.selling.comparison import Comparison

FORMAT: Final = "koinon verification 1"
PACKAGES: Final = ("numpy", "orjson", "pydantic", "pydantic-core")
LARGEST_FILE: Final = 32 << 20
_LARGEST_DOCUMENT: Final = 64 * 1024


@dataclass(frozen=True)
class Runtime:
    """What runs.

    Parameters
    ----------
    kind : {"function", "model"}
        As the service's.
    entry : str
        The function's name; "" for a model.
    suffix : str
        Of the file's name: ".py" or a model format's.
    file : str
        sha256 of the file, in hex.
    python, koinon : str
        Versions.
    packages : mapping of str to str
        Version by name.
    """

    kind: Literal["function", "model"]
    entry: str
    suffix: str
    file: str
    python: str
    koinon: str
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """sha256 of its fields as JSON with sorted keys: 32 bytes."""
        return hashlib.sha256(_canonical(asdict(self))).digest()

    @classmethod
    def of(cls, service: Service, packages: Mapping[str, str]) -> tuple[Self, bytes]:
        """The runtime of a service as it is published, and its file; ``packages`` is what is installed.

        Raises
        ------
        BadInput
            Nobody else could run it: an endpoint, or a module that is no single file
            (``verification.not_rerunnable``).
        """
        place, entry = service.target, ""
        if service.kind == "function":
            place, _, entry = service.target.rpartition(":")
        path = Path(place)
        if service.kind not in ("function", "model") or not path.is_file():
            raise BadInput(
                f"Nobody else can run Work {service.work_id} again: it is no single file.",
                hint="Stake on a function in a file of its own or a model file, or ask several providers.",
                code="verification.not_rerunnable",
            )
        content = path.read_bytes()
        if len(content) > LARGEST_FILE:
            raise BadInput("What runs is larger than 32 MiB.", code="verification.not_rerunnable")
        runtime = cls(
            kind=service.kind,
            entry=entry,
            suffix=path.suffix,
            file=hashlib.sha256(content).hexdigest(),
            python=".".join(platform.python_version_tuple()[:2]),
            koinon=koinon.__version__,
            packages={name: packages[name] for name in PACKAGES if name in packages},
        )
        return runtime, content


@dataclass(frozen=True)
class Details:
    """The document. ``audits`` says who may see answers: ``open`` anybody (auditors sample them), ``callers``
    only who got one."""

    work_id: int
    runtime: Runtime
    comparison: Comparison
    audits: Literal["open", "callers"] = "open"

    def to_bytes(self) -> bytes:
        """The same bytes for the same details."""
        return _canonical(
            {
                "format": FORMAT,
                "work_id": self.work_id,
                "runtime": asdict(self.runtime),
                "comparison": str(self.comparison),
                "audits": self.audits,
            }
        )

    @property
    def digest(self) -> bytes:
        """sha256 of the document: what the promise on chain holds."""
        return hashlib.sha256(self.to_bytes()).digest()

    @classmethod
    def from_bytes(cls, document: bytes) -> Self:
        """Read what `to_bytes` wrote; BadInput (``verification.details``) for anything else."""
        wrong = BadInput("These are not the details of a promise.", code="verification.details")
        if len(document) > _LARGEST_DOCUMENT:
            raise wrong
        try:
            data: Any = orjson.loads(document)
            form = data.pop("format")
            comparison = Comparison.parse(data.pop("comparison"))
            details = cls(runtime=Runtime(**data.pop("runtime")), comparison=comparison, **data)
            same = details.to_bytes() == document
        except (ValueError, TypeError, KeyError, AttributeError, BadInput) as error:
            raise wrong from error
        if form != FORMAT or not same or details.audits not in ("open", "callers"):
            raise wrong
        return details


def _canonical(data: dict[str, Any]) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
