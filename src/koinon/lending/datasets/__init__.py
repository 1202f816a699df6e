# SPDX-License-Identifier: Apache-2.0
"""Real loans and defaults to measure scores on: read from the reader's own copies, never shipped."""
