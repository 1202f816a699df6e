# SPDX-License-Identifier: Apache-2.0
"""Tokens on any EVM chain, by RPC: whose they are, and what their files say."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.contract import Contract
from koinon.chain.rpc import Rpc
from koinon.errors import ChainError, KoinonError, NotFound, WrongNetwork
from koinon.services.adopting.documents import read_agent
from koinon.services.adopting.found import Found, malformed, text
from koinon.services.adopting.places import Places
from koinon.works.registration import TYPE

_NAMED: Final = re.compile(r"eip155:([1-9][0-9]{0,18}):(0x[0-9a-fA-F]{40})[/:]([0-9]{1,78})")
_ERC721: Final = bytes.fromhex("80ac58cd")
_DATA: Final = re.compile(r"data:([a-z+/.-]*)((?:;[^;,]*)*),", re.IGNORECASE)


class Token:
    """One token of one register.

    Parameters
    ----------
    name : str
        ``eip155:<chain>:<register>/<id>``, also with a colon before the id.
    rpc : Rpc
        Of a node of that chain.

    Raises
    ------
    BadInput
        It names no token (``service.adopt_source``).
    WrongNetwork
        The node is of another chain.
    """

    def __init__(self, name: str, rpc: Rpc) -> None:
        chain_id, address, number = parse_token(name)
        answered = int(str(rpc.call("eth_chainId")), 16)
        if answered != chain_id:
            raise WrongNetwork(
                f"The token is on chain {chain_id}, and this node is of chain {answered}.",
                hint="Give --rpc-url of a node of the token's chain.",
                code="service.adopt_chain",
            )
        self.number = number
        self.registry = f"eip155:{chain_id}:{address}"
        self.name = f"{self.registry}/{number}"
        # Works has ERC-721's and ERC-8004's functions, so its artifact binds every such register.
        self._contract = Contract(rpc, address, artifacts.load("Works"))

    def owner(self) -> str:
        """Whose it is now; NotFound where there is no such token."""
        try:
            if not self._contract.call("supportsInterface", _ERC721):
                raise malformed(self.name, "its register is no ERC-721 contract")
            return checksum(str(self._contract.call("ownerOf", self.number)))
        except ChainError:
            raise NotFound(
                f"There is no token {self.name}.",
                hint="Check the id and the chain.",
                code="service.adopt_token",
            ) from None

    def look(self, places: Places) -> Found:
        """What it is: an ERC-8004 agent where its file says so, else an ERC-721 token."""
        self.owner()
        uri = self._uri()
        document = self._file(uri, places)
        if isinstance(document, dict) and document.get("type") == TYPE:
            found = read_agent(self.name, document)
            return Found(
                "erc8004",
                self.name,
                found.name,
                found.description,
                found.services,
                ((self.number, self.registry),) if self.number < 2**63 else (),
                {**found.details, "uri": uri[:2_000]},
            )
        said = document if isinstance(document, dict) else {}
        name = text(said.get("name"), f"Token {self.number}")[:200]
        return Found(
            "erc721",
            self.name,
            name,
            text(said.get("description"), f"The token {self.name}.")[:2_000],
            details={"uri": uri[:2_000]},
        )

    def _uri(self) -> str:
        try:
            return str(self._contract.call("tokenURI", self.number))
        except ChainError:  # ERC-721's metadata is optional
            return ""

    def _file(self, uri: str, places: Places) -> Any:
        """The JSON at a token's URI; None where it cannot be had, which is no reason not to adopt it."""
        if len(uri) > 1 << 18:
            return None
        try:
            if matched := _DATA.match(uri):
                body = uri[matched.end() :]
                base = ";base64" in matched[2].lower()
                return orjson.loads(base64.b64decode(body) if base else unquote_to_bytes(body))
            return places.document(uri) if uri else None
        except (KoinonError, ValueError):
            return None


def parse_token(name: str) -> tuple[int, str, int]:
    """(chain id, register, token id); BadInput where it is no token's name."""
    matched = _NAMED.fullmatch(name)
    if matched is None or int(matched[3]) >= 2**256:
        raise malformed(name, "a token is named like eip155:1:0x…/42")
    return int(matched[1]), checksum(matched[2]), int(matched[3])


def is_token(name: str) -> bool:
    """Whether a source is meant as a token's name."""
    return name.startswith("eip155:")
