# SPDX-License-Identifier: Apache-2.0
"""Supervised bins: where a column's risk changes; zero and missing values have bins of their own."""
