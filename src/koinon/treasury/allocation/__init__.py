# SPDX-License-Identifier: Apache-2.0
"""How a treasury is divided: methods, their test on what came later, what a vault's bounds leave of it."""
