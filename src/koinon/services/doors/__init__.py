# SPDX-License-Identifier: Apache-2.0
"""Other protocols' ways in to what is sold by plain HTTP: MCP for models, A2A for agents."""
