# SPDX-License-Identifier: Apache-2.0
"""Works made of what stands elsewhere already: bound, described and paid here, and not moved."""
