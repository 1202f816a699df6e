# SPDX-License-Identifier: Apache-2.0
"""An agent's word that it is there now, signed off chain by its account (EIP-712)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.agents.address import Address
from koinon.agents.envelope import CLOCK_SKEW_S
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import Key, verify
from koinon.errors import BadInput, IntegrityError

FRESH_S: Final = 120
"""How old a heartbeat may be, in seconds."""

_HEARTBEAT: Final = TypedStruct("Heartbeat(uint256 work,address account,string endpoint,uint64 at)")


@dataclass(frozen=True)
class Heartbeat:
    """``at`` in Unix seconds the agent answers at ``endpoint``."""

    address: Address
    endpoint: str
    at: int

    def signed(self, key: Key, domain: Domain) -> dict[str, Any]:
        """As JSON fields, signed by the agent's key."""
        signature = key.sign(self._digest(domain))
        return {
            "work": self.address.work_id,
            "account": self.address.account,
            "endpoint": self.endpoint,
            "at": self.at,
            "signature": "0x" + signature.hex(),
        }

    @classmethod
    def check(cls, fields: Mapping[str, Any], address: Address, domain: Domain, now: float) -> Heartbeat:
        """The heartbeat in JSON fields, if it is this agent's and fresh.

        Raises BadInput where it is none or old, IntegrityError where the agent did not sign it.
        """
        try:
            beat = cls(address, str(fields["endpoint"]), int(fields["at"]))
            signature = bytes.fromhex(str(fields["signature"]).removeprefix("0x"))
        except (KeyError, TypeError, ValueError):
            raise BadInput("This is no heartbeat.", code="agents.heartbeat") from None
        if not -CLOCK_SKEW_S <= now - beat.at <= FRESH_S + CLOCK_SKEW_S:
            raise BadInput("The heartbeat is not of now.", code="agents.heartbeat")
        if not verify(beat._digest(domain), signature, address.account):
            raise IntegrityError(f"{address} did not sign this heartbeat.", code="agents.heartbeat_forged")
        return beat

    def _digest(self, domain: Domain) -> bytes:
        address = self.address
        return digest(domain, _HEARTBEAT.hash(address.work_id, address.account, self.endpoint, self.at))
