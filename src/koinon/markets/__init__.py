# SPDX-License-Identifier: Apache-2.0
"""Markets: pairs, price feeds, depth, routing, chains' history as one table of events, and a simulator."""
