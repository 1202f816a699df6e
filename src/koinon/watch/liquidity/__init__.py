# SPDX-License-Identifier: Apache-2.0
"""Liquidity risk: what can be paid out, what may be asked for, and how often warnings were right."""
