# SPDX-License-Identifier: Apache-2.0
"""Works and their kin as the index knows them: tills, owners, parents, children, and who shares in what.

Reads event tables and content-addressed files only, so that a page costs no question to the chain. What is
remembered here never changes: a file by its URI, a share table by its root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.catalogue import URI_SCHEME, Blocks
from koinon.works.registration import SignedRegistration, registration_domain
from koinon.works.shares import ShareTable
from koinon.works.till import Footer, till_address

_REMEMBERED: Final = 4_096
_AT_ONCE: Final = 400
_NEWEST: Final = "ORDER BY block_number DESC, log_index DESC LIMIT 1"


class Head(Protocol):
    """The newest block in the index; ``timestamp`` in Unix seconds."""

    @property
    def number(self) -> int: ...

    @property
    def hash(self) -> str: ...

    @property
    def timestamp(self) -> int: ...


class Index(Protocol):
    """What is read of the event index: SQL with ``?`` for parameters, and how far it got."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...

    def head(self) -> Head | None: ...


@dataclass(frozen=True)
class Sharing:
    """Who shares in a Work's income.

    ``table`` is None where it is not known here, and ``reason`` says why: ``"unwritten"`` (publishing was cut
    off, so nothing can be released) or ``"no file"`` (no file in this store fits the root). ``fixed`` once
    the root is on chain.
    """

    table: ShareTable | None
    fixed: bool
    reason: str = ""


class Family:
    """Kinship of the Works on one network.

    Parameters
    ----------
    index : Index
    store : Blocks
        Where registration files are looked up.
    chain_id : int
    works : str
        Address of the Works contract.
    till_implementation : str
        Address of the code that tills run.
    """

    def __init__(
        self, index: Index, store: Blocks, *, chain_id: int, works: str, till_implementation: str
    ) -> None:
        self.index, self.store = index, store
        self.chain_id, self.works, self._implementation = chain_id, works, till_implementation
        self._domain = registration_domain(chain_id, works)
        self._tables: dict[str, ShareTable] = {}
        self.till_of = lru_cache(_REMEMBERED)(self._till_of)
        self._read = lru_cache(_REMEMBERED)(self._read_file)

    @classmethod
    def of(cls, index: Index, store: Blocks, chain: Chain) -> Family:
        """The family on a node's network; asks the chain once for the code that tills run."""
        contract = chain.contract("Works")
        implementation = str(contract.call("TILL_IMPLEMENTATION"))
        return cls(
            index,
            store,
            chain_id=chain.chain_id,
            works=contract.address,
            till_implementation=implementation,
        )

    def _till_of(self, work_id: int) -> str:
        """The address where a Work is paid."""
        return till_address(self._implementation, Footer(self.chain_id, self.works, work_id))

    def work_of(self, address: str) -> int | None:
        """Whose till an address is; None when no Work has deployed one there."""
        found = self.index.rows("SELECT work_id FROM works_till_deployed WHERE till = ?", (address,))
        return int(found[0]["work_id"]) if found else None

    def works_of(self, addresses: Iterable[str]) -> dict[str, int]:
        """Till → Work, of those addresses that are deployed tills."""
        wanted = list(dict.fromkeys(addresses))
        found: dict[str, int] = {}
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            rows = self.index.rows(
                f"SELECT till, work_id FROM works_till_deployed WHERE till IN ({', '.join('?' * len(some))})",  # noqa: S608  only question marks
                some,
            )
            found |= {str(row["till"]): int(row["work_id"]) for row in rows}
        return found

    def owner_of(self, work_id: int) -> str | None:
        """Who owns a Work; None when there is none of that id."""
        found = self.index.rows(f'SELECT "to" FROM works_transfer WHERE token_id = ? {_NEWEST}', (work_id,))  # noqa: S608  a constant
        return str(found[0]["to"]) if found else None

    def uris_of(self, work_id: int) -> list[str]:
        """Everything a Work ever pointed to, newest first; empty when there is no such Work."""
        first = self.index.rows("SELECT agent_uri FROM works_registered WHERE agent_id = ?", (work_id,))
        later = self.index.rows(
            "SELECT new_uri FROM works_uri_updated WHERE agent_id = ? ORDER BY block_number, log_index",
            (work_id,),
        )
        uris = [str(row["agent_uri"]) for row in first] + [str(row["new_uri"]) for row in later]
        return list(dict.fromkeys(reversed(uris)))

    def parents_of(self, work_id: int) -> list[tuple[int, int]]:
        """(parent id, least share in 1e-9) of each declared parent."""
        found = self.index.rows(
            "SELECT parent, minimum_share FROM works_parent_declared WHERE child = ?"
            " ORDER BY block_number, log_index",
            (work_id,),
        )
        return [(int(row["parent"]), int(row["minimum_share"])) for row in found]

    def children_of(self, work_id: int, limit: int = 100) -> list[tuple[int, int]]:
        """(child id, least share in 1e-9) of the newest Works made from this one."""
        found = self.index.rows(
            "SELECT child, minimum_share FROM works_parent_declared WHERE parent = ?"
            " ORDER BY child DESC LIMIT ?",
            (work_id, limit),
        )
        return [(int(row["child"]), int(row["minimum_share"])) for row in found]

    def root_of(self, work_id: int) -> str | None:
        """The root that a Work's till holds, in hexadecimal; None before it is written."""
        found = self.index.rows(
            "SELECT root FROM till_root_written WHERE address = ?", (self.till_of(work_id),)
        )
        return str(found[0]["root"]) if found else None

    def file(self, uri: str) -> SignedRegistration:
        """The registration file at a URI, its signature checked.

        Raises
        ------
        NotFound
            It is not content-addressed, or not in this store.
        BadInput, IntegrityError
            It is malformed, or not signed by who it says.
        """
        return self._read(uri)

    def sharing(self, work_id: int) -> Sharing:
        """Who shares in a Work's income, as its till's root says."""
        root = self.root_of(work_id)
        if root is None:
            return self._without_root(work_id)
        known = self._tables.get(root)
        if known is None:
            alone = ShareTable.of_owner()
            known = alone if root == _hex(alone.root) else self._fitting(work_id, root)
            if known is None:
                return Sharing(None, True, "no file")
            self._tables[root] = known
        return Sharing(known, True)

    def _without_root(self, work_id: int) -> Sharing:
        parents = self.parents_of(work_id)
        alone = ShareTable.of_owner()
        signed = self._table_in(next(iter(self.uris_of(work_id)), ""), by=self.owner_of(work_id))
        if parents or (signed is not None and signed != alone):
            return Sharing(None, False, "unwritten")
        return Sharing(alone, False)

    def _fitting(self, work_id: int, root: str) -> ShareTable | None:
        for uri in self.uris_of(work_id):
            table = self._table_in(uri)
            if table is not None and _hex(table.root) == root:
                return table
        return None

    def _table_in(self, uri: str, by: str | None = None) -> ShareTable | None:
        try:
            file = self.file(uri)
        except (NotFound, BadInput, IntegrityError):
            return None
        return file.registration.shares if by is None or file.signer == by else None

    def _read_file(self, uri: str) -> SignedRegistration:
        if not uri.startswith(URI_SCHEME):
            raise NotFound(
                f"The file at {uri or 'an empty URI'} is not content-addressed.",
                hint="Koinon reads ipfs:// URIs, which name the bytes themselves.",
                code="works.uri",
            )
        file = SignedRegistration.from_bytes(self.store.get(uri.removeprefix(URI_SCHEME)))
        file.check(self._domain)
        return file


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
