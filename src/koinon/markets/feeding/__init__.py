# SPDX-License-Identifier: Apache-2.0
"""Keeping a price feed alive: where prices come from, how feeders' words meet, and the loop that posts."""
