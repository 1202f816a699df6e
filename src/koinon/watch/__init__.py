# SPDX-License-Identifier: Apache-2.0
"""The watch: laundering, abnormal behaviour and liquidity risk, as cases and alerts for people to judge."""
