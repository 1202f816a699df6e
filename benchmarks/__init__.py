# SPDX-License-Identifier: Apache-2.0
"""Figures, each next to a peer measured in the same run: ``python -m benchmarks [NAME…]``."""
