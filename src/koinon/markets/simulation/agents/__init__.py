# SPDX-License-Identifier: Apache-2.0
"""Those who act in the simulated market, each by what it can see and its own source of chance."""
