# SPDX-License-Identifier: Apache-2.0
"""The hall as pages read it: families, income, ways and names of all Works, over one event index."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from koinon.chain.handle import Chain
from koinon.works.catalogue import Blocks
from koinon.works.directory import Directory, Notebook
from koinon.works.family import Family, Index
from koinon.works.income import IncomeBook
from koinon.works.purse import Purses
from koinon.works.way import Ways


class WritableIndex(Index, Notebook, Protocol):
    """An index that keeps other rooms' notes beside its own tables."""


class Hall:
    """Everything that is read of the Works on one network. Safe to share between threads.

    Parameters
    ----------
    chain : Chain
    index : WritableIndex
    store : Blocks
    """

    def __init__(self, chain: Chain, index: WritableIndex, store: Blocks) -> None:
        self.chain, self.index, self.store = chain, index, store

    @cached_property
    def family(self) -> Family:
        """Owners, parents, children and shares."""
        return Family.of(self.index, self.store, self.chain)

    @cached_property
    def directory(self) -> Directory:
        """Works by kind, name and age."""
        return Directory(self.family, self.index)

    @cached_property
    def book(self) -> IncomeBook:
        """What each Work earned in the network's coin."""
        return IncomeBook(
            self.index,
            self.family,
            token=self.chain.coin.address,
            channels=self.chain.network.address("Channels"),
            jobs=self.chain.network.contracts.get("Jobs", ""),
            notebook=self.index,
        )

    @cached_property
    def ways(self) -> Ways:
        """Income followed upstream."""
        return Ways(self.family, self.book)

    @cached_property
    def purses(self) -> Purses:
        """Money by account."""
        return Purses(self.index, self.ways)
