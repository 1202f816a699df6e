# SPDX-License-Identifier: Apache-2.0
"""How an agent reaches a goal: it finds services, plans by what they take and give, and pays for them."""

from koinon.agents.planning.capability import Capability, read_capability
from koinon.agents.planning.chat import ChatEndpoint, ChatPlanner
from koinon.agents.planning.fulfilment import Fulfiller, Outcome, Step
from koinon.agents.planning.goal import Goal
from koinon.agents.planning.search import Plan, cheapest

__all__ = [
    "Capability",
    "ChatEndpoint",
    "ChatPlanner",
    "Fulfiller",
    "Goal",
    "Outcome",
    "Plan",
    "Step",
    "cheapest",
    "read_capability",
]
