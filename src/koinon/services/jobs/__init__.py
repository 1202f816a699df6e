# SPDX-License-Identifier: Apache-2.0
"""Work that is not a call: commissioned, paid into escrow, handed in, judged (ERC-8183)."""
