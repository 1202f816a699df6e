# SPDX-License-Identifier: Apache-2.0
"""The chain as people read it: blocks, transactions, addresses, contracts, and one search box."""
