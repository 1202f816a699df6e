# SPDX-License-Identifier: Apache-2.0
"""What a program may spend, on what, until when: signed by its owner, counted in one ledger."""
