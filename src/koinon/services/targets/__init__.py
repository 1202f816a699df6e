# SPDX-License-Identifier: Apache-2.0
"""What stands already and is sold as it is: MCP servers' tools, models at OpenAI-compatible endpoints."""
