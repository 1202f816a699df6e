# SPDX-License-Identifier: Apache-2.0
"""The tour: Koinon's main job on real data, with real processes, on this machine."""

from koinon.tour.cli import command

__all__ = ["command"]
