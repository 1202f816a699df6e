# SPDX-License-Identifier: Apache-2.0
"""Following somebody else's chain, reading only: Koinon's event index over other protocols' contracts.

The index (`koinon.chain.index`) brings ranges that adapt to the node, undoing of reorganised blocks, and
going on where it stopped; rows are given out up to the confirmation depth only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from koinon.chain.address import checksum
from koinon.chain.index.api import EventIndex
from koinon.chain.index.follower import Policy
from koinon.chain.index.setup import engine_at
from koinon.chain.index.sources import Source
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc, RpcError
from koinon.errors import BadInput
from koinon.markets.history.decoding import check_protocol
from koinon.markets.history.facts import Facts, read_decimals, read_market
from koinon.markets.history.history import History
from koinon.markets.history.indexed import read_history
from koinon.markets.history.protocols import abi

DEPTH: Final = 64


class Shadow:
    """What named contracts of one chain did, kept in a file and kept up with the chain.

    Close it or use it as a context manager; the node stays the caller's.

    Parameters
    ----------
    rpc : Rpc
        Any EVM node; see `koinon.markets.history.paced` for one with a limit.
    folder : Path
        Where ``shadow-<chain id>.sqlite`` and ``.json`` (the facts) are kept.
    first_block : int
        Where a new index begins; an existing one goes on.
    depth : int
        How many blocks must stand on one before its rows are given out.

    Raises
    ------
    NodeUnavailable, SetupError
        The node does not answer, or the file cannot be used.
    """

    def __init__(self, rpc: Rpc, folder: Path, *, first_block: int = 0, depth: int = DEPTH) -> None:
        if depth < 0 or first_block < 0:
            raise BadInput(
                "A block's number and the confirmation depth are not negative.", code="history.depth"
            )
        self.chain_id = int(rpc.call("eth_chainId"), 16)
        self.depth = depth
        self._rpc = rpc
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"shadow-{self.chain_id}.sqlite"
        self.facts_file = self.file.with_suffix(".json")
        self.facts = Facts.load(self.facts_file) if self.facts_file.is_file() else Facts()
        network = Network(
            name=f"chain {self.chain_id}",
            chain_id=self.chain_id,
            rpc_url=rpc.url,
            test_money=False,
            contracts={},
            code_hashes={},
            start_block=first_block,
            genesis_hash=_genesis(rpc),
        )
        policy = Policy(finality_blocks=depth, strict=True)
        self._index = EventIndex(engine_at(self.file, network), network, rpc, policy)

    def watch(self, contracts: Mapping[str, str], from_block: int = 0) -> list[str]:
        """Follow more contracts (address → protocol) from a block on; the names of their sources.

        Those that are followed already are left as they are. What the contracts and their tokens say of
        themselves is kept in ``facts``.

        Raises
        ------
        BadInput
            An address or protocol is unknown.
        """
        wanted = {checksum(address): check_protocol(name) for address, name in contracts.items()}
        known = {source.name for source, _ in self._index.sources()}
        for address, protocol in wanted.items():
            name = source_name(protocol, address)
            if name in known:
                continue
            self._look_at(protocol, address)
            self._index.add(name, address, abi(protocol), from_block)
        self.facts_file.write_bytes(self.facts.to_json())
        return [source_name(protocol, address) for address, protocol in wanted.items()]

    def contracts(self) -> dict[str, str]:
        """Address → protocol of what is followed."""
        return {str(source.address): _protocol(source) for source, _ in self._index.sources()}

    def sync(self) -> int:
        """Catch up with the chain; the last block that is in."""
        self._index.sync()
        head = self._index.head()
        return head.number if head is not None else -1

    def confirmed(self) -> int:
        """The last block with enough blocks on it; -1 where there is none."""
        head = self._index.head()
        return max(head.number - self.depth, -1) if head is not None else -1

    def history(self, *, unconfirmed: bool = False, since: int = 0) -> History:
        """Rows from block ``since`` up to the confirmation depth, or (``unconfirmed``) up to the head, whose
        newest blocks may still be replaced."""
        head = self._index.head()
        last = (head.number if head is not None else -1) if unconfirmed else self.confirmed()
        sources = [(_protocol(source), source) for source, _ in self._index.sources()]
        return read_history(self._index, sources, self.facts, since=since, last=last)

    def close(self) -> None:
        """Close the file."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_at(self, protocol: str, address: str) -> None:
        if address not in self.facts.markets:
            found = read_market(self._rpc, protocol, address)
            if found.asset:
                self.facts.markets[address] = found
        facts = self.facts.markets.get(address)
        tokens = {facts.asset, facts.asset_2} if facts is not None else set()
        if protocol in ("erc20", "erc4626"):
            tokens.add(address)
        for token in sorted(tokens - {""} - set(self.facts.decimals)):
            decimals = read_decimals(self._rpc, token)
            if decimals is not None:
                self.facts.decimals[token] = decimals


def source_name(protocol: str, address: str) -> str:
    """What a contract's tables in the index begin with."""
    return f"{protocol.replace('-', '_')}_{address[2:10].lower()}"


def _protocol(source: Source) -> str:
    return source.name[:-9].replace("_", "-")


def _genesis(rpc: Rpc) -> str:
    """Its hash; '' where the node has pruned it."""
    try:
        found = rpc.call("eth_getBlockByNumber", "0x0", False)
    except RpcError:
        return ""
    return str(found["hash"]).lower() if found else ""
