# SPDX-License-Identifier: Apache-2.0
"""Monitors of contracts: what happens on a chain, row by row, and what of it people should see at once."""
