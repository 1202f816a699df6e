# SPDX-License-Identifier: Apache-2.0
"""A folder with one order of a compute job: what was ordered, its program, and the key to its result."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.keys import write_private
from koinon.data.jobs import Bundle
from koinon.data.sealed_box import BoxKey

ORDER: Final = "order.json"
_PROGRAM: Final = "program.json"
_BOX: Final = "box.key"
_RESULT: Final = "result.sealed"


@dataclass(frozen=True)
class JobOrder:
    """One order as its folder has it; ``job_id`` 0 until the chain has it."""

    number: str
    url: str
    work_id: int
    buyer: str
    schema_text: str = field(repr=False)
    blocks: int
    max_seconds: int
    price_per_second: int
    deadline: int
    first_job: int
    job_id: int = 0
    why: str = ""


class OrderFolder:
    """The files of one order; readable by their owner alone."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One payment at a time for an order."""
        self.place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.place / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def exists(self) -> bool:
        """Whether an order was written."""
        return (self.place / ORDER).exists()

    def begin(self, order: JobOrder, program: Bundle) -> None:
        """Write everything that must be here before money moves; the order itself last."""
        write_private(self.place / _BOX, BoxKey.generate().secret)
        write_private(self.place / _PROGRAM, orjson.dumps(program.to_fields()))
        self.write(order)

    def write(self, order: JobOrder) -> None:
        write_private(self.place / ORDER, orjson.dumps(asdict(order)))

    def read(self) -> JobOrder:
        return JobOrder(**orjson.loads((self.place / ORDER).read_bytes()))

    @property
    def program(self) -> Bundle:
        return Bundle.from_fields(orjson.loads((self.place / _PROGRAM).read_bytes()))

    @property
    def box(self) -> BoxKey:
        return BoxKey.from_secret((self.place / _BOX).read_bytes())

    @property
    def sealed_result(self) -> bytes | None:
        """The result as the node handed it out; None before."""
        path = self.place / _RESULT
        return path.read_bytes() if path.exists() else None

    def keep_result(self, sealed: bytes) -> None:
        write_private(self.place / _RESULT, sealed)
