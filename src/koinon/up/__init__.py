# SPDX-License-Identifier: Apache-2.0
"""`koinon up`: chain, index, gateway and console in one command, and `down` and `status` for it."""
