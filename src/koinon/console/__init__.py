# SPDX-License-Identifier: Apache-2.0
"""The console: pages of one node for people in a browser. Domains bring their own; see `koinon.web`."""
