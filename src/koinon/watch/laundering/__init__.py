# SPDX-License-Identifier: Apache-2.0
"""Laundering: lists, patterns in time, taint, and a model that ranks what people should look at first."""
