# SPDX-License-Identifier: Apache-2.0
"""Several providers answer the same: `Redundancy.vy`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.works.bonds import Bonds, BondTerms, commitment_digest


class Redundancy:
    """The Redundancy contract of a network. What sends takes the key that pays; errors as in `Sender`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Redundancy")
        self._validation = chain.contract("Validation")

    def stake(self, provider: Account, work_id: int, amount: int, *, notice_s: int) -> int:
        """Stake on what a Work answers; the bond's id."""
        terms = BondTerms(
            judge=self.contract.address,
            subject=self.contract.call("subject", work_id),
            ruling_s=1,
            notice_s=notice_s,
        )
        return Bonds(self.chain).post(provider, amount, terms)

    def ask(
        self,
        asker: Account,
        input_digest: bytes,
        bonds: Sequence[int],
        *,
        commit_until: int,
        reveal_until: int,
    ) -> int:
        """Ask providers, named by their bonds, the same; the round's id. Times in Unix seconds."""
        call = self.contract.transaction("ask", input_digest, sorted(bonds), commit_until, reveal_until)
        receipt = self.chain.sender(asker).send(call)
        return int(self.contract.logs(receipt, "Asked")[0]["round_id"])

    def commit(
        self,
        provider: Account,
        round_id: int,
        *,
        bond_id: int,
        work_id: int,
        output_digest: bytes,
        salt: bytes,
    ) -> bytes:
        """File a validation request and commit to the digest of an output; the request. ``salt`` is 32 random
        bytes to keep until `reveal`."""
        request = secrets.token_bytes(32)
        topic = self.contract.call("topic", round_id, bond_id)
        sealed = commitment_digest(
            self.chain.chain_id,
            self.contract.address,
            topic,
            provider.address,
            value=output_digest,
            salt=salt,
        )
        ask = self._validation.transaction(
            "validationRequest", self.contract.address, work_id, "", request, gas=400_000
        )
        commit = self.contract.transaction("commit", round_id, bond_id, work_id, request, sealed, gas=500_000)
        self.chain.sender(provider).send_all([ask, commit])
        return request

    def reveal(
        self, provider: Account, round_id: int, *, bond_id: int, output_digest: bytes, salt: bytes
    ) -> None:
        """Reveal it."""
        self._send(provider, "reveal", round_id, bond_id, output_digest, salt)

    def conclude(self, submitter: Account, round_id: int) -> None:
        """Count, and tell the registry."""
        self._send(submitter, "conclude", round_id)

    def _send(self, key: Account, name: str, *arguments: Any) -> None:
        self.chain.sender(key).send(self.contract.transaction(name, *arguments))
