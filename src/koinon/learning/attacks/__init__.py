# SPDX-License-Identifier: Apache-2.0
"""Attacks on learning together, to try a recipe's aggregation against before others do.

An attack is an object with two methods, ``poison`` (what malicious owners train on) and ``forge`` (what they
send); `attacked` plays a run with it. ``python -m benchmarks.robustness`` prints how the rules stand up.
"""

from koinon.learning.attacks.base import Attack, View
from koinon.learning.attacks.data import BackDoor, LabelFlip
from koinon.learning.attacks.runner import Outcome, Report, attacked, outcome, report
from koinon.learning.attacks.updates import ALittleIsEnough, FreeRider, Gaussian, Scaling, Sign

__all__ = [
    "ALittleIsEnough",
    "Attack",
    "BackDoor",
    "FreeRider",
    "Gaussian",
    "LabelFlip",
    "Outcome",
    "Report",
    "Scaling",
    "Sign",
    "View",
    "attacked",
    "outcome",
    "report",
]
