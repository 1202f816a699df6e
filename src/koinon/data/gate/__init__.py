# SPDX-License-Identifier: Apache-2.0
"""What leaves of other people's computing on one's own data: declared results with noise, or nothing.

`admit` refuses before a program runs what its declaration alone forbids; `decide` goes from how it ended to
the word and the files that leave (`gate` is its part that looks into files); `release_time` says when.
"""

from koinon.data.gate.admission import admit, holds_for_every_program
from koinon.data.gate.decision import Decision, decide
from koinon.data.gate.membership import Membership, Predictor
from koinon.data.gate.policy import Policy, Reason, Refused
from koinon.data.gate.release import Release, gate
from koinon.data.gate.schema import Output, ResultSchema, read_schema
from koinon.data.gate.timing import Told, release_time, told

__all__ = [
    "Decision",
    "Membership",
    "Output",
    "Policy",
    "Predictor",
    "Reason",
    "Refused",
    "Release",
    "ResultSchema",
    "Told",
    "admit",
    "decide",
    "gate",
    "holds_for_every_program",
    "read_schema",
    "release_time",
    "told",
]
