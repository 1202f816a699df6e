# SPDX-License-Identifier: Apache-2.0
"""What keeps an owner's rows its own: accounting, clipping, noise, sums of masked updates, private descent.

Each module stands alone.
"""
