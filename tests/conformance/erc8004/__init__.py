# SPDX-License-Identifier: Apache-2.0
"""One table of actions on ERC-8004's three registries, for the reference contracts and for ours."""
