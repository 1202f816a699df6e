# SPDX-License-Identifier: Apache-2.0
"""Answers that somebody stakes on: signed, run again by others, judged, and told to the registry."""
