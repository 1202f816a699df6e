# SPDX-License-Identifier: Apache-2.0
"""The hall of Works: names, owners, lineage, tills, terms, channels, reputation and bonds.

Import what is needed from the modules: `koinon.works.api` is the front door for publishing and income; a
process that only signs or serves imports less.
"""
