# SPDX-License-Identifier: Apache-2.0
"""Federations without a central server."""
