# SPDX-License-Identifier: Apache-2.0
"""What a gateway does for a promised service: takes no call that the stake does not cover, signs each answer
and keeps it before it leaves.

``pledges.json`` in the gateway's data directory names the promises; it is written by `Checking.bond` and
read when a service is opened.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.eip712 import Domain
from koinon.chain.keys import write_private
from koinon.errors import BadInput, PeerError
from koinon.services.gateway.offer import PLEDGES
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.registry import Service
from koinon.services.verification.record import SignedAnswer, verification_domain
from koinon.services.verification.store import AnswerStore

_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class PledgeRecord:
    """One promise as the gateway needs it.

    ``covered`` is how many answers may stand at a time, ``fee`` the most that one may cost, ``window_s`` how
    long each can be disputed; ``runtime`` is hex. ``version`` is the service's that it is about: answers of
    another are not signed, for they would be signed as computed by what did not compute them.
    """

    work_id: int
    bond_id: int
    runtime: str
    fee: int
    covered: int
    window_s: int
    version: str = ""


def read_pledges(data_dir: Path) -> dict[int, PledgeRecord]:
    """The promises of a gateway by Work; BadInput (``verification.pledges``) where the file is damaged."""
    path = data_dir / PLEDGES
    try:
        found = [PledgeRecord(**item) for item in orjson.loads(path.read_bytes())]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"{path} is not readable: {error}.", hint="Restore it.", code="verification.pledges"
        ) from None
    return {pledge.work_id: pledge for pledge in found}


def write_pledge(data_dir: Path, pledge: PledgeRecord) -> None:
    """Add or replace the promise about a Work."""
    pledges = read_pledges(data_dir) | {pledge.work_id: pledge}
    write_private(data_dir / PLEDGES, orjson.dumps([asdict(each) for each in pledges.values()]))


def open_pledge(data_dir: Path, service: Service, chain: OnChain) -> Pledge | None:
    """The promise about a service; None without one. The chain's key must be the one it names."""
    record = read_pledges(data_dir).get(service.work_id)
    if record is None or record.version not in ("", service.version):
        return None
    verification = chain.chain.network.address("Verification")
    domain = verification_domain(chain.chain.chain_id, verification)
    return Pledge(record, AnswerStore(data_dir), chain.key, domain)


class Pledge:
    """One promise while its service is served.

    Parameters
    ----------
    record : PledgeRecord
    store : AnswerStore
    signer : Account
        Whom the promise names.
    domain : Domain
        Of the Verification contract.
    clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        record: PledgeRecord,
        store: AnswerStore,
        signer: Account,
        domain: Domain,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.record = record
        self._store, self._signer, self._domain, self._clock = store, signer, domain, clock
        self._number = store.last_number()
        self._runtime = bytes.fromhex(record.runtime)
        self._standing, self._looked_at = 0, float("-inf")

    def close(self) -> None:
        """Let go of the kept answers."""
        self._store.close()

    def admit(self, most: int) -> None:
        """Check a call that may cost so much, before it is paid.

        Raises
        ------
        PeerError
            The stake covers no more answers now (``verification.covered``), or none of this price
            (``verification.fee``).
        """
        if most > self.record.fee:
            raise PeerError(
                "This service costs more than its bond covers.",
                hint="Tell its owner; nothing was charged.",
                code="verification.fee",
            )
        now = self._clock()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._standing, self._looked_at = self._store.standing(self.record.bond_id, int(now)), now
        if self._standing >= self.record.covered:
            raise PeerError(
                "As many answers as the provider's bond covers can still be disputed.",
                hint="Try again later; nothing was charged.",
                code="verification.covered",
            )
        self._standing += 1

    def sign(
        self, payer: str, body: bytes, result: bytes, *, before: Callable[[bytes], None] = lambda _: None
    ) -> dict[str, Any]:
        """Sign an answer and keep it; what goes into the answer's evidence. ``before`` is told the answer's
        digest before it is kept. Other processes may sign behind the same promise."""
        while True:
            self._number = max(self._number, self._store.last_number()) + 1
            answer = SignedAnswer(
                work_id=self.record.work_id,
                bond_id=self.record.bond_id,
                payer=payer,
                input_digest=hashlib.sha256(body).digest(),
                runtime_digest=self._runtime,
                output_digest=hashlib.sha256(result).digest(),
                number=self._number,
                issued_at=int(self._clock()),
            ).signed(self._signer, self._domain)
            digest = answer.digest(self._domain)
            before(digest)
            if self._store.keep(answer, digest, body, result):
                return answer.to_json()
