# SPDX-License-Identifier: Apache-2.0
"""The data market: data sets as Works, sold by download or by computing where they are."""
