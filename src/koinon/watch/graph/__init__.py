# SPDX-License-Identifier: Apache-2.0
"""The graph engine: transfers as columns, and what was known of both ends at each moment."""

from koinon.watch.graph.edges import Edges
from koinon.watch.graph.stream import Stream
from koinon.watch.graph.windows import column_names, feature_chunks, window_features

__all__ = ["Edges", "Stream", "column_names", "feature_chunks", "window_features"]
