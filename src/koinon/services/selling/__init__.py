# SPDX-License-Identifier: Apache-2.0
"""Publishing services: what is sold, what it promises, in which versions."""
