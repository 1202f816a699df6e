# SPDX-License-Identifier: Apache-2.0
"""Credit scores: an integer points scorecard with exact reasons, judged on held-out rows beside baselines."""
