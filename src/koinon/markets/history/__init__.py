# SPDX-License-Identifier: Apache-2.0
"""What happened on any EVM chain, as one kind of row: decoded from logs, imported from tables, followed."""
