# SPDX-License-Identifier: Apache-2.0
"""A market of seeded agents on the real contracts: months of history in minutes, and what it really was.

Agents act in `bench`, an EVM in memory, and each of their transactions is kept on a `tape`; `filling` plays a
tape onto a development chain as signed transactions. What no chain shows, who is what kind of borrower and
which transfers launder money, is written aside as `truth`.
"""
