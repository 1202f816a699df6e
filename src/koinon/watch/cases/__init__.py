# SPDX-License-Identifier: Apache-2.0
"""Cases: findings that hang together, kept for people to decide, with who decided what and why."""
