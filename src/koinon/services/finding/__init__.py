# SPDX-License-Identifier: Apache-2.0
"""Finding services: by their words, price, speed, checks, and by feedback that somebody paid for."""
