# SPDX-License-Identifier: Apache-2.0
"""Lending: scores with reasons, personal terms, isolated pools with a first loss, and their risk."""
