# SPDX-License-Identifier: Apache-2.0
"""What is indexed: contracts by address, clones by the event that names them, and their events' tables."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.events import Child, Column, Layout, layouts, snake
from koinon.chain.network import Network
from koinon.errors import BadInput

RESERVED_TABLES: Final = frozenset({"block", "head", "identity", "source", "undecoded", "undone"})
RESERVED_PREFIX: Final = "work_"
"""Of tables that other rooms keep beside the index."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")
_LONGEST: Final = 60  # PostgreSQL cuts names after 63 bytes

CLONES: Final = {
    "Pair": ("pair_factory_pair_created", "pair"),
    "CreditPool": ("credit_pool_factory_pool_created", "pool"),
    "Till": ("works_till_deployed", "till"),
    "Vault": ("vault_factory_vault_created", "vault"),
}
"""Contracts of Koinon that are made by another one: the table and column that name their addresses."""


@dataclass(frozen=True)
class Table:
    """One event of one source. ``name`` such as ``works_registered``, ``children`` its arrays' tables."""

    name: str
    layout: Layout
    children: tuple[tuple[str, Child], ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.layout.columns


@dataclass(frozen=True)
class Source:
    """A contract, or every clone of one.

    ``address`` None for clones, which ``parent`` (table, column) names; ``from_block`` the first block to
    look at.
    """

    name: str
    abi: Sequence[Mapping[str, Any]]
    address: str | None
    from_block: int
    parent: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput(
                f"{self.name!r} cannot be the name of a contract in the index.",
                hint="Use up to 30 lower-case letters, digits and underscores, a letter first.",
                code="index.name",
            )

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """One for each event; overloaded events are numbered."""
        found: dict[str, Table] = {}
        for layout in layouts(self.abi):
            wanted = name = _shorten(f"{self.name}_{snake(layout.event.name)}")
            number = 2
            while name in found:
                name, number = f"{wanted}_{number}", number + 1
            children = tuple((_shorten(f"{name}_{child.name}"), child) for child in layout.children)
            found[name] = Table(name, layout, children)
        return tuple(found.values())

    @cached_property
    def by_key(self) -> Mapping[tuple[str, int], Table]:
        """First topic and number of topics → table."""
        return {table.layout.key: table for table in self.tables}


def network_sources(network: Network) -> list[Source]:
    """Koinon's own contracts on a network, and those that they make: tills, pairs, credit pools, vaults."""
    first = max(network.start_block, 0)
    known = set(artifacts.names())
    sources = [
        Source(snake(name), artifacts.load(name).abi, address, first)
        for name, address in sorted(network.contracts.items())
        if name in known and name not in CLONES and layouts(artifacts.load(name).abi)
    ]
    present = {table.name for source in sources for table in source.tables}
    for name, parent in CLONES.items():
        if parent[0] in present:
            sources.append(Source(snake(name), artifacts.load(name).abi, None, first, parent))
    return sources


def check_tables(known: Iterable[Source], added: Source) -> None:
    """`BadInput` when a source has no events, or would write into another one's tables."""
    if not added.tables:
        raise BadInput(
            "This ABI has no events, so there is nothing to index.",
            hint="Give the contract's full JSON ABI.",
            code="index.abi",
        )
    taken = {name for source in known for name in table_names(source)} | RESERVED_TABLES
    clash = sorted(name for name in table_names(added) if name in taken or name.startswith(RESERVED_PREFIX))
    if clash:
        raise BadInput(
            f"The index has a table {clash[0]} already.", hint="Use another name.", code="index.name"
        )


def table_names(source: Source) -> list[str]:
    """Every table of a source, those of arrays too."""
    return [
        name
        for table in source.tables
        for name in (table.name, *(child_name for child_name, _ in table.children))
    ]


def _shorten(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
