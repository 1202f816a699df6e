# SPDX-License-Identifier: Apache-2.0
"""Calling services and paying for them: the lean buyer, and what pages and shells do with it."""
