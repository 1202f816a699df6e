# SPDX-License-Identifier: Apache-2.0
"""Reading the hall: who owns a Work, what it was made from, who shares in it, what lies in its till."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from koinon.chain.contract import Contract
from koinon.chain.eip712 import Domain
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works import till as tills
from koinon.works.registration import SignedRegistration, registration_domain
from koinon.works.shares import OWNER, ShareTable
from koinon.works.till import ETH, Footer

URI_SCHEME: Final = "ipfs://"
_NO_ROOT: Final = bytes(32)


class Blocks(Protocol):
    """Where registration files are kept: bytes by CID."""

    def put(self, data: bytes) -> str: ...

    def get(self, cid: str) -> bytes: ...


class Catalogue:
    """The Works of one network, as anyone can read them.

    Parameters
    ----------
    chain : Chain
    store : Blocks
        Where registration files are looked up.
    """

    def __init__(self, chain: Chain, store: Blocks) -> None:
        self.chain = chain
        self.store = store
        self.contract: Contract = chain.contract("Works")
        self._implementation: str | None = None

    def owner_of(self, work_id: int) -> str:
        """Who owns a Work; `NotFound` when there is none of that id."""
        self._must_exist(work_id)
        return str(self.contract.call("ownerOf", work_id))

    def till_of(self, work_id: int) -> str:
        """The address where a Work is paid, deployed or not."""
        if self._implementation is None:
            self._implementation = str(self.contract.call("TILL_IMPLEMENTATION"))
        footer = Footer(self.chain.chain_id, self.contract.address, work_id)
        return tills.till_address(self._implementation, footer)

    def is_deployed(self, work_id: int) -> bool:
        """Whether a Work's till has its code."""
        return self._has_code(self.till_of(work_id))

    def parents_of(self, work_id: int) -> list[tuple[int, int]]:
        """(parent id, least share in 1e-9) of each declared parent."""
        self._must_exist(work_id)
        return [(int(parent), int(share)) for parent, share in self.contract.call("parents_of", work_id)]

    def registration_of(self, work_id: int) -> SignedRegistration:
        """The registration file a Work points to, its signature checked.

        Raises
        ------
        NotFound
            No such Work, or its file is not in this store.
        BadInput, IntegrityError
            The file is malformed, or not signed by who it says.
        """
        self._must_exist(work_id)
        return self._file(str(self.contract.call("tokenURI", work_id)))

    def shares_of(self, work_id: int) -> ShareTable:
        """Who shares in a Work's income, as its till's root says.

        The table comes from the registration files the Work ever pointed to, newest first; one that does not
        fit the root is passed over.

        Raises
        ------
        NotFound
            No such Work, its root is still to be written, or no file in this store fits the root.
        """
        parents = self.parents_of(work_id)
        root = self._till(work_id).call("root") if self.is_deployed(work_id) else _NO_ROOT
        alone = ShareTable.of_owner()
        if root == alone.root or (root == _NO_ROOT and not parents and self.unwritten(work_id) is None):
            return alone
        if root == _NO_ROOT:
            raise NotFound(
                f"Nobody wrote yet who shares in Work {work_id}.",
                hint=f"Its owner does so with: koinon works finish {work_id}",
                code="works.no_root",
            )
        for uri in self._uris(work_id):
            try:
                table = self._file(uri).registration.shares
            except (NotFound, BadInput, IntegrityError):
                continue
            if table is not None and table.root == root:
                return table
        raise NotFound(
            f"No registration file of Work {work_id} in this store fits its root.",
            hint="Fetch the file from the Work's owner or a content network.",
            code="works.no_shares",
        )

    def unwritten(self, work_id: int) -> ShareTable | None:
        """The shares a Work's owner signed but did not write as its root: publishing was cut off.

        None where there is nothing to finish, or the file that would say so is not in this store.
        """
        if self.is_deployed(work_id) and self._till(work_id).call("root") != _NO_ROOT:
            return None
        try:
            signed = self.registration_of(work_id)
        except (NotFound, BadInput, IntegrityError):
            return None
        table = signed.registration.shares
        trusted = signed.signer == self.owner_of(work_id)
        return table if trusted and table is not None and table != ShareTable.of_owner() else None

    def balances(self, work_id: int, tokens: Sequence[str] = ()) -> dict[str, int]:
        """What lies in a Work's till: token → amount in its smallest unit; of the coin and ETH by default."""
        address = self.till_of(work_id)
        return {token: self._balance(token, address) for token in tokens or (self.chain.coin.address, ETH)}

    def due(self, work_id: int, payee: str = OWNER, token: str | None = None) -> int:
        """What a release would pay a payee now, in the token's smallest unit; the coin by default."""
        token = token or self.chain.coin.address
        share = self.shares_of(work_id).get(payee, 0)
        if self.is_deployed(work_id):
            return int(self._till(work_id).call("due", token, payee, share))
        return tills.due(self._balance(token, self.till_of(work_id)), 0, 0, share)

    # inside

    @property
    def _file_domain(self) -> Domain:
        return registration_domain(self.chain.chain_id, self.contract.address)

    def _must_exist(self, work_id: int) -> None:
        if not 1 <= work_id <= int(self.contract.call("total")):
            raise NotFound(
                f"There is no Work {work_id} on {self.chain.network.name}.",
                hint="Check the id and the network.",
                code="works.work",
            )

    def _till(self, work_id: int) -> Contract:
        return self.chain.contract("Till", self.till_of(work_id))

    def _has_code(self, address: str) -> bool:
        return len(str(self.chain.rpc.call("eth_getCode", address, "latest"))) > 2

    def _balance(self, token: str, address: str) -> int:
        if token == ETH:
            return self.chain.balance(address)
        return int(self.chain.contract("Coin", token).call("balanceOf", address))

    def _file(self, uri: str) -> SignedRegistration:
        if not uri.startswith(URI_SCHEME):
            raise NotFound(
                f"The file at {uri or 'an empty URI'} is not content-addressed.",
                hint="Koinon reads ipfs:// URIs, which name the bytes themselves.",
                code="works.uri",
            )
        file = SignedRegistration.from_bytes(self.store.get(uri.removeprefix(URI_SCHEME)))
        file.check(self._file_domain)
        return file

    def _uris(self, work_id: int) -> list[str]:
        """Everything the Work ever pointed to, newest first."""
        start = self.chain.network.start_block
        first = self.contract.history("Registered", start, agentId=work_id)
        later = self.contract.history("URIUpdated", start, agentId=work_id)
        uris = [event["agentURI"] for event in first] + [event["newURI"] for event in later]
        return list(dict.fromkeys(reversed(uris)))
