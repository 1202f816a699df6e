# SPDX-License-Identifier: Apache-2.0
"""Calls that only their provider can read."""
