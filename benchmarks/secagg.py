# SPDX-License-Identifier: Apache-2.0
"""What a secret sum costs: 20 nodes and a million parameters, every phase, on one core.

``secagg.cpu_s`` is the mean processor time of a client, from its keys to the shares it reveals;
``secagg.recovery_s`` the collector's to take off all masks when six clients dropped out after they had dealt
their shares. Both check that the sum is exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from koinon.chain.keys import Key
from koinon.learning.messages import federation_domain
from koinon.learning.privacy.secagg import Collector, Participant, Phase
from koinon.learning.private_messages import AccountChecks, AccountIdentity

NODES, PARAMETERS, DROPPED = 20, 1_000_000, 6
CONTEXT = bytes(32)
TARGET_S = 1.0


def run() -> Iterator[dict[str, Any]]:
    client_s, _ = _sum({})
    yield _figure("secagg.cpu_s", client_s, f"processor s a client, {NODES} nodes × {PARAMETERS:,}")
    _, collector_s = _sum(dict.fromkeys(range(DROPPED), Phase.MASKED))
    yield _figure("secagg.recovery_s", collector_s, f"processor s to unmask, {DROPPED} of {NODES} dropped")


def _sum(leaves: Mapping[int, Phase]) -> tuple[float, float]:
    """Processor seconds of a client (mean over those who stay), and of the collector to get the sum."""
    domain, keys = federation_domain(0), [Key.generate() for _ in range(NODES)]
    identities = [AccountIdentity(key, domain) for key in keys]
    people = [Participant(index, CONTEXT, one) for index, one in enumerate(identities)]
    names = {index: one.name for index, one in enumerate(identities)}
    collector = Collector(CONTEXT, names, AccountChecks(domain).check, PARAMETERS)
    values = np.random.default_rng(1).integers(-(2**18), 2**18, (NODES, PARAMETERS))
    spent = 0.0
    while collector.phase != Phase.DONE:
        phase = collector.phase
        present = [index for index in collector.expected if leaves.get(index, Phase.DONE) > phase]
        for index in present:
            answer = b"" if phase == Phase.KEYS else collector.answer(index)
            began = time.process_time()
            message = _says(people[index], phase, values[index], answer)
            spent += time.process_time() - began
            collector.receive(index, message)
        collector.close()
    began = time.process_time()
    total = collector.total()
    collector_s = time.process_time() - began
    if (total != values[sorted(collector.masked)].sum(axis=0)).any():
        raise ValueError("the sum is wrong")
    return spent / (NODES - len(leaves)), collector_s


def _says(person: Participant, phase: Phase, values: Any, answer: bytes) -> bytes:
    match phase:
        case Phase.KEYS:
            return person.advertise()
        case Phase.SHARES:
            return person.share(answer)
        case Phase.MASKED:
            return person.mask(values, answer)
        case Phase.AGREEMENT:
            return person.agree(answer)
        case _:
            return person.reveal(answer)


def _figure(name: str, seconds: float, unit: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(seconds, 3),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": TARGET_S,
        "ok": seconds < TARGET_S,
    }
