# SPDX-License-Identifier: Apache-2.0
"""The chain's events in SQL tables: reorganisations undone, nodes checked, other programs told of news."""

from koinon.chain.index.api import Answer, Cursor, EventIndex, FeedEvent

__all__ = ["Answer", "Cursor", "EventIndex", "FeedEvent"]
