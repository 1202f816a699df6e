# SPDX-License-Identifier: Apache-2.0
"""Peers of a small swarm without network or chain, and what hostile ones say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from koinon.chain.keys import Key
from koinon.learning.codecs import Float32
from koinon.learning.common import CommonModel
from koinon.learning.messages import Joining, LocalUpdate, payload_digest
from koinon.learning.swarm.inbox import Inbox
from koinon.learning.swarm.roster import Fellow, Roster
from tests.learning.support import DOMAIN, key, recipe

RUN = 7
ROWS = 60


@dataclass
class Swarm:
    """What one peer knows of a run with three members and one who lends computing."""

    keys: list[Key]
    roster: Roster
    common: CommonModel
    inbox: Inbox

    def update(self, member: int, change: Any = 0.25, signer: Key | None = None, **changes: Any) -> bytes:
        """The frame of a member's update for the round being taught."""
        size = self.common.vector.shape[0]
        vector = np.full(size, change, np.float32) if np.isscalar(change) else change
        payload = Float32().encode(vector)
        message = LocalUpdate(
            RUN,
            self.common.round + 1,
            self.keys[member].address,
            self.common.digest,
            payload_digest(payload),
            ROWS,
        )
        return replace(message, **changes).pack(signer or self.keys[member], DOMAIN, payload)


def agreement(signer: Key, work_id: int, **changes: Any) -> bytes:
    """The frame by which an owner agrees to teach."""
    found = recipe()
    message = Joining(
        RUN, signer.address, work_id, found.digest, ROWS, payload_digest(b""), 0, 10**11, b"", b""
    )
    return replace(message, **changes).pack(signer, DOMAIN)


def swarm(**changes: Any) -> Swarm:
    found = recipe(**changes)
    keys = [key(f"peer {number}") for number in range(4)]
    roster = Roster(found, RUN, DOMAIN)
    roster.add(
        Fellow(
            number, one.address, None if number == 3 else number, 0 if number == 3 else 40 + number, b"", ""
        )
        for number, one in enumerate(keys)
    )
    for number, one in enumerate(keys[:3]):
        roster.agree(agreement(one, 40 + number, recipe=found.digest))
    common = CommonModel(found)
    return Swarm(keys, roster, common, Inbox(found, RUN, DOMAIN, roster, common))
