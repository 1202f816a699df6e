# SPDX-License-Identifier: Apache-2.0
"""Models served from a file of numbers, without the code that trained them."""
