# SPDX-License-Identifier: Apache-2.0
"""Serves many services in one process and takes the money for each call."""
