# SPDX-License-Identifier: Apache-2.0
"""Lineage claims from the shell, copies found by asking, and what mandates demand of lineage."""
