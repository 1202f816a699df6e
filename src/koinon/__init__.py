# SPDX-License-Identifier: Apache-2.0
"""Koinon: the open AI economy that anyone can run."""

__version__ = "0.1.0"
