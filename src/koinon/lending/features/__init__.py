# SPDX-License-Identifier: Apache-2.0
"""What a chain's history says of a borrower at the end of a block, and nothing that happened later."""
