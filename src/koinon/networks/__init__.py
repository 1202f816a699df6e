# SPDX-License-Identifier: Apache-2.0
"""Networks on the command line: deploy, hand on, join, verify, cap."""
