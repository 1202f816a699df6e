# SPDX-License-Identifier: Apache-2.0
"""Runs other people's programs on one's own data, isolated, limited and metered; see `BubblewrapSandbox`."""

from koinon.compute.sandbox.bubblewrap import BubblewrapSandbox
from koinon.compute.sandbox.driver import Finished, Limits, Outcome, Program, Sandbox

__all__ = ["BubblewrapSandbox", "Finished", "Limits", "Outcome", "Program", "Sandbox"]
