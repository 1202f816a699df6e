# SPDX-License-Identifier: Apache-2.0
"""What a gateway serves: one JSON file in its data directory, read again whenever it changes."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import orjson

from koinon.chain.keys import write_private
from koinon.errors import BadInput, NotFound
from koinon.services.gateway.limits import Limits
from koinon.services.gateway.releases import Release, check_version
from koinon.services.selling.comparison import Comparison

FILE_NAME = "services.json"


@dataclass(frozen=True)
class Service:
    """One Work that is called for money.

    Parameters
    ----------
    work_id : int
        The Work's id.
    name, description : str
        For people.
    till : str
        The Work's till: where every payment goes.
    price : int
        For one call, or for one ``unit``, in the coin's smallest unit.
    unit : str
        What is counted after the work (``token``, ``row``, ``second`` or a word of the function's own); ""
        where a call has one price.
    most_units : int
        The most that one call may count; of a stream, what the voucher that opens it covers.
    free_calls, free_in_all : int
        What each caller who signs for it, and all of them together, get for nothing in a day.
    kind : {"function", "model", "endpoint"}
        ``function`` runs in worker processes, ``model`` is a model file answered in the gateway itself,
        ``endpoint`` is asked over HTTP.
    target : str
        ``/absolute/path.py:function``, ``module:function``, the path of a model file, or a URL.
    workers, timeout_s : int, float
        For functions: processes, and seconds a call may take.
    inline : bool
        Run a trusted function in the gateway's own process.
    card : dict
        What every answer carries about quality: ``metric``, ``value``, ``baseline``, ``interval`` and so on.
    registration : dict
        The Work's registration file, as far as this gateway shows it.
    example : dict
        A request body that fits the schema.
    schema : dict
        Its signature (see `Signature.to_dict`) as published; what a retired service still shows.
    version : str
        What its answers name.
    limits : Limits
        What one caller may do.
    comparison : str
        When two answers count as the same (see `Comparison`); "" where it declares nothing.
    supported_trust : tuple of str
        As in its registration file.
    staged : Release, optional
        Another version that a share of the payers is answered by.
    retired : bool
        Not sold any more, but readable; channels are refunded.
    replaced_by : str
        What callers should use instead: a Work's global id or an address; "" for nothing.
    """

    work_id: int
    name: str
    description: str
    till: str
    price: int
    kind: Literal["function", "model", "endpoint"]
    target: str
    workers: int = 1
    timeout_s: float = 30.0
    inline: bool = False
    card: dict[str, Any] = field(default_factory=dict)
    registration: dict[str, Any] = field(default_factory=dict)
    example: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    version: str = "1"
    limits: Limits = field(default_factory=Limits)
    comparison: str = ""
    supported_trust: tuple[str, ...] = ("reputation",)
    staged: Release | None = None
    retired: bool = False
    replaced_by: str = ""
    unit: str = ""
    most_units: int = 1
    free_calls: int = 0
    free_in_all: int = 0

    def __post_init__(self) -> None:
        check_version(self.version)
        if self.comparison:
            Comparison.parse(self.comparison)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Service:
        """Read what `to_dict` wrote; BadInput when a field is missing, unknown or of the wrong type."""
        known = {item.name for item in fields(cls)}
        try:
            unknown = set(data) - known
            found = {name: value for name, value in data.items() if name in known}
            if "limits" in found:
                found["limits"] = Limits.from_json(found["limits"])
            if found.get("staged") is not None:
                found["staged"] = Release.from_dict(found["staged"])
            found["supported_trust"] = tuple(found.get("supported_trust", ("reputation",)))
            service = cls(**found)
        except TypeError as error:
            raise BadInput(
                f"A service's description is incomplete: {error}.", code="service.registry"
            ) from None
        if unknown or service.kind not in ("function", "model", "endpoint") or service.price <= 0:
            raise BadInput(
                f"The description of service {service.work_id} is wrong.",
                hint="Publish it again.",
                code="service.registry",
            )
        return service


class Registry:
    """The file. Safe against two processes writing at once."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME

    def all(self) -> dict[int, Service]:
        """Every service by its Work's id."""
        try:
            content = orjson.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise BadInput(
                f"{self.path} is not readable: {error}.",
                hint="Restore or remove it.",
                code="service.registry",
            ) from None
        services = [Service.from_dict(item) for item in content["services"]]
        return {service.work_id: service for service in services}

    def get(self, work_id: int) -> Service:
        """One service; NotFound."""
        try:
            return self.all()[work_id]
        except KeyError:
            raise NotFound(f"No service sells Work {work_id} here.", code="service.unknown") from None

    def add(self, service: Service) -> None:
        """Add or replace."""
        with self._locked():
            services = self.all()
            services[service.work_id] = service
            self._write(services)

    def change(self, work_id: int, edit: Callable[[Service], Service]) -> Service:
        """Replace a service by what ``edit`` makes of it, with nobody writing in between; NotFound."""
        with self._locked():
            services = self.all()
            if work_id not in services:
                raise NotFound(f"No service sells Work {work_id} here.", code="service.unknown")
            services[work_id] = edit(services[work_id])
            self._write(services)
            return services[work_id]

    def remove(self, work_id: int) -> None:
        """Stop selling a Work here; NotFound."""
        with self._locked():
            services = self.all()
            if services.pop(work_id, None) is None:
                raise NotFound(f"No service sells Work {work_id} here.", code="service.unknown")
            self._write(services)

    def version(self) -> tuple[int, int]:
        """Changes whenever the file does."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_ino)

    def _write(self, services: dict[int, Service]) -> None:
        document = {"services": [services[work_id].to_dict() for work_id in sorted(services)]}
        write_private(self.path, orjson.dumps(document, option=orjson.OPT_INDENT_2))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
