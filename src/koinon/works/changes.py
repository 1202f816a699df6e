# SPDX-License-Identifier: Apache-2.0
"""What a visitor can change about a Work that exists: collect, speak of it, take up or make an offer."""

from __future__ import annotations

from typing import Final

from koinon.works.collecting import COLLECT
from koinon.works.forms import USES
from koinon.works.offers import BUY, OFFER
from koinon.works.speaking import LONGEST_REASON, SPEAK

ACTIONS: Final = (COLLECT, SPEAK, BUY, OFFER)

__all__ = ["ACTIONS", "LONGEST_REASON", "USES"]
