# SPDX-License-Identifier: Apache-2.0
"""Secret sums in one process, with participants that leave when they are told to."""

import hashlib
import hmac

import numpy as np

from koinon.learning.privacy.secagg import Collector, Participant, Phase
from koinon.learning.privacy.stream import Stream

CONTEXT = b"run 1 round 1"
SIZE = 40


class Named:
    """Signs by a key that only the holder and this test know; the real ones sign with their accounts."""

    def __init__(self, name):
        self.name = name

    def sign(self, message):
        return _signature(self.name, message)

    @staticmethod
    def check(name, message, signature):
        return hmac.compare_digest(_signature(name, message), signature)


def _signature(name, message):
    return hmac.digest(hashlib.sha256(b"secret of " + name).digest(), message, "sha256")


def entropy(seed):
    stream = Stream(hashlib.sha256(f"entropy {seed}".encode()).digest())
    return lambda count: stream.words32(-(-count // 4)).tobytes()[:count]


class Sum:
    """Participants and their collector.

    ``leaves`` says in which phase a participant no longer sends; ``deliver(phase, index, message)`` may
    change what comes from a participant, ``tell(phase, index, answer)`` what it is told.
    """

    def __init__(
        self,
        values,
        *,
        leaves=None,
        threshold=0,
        deliver=lambda _phase, _index, message: message,
        tell=lambda _phase, _index, answer: answer,
        seed=0,
    ):
        self.values, self.leaves, self.deliver, self.tell = values, leaves or {}, deliver, tell
        count = len(values)
        self.people = [
            Participant(
                index,
                CONTEXT,
                Named(f"owner {index}".encode()),
                threshold=threshold,
                entropy=entropy((seed, index)),
            )
            for index in range(count)
        ]
        names = {index: f"owner {index}".encode() for index in range(count)}
        self.collector = Collector(CONTEXT, names, Named.check, len(values[0]), threshold=threshold)
        self.sent = {}

    def says(self, index, phase, answer):
        person = self.people[index]
        match phase:
            case Phase.KEYS:
                return person.advertise()
            case Phase.SHARES:
                return person.share(answer)
            case Phase.MASKED:
                return person.mask(self.values[index], answer)
            case Phase.AGREEMENT:
                return person.agree(answer)
            case Phase.REVEAL:
                return person.reveal(answer)

    def phase(self):
        phase = self.collector.phase
        for index in sorted(self.collector.expected):
            if self.leaves.get(index, Phase.DONE) <= phase:
                continue
            answer = b"" if phase == Phase.KEYS else self.collector.answer(index)
            message = self.says(index, phase, self.tell(phase, index, answer))
            self.sent[phase, index] = message
            self.collector.receive(index, self.deliver(phase, index, message))
        self.collector.close()

    def run(self):
        while self.collector.phase != Phase.DONE:
            self.phase()
        return self.collector.total()


def some_values(count, size=SIZE, seed=1):
    return list(np.random.default_rng(seed).integers(-(2**18), 2**18, (count, size)))
