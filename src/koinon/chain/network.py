# SPDX-License-Identifier: Apache-2.0
"""Which chain, which node, which contracts: what a program needs to take part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.contract import Contract
from koinon.chain.hashing import keccak256
from koinon.chain.keys import write_private
from koinon.chain.rpc import Rpc, redact
from koinon.errors import BadInput, NotFound, WrongNetwork


@dataclass(frozen=True)
class Network:
    """A deployment of Koinon.

    ``contracts`` name → address, ``code_hashes`` name → keccak256 of the code found there (0x-hex),
    ``genesis_hash`` 0x-hex ('' = not checked), ``start_block`` the block before the first deployment,
    ``test_money`` whether its coins are worth nothing. ``canonical`` name → address of other people's
    contracts that are used where they stand (ERC-8004's registries); ``rpc_urls`` nodes anyone may use;
    ``peers`` gateways that give out registration files. ``rpc_url`` is this machine's own way to the chain
    and never shared. ``signer`` and ``signature`` are empty where nobody signed, see
    `koinon.chain.network_file`.
    """

    name: str
    chain_id: int
    rpc_url: str = field(repr=False)
    test_money: bool
    contracts: Mapping[str, str]
    code_hashes: Mapping[str, str] = field(repr=False)
    start_block: int
    genesis_hash: str = ""
    canonical: Mapping[str, str] = field(default_factory=dict)
    rpc_urls: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    signer: str = ""
    signature: str = field(default="", repr=False)

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, content: bytes | str) -> Network:
        """Read what `to_json` wrote; `BadInput` when a field is missing or wrong."""
        try:
            fields: dict[str, Any] = orjson.loads(content)
            network = cls(
                name=_text(fields["name"]),
                chain_id=int(fields["chain_id"]),
                rpc_url=_text(fields["rpc_url"]),
                test_money=fields["test_money"] is True,
                contracts={str(name): checksum(address) for name, address in fields["contracts"].items()},
                code_hashes={str(name): str(code) for name, code in fields["code_hashes"].items()},
                start_block=int(fields["start_block"]),
                genesis_hash=_text(fields.get("genesis_hash", "")),
                canonical={
                    _text(name): checksum(address) for name, address in fields.get("canonical", {}).items()
                },
                rpc_urls=tuple(_text(url) for url in fields.get("rpc_urls", ())),
                peers=tuple(_text(url) for url in fields.get("peers", ())),
                signer=checksum(fields["signer"]) if fields.get("signer") else "",
                signature=_text(fields.get("signature", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise BadInput(
                "This is not a network description.",
                hint="Use the network.json that `koinon up` wrote.",
                code="chain.network_file",
            ) from fault
        return network

    @classmethod
    def load(cls, path: Path | str) -> Network:
        """Read a file; `NotFound` when there is none."""
        try:
            content = Path(path).read_bytes()
        except OSError:
            raise NotFound(
                f"There is no network description at {path}.",
                hint="Start a node with `koinon up`, or ask whoever runs the network for theirs.",
                code="chain.network_file",
            ) from None
        return cls.from_json(content)

    def save(self, path: Path | str) -> None:
        """Write a file in one step, readable by its owner only: the node's URL may carry a password."""
        write_private(Path(path), self.to_json())

    @property
    def identity(self) -> str:
        """What tells this network from every other: chain id, genesis block and its register of Works."""
        return f"{self.chain_id}:{self.genesis_hash}:{self.contracts.get('Works', '')}"

    def address(self, name: str) -> str:
        """Where a contract stands; `NotFound` when this network lacks it."""
        try:
            return self.contracts[name]
        except KeyError:
            raise NotFound(f"The network {self.name} has no {name}.", code="chain.contract") from None

    def contract(self, rpc: Rpc, name: str) -> Contract:
        """The contract of that name, bound to a node."""
        return Contract(rpc, self.address(name), artifacts.load(name))

    def verify(self, rpc: Rpc) -> None:
        """Check that a node serves this network: chain id, genesis block and every contract's code.

        Raises
        ------
        WrongNetwork
            With the codes ``chain.id``, ``chain.genesis``, ``chain.no_contract`` or ``chain.code``.
        """
        found_names = list(self.contracts)
        chain_id, genesis, *codes = rpc.batch(
            [
                ("eth_chainId", []),
                ("eth_getBlockByNumber", ["0x0", False]),
                *(("eth_getCode", [self.contracts[name], "latest"]) for name in found_names),
            ]
        )
        node = redact(rpc.url)
        if int(chain_id, 16) != self.chain_id:
            raise WrongNetwork(
                f"The node at {node} runs chain {int(chain_id, 16)}; {self.name} is chain {self.chain_id}.",
                hint="Point the settings at a node of the right network.",
                code="chain.id",
            )
        if self.genesis_hash and (genesis is None or genesis["hash"] != self.genesis_hash):
            raise WrongNetwork(
                f"The node at {node} has the right chain id but another genesis block than {self.name}.",
                hint="It is another chain. Point the settings at the right node.",
                code="chain.genesis",
            )
        for name, code in zip(found_names, codes, strict=True):
            self._verify_code(name, bytes.fromhex(code[2:]), node)

    def _verify_code(self, name: str, code: bytes, node: str) -> None:
        if not code:
            raise WrongNetwork(
                f"There is no {name} at {self.contracts[name]} on the node at {node}.",
                hint="Deploy again, or point the settings at the right node.",
                code="chain.no_contract",
            )
        expected = self.code_hashes.get(name)
        if expected is not None and "0x" + keccak256(code).hex() != expected:
            raise WrongNetwork(
                f"The code of {name} at {self.contracts[name]} is not the code that was deployed.",
                hint="Do not send money there. Ask whoever gave you this network description.",
                code="chain.code",
            )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
