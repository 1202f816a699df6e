# SPDX-License-Identifier: Apache-2.0
"""The hall's front door: publish a Work from other Works, see what it earned, pay everyone their part."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from fractions import Fraction
from typing import Final

from koinon.chain import codec
from koinon.chain.account import Account, Sending
from koinon.chain.eip712 import Domain, TypedStruct
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KeyFault, NotFound, TransactionFailed
from koinon.works.catalogue import URI_SCHEME, Blocks, Catalogue
from koinon.works.registration import Registration
from koinon.works.shares import OWNER, WHOLE, Proof, ShareTable

_PERMISSION: Final = TypedStruct(
    "ParentPermission(uint256 parentId,address publisher,uint64 minimumShare,uint256 deadline)"
)
_WALLET_AGREEMENT_S: Final = 240


class ParentMode(IntEnum):
    """Who may name a Work as a parent."""

    SIGNED = 0
    """Its owner or operator, or who brings the owner's signature."""
    OPEN = 1
    """Also anyone who promises at least the minimum share."""
    CLOSED = 2
    """Nobody."""


@dataclass(frozen=True)
class Parent:
    """A Work that another was made from.

    ``share`` in 1e-9 of all income is what the child promises it; ``permission`` what its owner signed (see
    `Works.permission`), where its rule needs that.
    """

    work_id: int
    share: int
    permission: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Published:
    """A new Work: its id, the address where it is paid, where its file lies, who shares in it."""

    work_id: int
    till: str
    uri: str
    shares: ShareTable


@dataclass(frozen=True)
class Payout:
    """Money that left a till. ``amount`` in the token's smallest unit; ``token`` zero for ETH."""

    work_id: int
    token: str
    payee: str
    receiver: str
    amount: int


@dataclass(frozen=True)
class Collection:
    """What `Works.collect` paid, and the Works it could not pay from with the reason."""

    payouts: tuple[Payout, ...]
    skipped: Mapping[int, str]

    def received(self, account: str) -> int:
        """What one account got, in the token's smallest unit."""
        return sum(payout.amount for payout in self.payouts if payout.receiver == account)


class Works(Catalogue):
    """The register of Works on one network, for one account.

    Parameters
    ----------
    chain : Chain
    store : Blocks
        Where registration files are put and looked up.
    key : Account, optional
        Who acts. Reading works without; releasing what others are due needs a key only to pay for gas.
    """

    def __init__(self, chain: Chain, store: Blocks, key: Account | None = None) -> None:
        super().__init__(chain, store)
        self.key = key

    # ------------------------------------------------------------ publishing

    def publish(
        self,
        registration: Registration,
        *,
        parents: Sequence[Parent] = (),
        shares: ShareTable | Mapping[str, Fraction | float | int] | None = None,
        royalty_bps: int = 0,
        metadata: Sequence[tuple[str, bytes]] = (),
    ) -> Published:
        """Sign and store the registration file, register the Work and, where others share in it, write its
        root.

        One transaction for a Work that is all its owner's, three otherwise (register, deploy the till, root).

        Parameters
        ----------
        registration : Registration
            Its ``shares`` are filled in here.
        parents : sequence of Parent
            Each gets at least a leaf of what it was promised.
        shares : ShareTable, or mapping of address to fraction, optional
            A complete table, in which the parents' tills already stand; or fractions of all income for others
            than the parents. What is left over belongs to whoever owns the Work.
        royalty_bps : int
            What a resale owes the till, in 1/10,000 of the price; fixed for ever.
        metadata : sequence of (key, value)
            On-chain metadata, at most 16.

        Raises
        ------
        BadInput
            The shares do not fit together or leave a parent less than promised.
        NotFound
            A parent does not exist.
        TransactionFailed
            The register refused; ``reason`` has its words, such as ``parent not asked``.
        """
        table = self._table(parents, shares)
        file = replace(registration, shares=table)
        uri = URI_SCHEME + self.store.put(file.sign(self._key, self._file_domain).to_bytes())
        receipt = self._sender.send(
            self.contract.transaction(
                "publish",
                uri,
                list(metadata),
                royalty_bps,
                [(parent.work_id, parent.share, parent.permission) for parent in parents],
            )
        )
        work_id = int(self.contract.logs(receipt, "Registered")[0]["agentId"])
        if table != ShareTable.of_owner():
            self.write_root(work_id, table)
        return Published(work_id, self.till_of(work_id), uri, table)

    def update(self, work_id: int, registration: Registration) -> str:
        """Let a Work point to a new registration file; the file's URI. Id, till and shares stay.

        Parameters
        ----------
        registration : Registration
            Its ``shares`` are filled in with those that hold: new ones need a new Work.

        Raises
        ------
        NotFound
            No such Work, or its shares are not known here.
        TransactionFailed
            The register refused: the key is not the owner's or an operator's.
        """
        file = replace(registration, shares=self.shares_of(work_id))
        uri = URI_SCHEME + self.store.put(file.sign(self._key, self._file_domain).to_bytes())
        self._sender.send(self.contract.transaction("setAgentURI", work_id, uri))
        return uri

    def set_metadata(self, work_id: int, key: str, value: bytes) -> None:
        """Set on-chain metadata of a Work, at most 4,096 bytes under a key of at most 64."""
        self._sender.send(self.contract.transaction("setMetadata", work_id, key, value))

    def write_root(self, work_id: int, table: ShareTable) -> None:
        """Fix for ever who shares in a Work's income; deploys its till where that is still to be done.

        Only its owner or operator, once, before the first release.

        Raises
        ------
        BadInput
            A declared parent is not in the table, or with less than it was promised.
        TransactionFailed
            The till refused: not authorized, or the root is written already.
        """
        proofs = []
        for parent_id, minimum in self.parents_of(work_id):
            till = self.till_of(parent_id)
            if table.get(till, 0) < max(1, minimum):
                raise _parent_short(parent_id, minimum)
            proofs.append(table.proof(till))
        self.deploy_till(work_id)
        self._sender.send(self._till(work_id).transaction("write_root", table.root, proofs))

    def finish(self, work_id: int) -> ShareTable:
        """Write the root that publishing was cut off from; the shares that hold from now on.

        Raises
        ------
        NotFound
            There is nothing to finish, or the Work's signed file is not in this store.
        TransactionFailed
            The till refused: not the owner or operator.
        """
        table = self.unwritten(work_id)
        if table is None:
            raise NotFound(
                f"Publishing Work {work_id} was not cut off, or its signed file is not in this store.",
                hint=f"See: koinon works show {work_id}",
                code="works.nothing_to_finish",
            )
        self.write_root(work_id, table)
        return table

    def deploy_till(self, work_id: int) -> str:
        """Put a till's code at its address, unless it is there; the address."""
        if not self.is_deployed(work_id):
            self._sender.send(self.contract.transaction("deploy_till", work_id))
        return self.till_of(work_id)

    def set_parent_rule(self, work_id: int, mode: ParentMode, minimum_share: int = 0) -> None:
        """Who may name this Work as a parent from now on; ``minimum_share`` in 1e-9, only for OPEN."""
        self._sender.send(self.contract.transaction("set_parent_rule", work_id, int(mode), minimum_share))

    def permission(self, parent_id: int, publisher: str, share: int, deadline: int) -> bytes:
        """Let ``publisher`` name one's Work as a parent with exactly this share, until ``deadline``.

        Parameters
        ----------
        parent_id : int
            A Work that this key owns.
        publisher : str
            Who will publish the child.
        share : int
            In 1e-9 of the child's income.
        deadline : int
            Unix seconds. Until then it can be used for any number of children.

        Returns
        -------
        bytes
            What `Parent.permission` takes.

        Raises
        ------
        KeyFault
            Somebody else owns the Work.
        """
        if self.owner_of(parent_id) != self._key.address:
            raise KeyFault(
                f"Work {parent_id} belongs to another account.",
                hint="Ask its owner to sign.",
                code="works.not_owner",
            )
        domain = Domain("ERC8004IdentityRegistry", "1", self.chain.chain_id, self.contract.address)
        signed = self._key.sign_typed(domain, _PERMISSION, parent_id, publisher, share, deadline)
        return deadline.to_bytes(32, "big") + signed

    def use_till_as_wallet(self, work_id: int) -> None:
        """Name the Work's own till as its ERC-8004 agent wallet: who pays the agent then pays the till."""
        owner = self.owner_of(work_id)
        till = self.deploy_till(work_id)
        deadline = self.chain.timestamp() + _WALLET_AGREEMENT_S
        agreement = codec.encode(["address", "address", "uint256"], [self.contract.address, owner, deadline])
        self._sender.send(self.contract.transaction("setAgentWallet", work_id, till, deadline, agreement))

    # ------------------------------------------------------------ paying out

    def release(self, work_id: int, payee: str = OWNER, token: str | None = None) -> int:
        """Pay one payee what it is due; the amount in the token's smallest unit.

        Anyone may do it; for the owner's part only the owner or operator.

        Raises
        ------
        NotFound
            The payee has no share, or the Work's shares are not known here.
        TransactionFailed
            The till or the token refused.
        """
        token = token or self.chain.coin.address
        proof = self.shares_of(work_id).proof(payee)
        self.deploy_till(work_id)
        payouts = self._release_all(work_id, token, [(payee, proof)])
        return sum(payout.amount for payout in payouts)

    def collect(self, work_id: int, token: str | None = None) -> Collection:
        """Pay out a Work and all Works it was made from, children before parents.

        Everyone who is due something is paid; owners' parts only of Works this key may act for. A Work whose
        shares are not known here, or which has a payee that refuses, is skipped with the reason.

        Parameters
        ----------
        work_id : int
        token : str, optional
            The coin unless told otherwise; `ETH` for ETH.
        """
        token = token or self.chain.coin.address
        waiting, seen = [-work_id], {work_id}
        payouts: list[Payout] = []
        skipped: dict[int, str] = {}
        while waiting:  # parents are older, so the highest id first is children before parents
            current = -heapq.heappop(waiting)
            for parent_id, _ in self.parents_of(current):
                if parent_id not in seen:
                    seen.add(parent_id)
                    heapq.heappush(waiting, -parent_id)
            try:
                payouts += self._collect_one(current, token, skipped)
            except (NotFound, TransactionFailed) as refusal:
                skipped[current] = refusal.message
        return Collection(tuple(payouts), skipped)

    def _collect_one(self, work_id: int, token: str, skipped: dict[int, str]) -> list[Payout]:
        table = self.shares_of(work_id)
        if self._balance(token, self.till_of(work_id)) == 0:
            return []
        ours = bool(self.contract.call("isAuthorizedOrOwner", self._key.address, work_id))
        payees = [payee for payee in table if payee != OWNER or ours]
        if not payees:
            return []
        self.deploy_till(work_id)
        till = self._till(work_id)
        dues = till.call_many([("due", token, payee, table[payee]) for payee in payees])
        owed = [(payee, table.proof(payee)) for payee, amount in zip(payees, dues, strict=True) if amount]
        try:
            return self._release_all(work_id, token, owed, skipped)
        except TransactionFailed:
            payouts = []
        for each in owed:  # one of them is refused, so nothing was sent: the others are paid one by one
            try:
                payouts += self._release_all(work_id, token, [each])
            except TransactionFailed as refusal:
                skipped[work_id] = f"{each[0]}: {refusal.message}"
        return payouts

    def _release_all(
        self,
        work_id: int,
        token: str,
        owed: Sequence[tuple[str, Proof]],
        skipped: dict[int, str] | None = None,
    ) -> list[Payout]:
        """Release to several payees at once. With ``skipped`` a late refusal is noted there, not raised."""
        till = self._till(work_id)
        receipts = self._sender.send_all(
            [till.transaction("release", token, payee, *proof) for payee, proof in owed],
            check=skipped is None,
        )
        for (payee, _), receipt in zip(owed, receipts, strict=True):
            if receipt.status == 0 and skipped is not None:
                skipped[work_id] = f"{payee}: the release was refused ({receipt.transaction_hash})"
        return [
            Payout(work_id, event["token"], event["payee"], event["receiver"], event["amount"])
            for receipt in receipts
            for event in till.logs(receipt, "Released")
        ]

    # ------------------------------------------------------------ inside

    @property
    def _key(self) -> Account:
        if self.key is None:
            raise KeyFault(
                "This needs a key to sign with.", hint="Open Works with a key.", code="works.no_key"
            )
        return self.key

    @property
    def _sender(self) -> Sending:
        return self.chain.sender(self._key)

    def _existing_till(self, work_id: int) -> str:
        self._must_exist(work_id)
        return self.till_of(work_id)

    def _table(
        self, parents: Sequence[Parent], shares: ShareTable | Mapping[str, Fraction | float | int] | None
    ) -> ShareTable:
        promised = {self._existing_till(parent.work_id): max(1, parent.share) for parent in parents}
        if isinstance(shares, ShareTable):
            table = shares
        else:
            fractions: dict[str, Fraction] = {
                till: Fraction(share, WHOLE) for till, share in promised.items()
            }
            for payee, fraction in (shares or {}).items():
                fractions[payee] = fractions.get(payee, Fraction(0)) + Fraction(fraction)
            table = ShareTable.from_fractions(fractions, rest=OWNER)
        for parent in parents:
            if table.get(self.till_of(parent.work_id), 0) < max(1, parent.share):
                raise _parent_short(parent.work_id, parent.share)
        return table


def _parent_short(parent_id: int, share: int) -> BadInput:
    return BadInput(
        f"The shares leave Work {parent_id} less than the {max(1, share) / WHOLE:.7%} it was promised.",
        hint="Give its till at least that.",
        code="works.parent_share",
    )
