# SPDX-License-Identifier: Apache-2.0
"""Agents: programs that use services, and speak with each other, on someone's behalf."""

from koinon.agents.address import Address
from koinon.agents.behaviour import Agent, Protocol, every, on
from koinon.agents.context import Context
from koinon.agents.message import message

__all__ = ["Address", "Agent", "Context", "Protocol", "every", "message", "on"]
