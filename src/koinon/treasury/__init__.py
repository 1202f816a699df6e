# SPDX-License-Identifier: Apache-2.0
"""Treasury: vaults whose allocators may only propose within bounds, and what proposes."""
