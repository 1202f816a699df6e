# SPDX-License-Identifier: Apache-2.0
"""The market's pages: search, a service with its evidence, earnings."""
