# SPDX-License-Identifier: Apache-2.0
"""The best way of many swaps through many pools at once: arbitrage and orders as one convex problem.

`dual` finds prices and trades, `flows` cuts the trades into cycles and paths, `plan` replays them with the
contracts' own whole numbers, and `executor` sends them.
"""
