# SPDX-License-Identifier: Apache-2.0
"""What lending can lose: of one loan, of a book in a falling market, and of all who share its collateral."""
