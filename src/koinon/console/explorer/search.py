# SPDX-License-Identifier: Apache-2.0
"""One box for everything: a block, a transaction, an address, a Work's id, or words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.web.language import url

LONGEST: Final = 200
"""Characters of a search that are read."""


@dataclass(frozen=True)
class Found:
    """One answer: what kind of thing, what it is called, where its page is."""

    kind: str
    title: str
    href: str


def search(chain: Chain, text: str) -> list[Found]:
    """What a text can mean on this network, best first; words that mean nothing here give an empty list.

    Addresses, hashes and numbers are looked up; Works by their words are the directory's to find. Raises
    BadInput where an address contradicts its own checksum.
    """
    wanted = text.strip()[:LONGEST]
    digits = wanted[2:] if wanted[:2].lower() == "0x" else wanted
    hexadecimal = bool(digits) and set(digits.lower()) <= set("0123456789abcdef")
    if hexadecimal and len(digits) == 40:
        address = checksum("0x" + digits)
        return [Found("address", address, url(f"/chain/address/{address}"))]
    if hexadecimal and len(digits) == 64:
        return _by_hash(chain, "0x" + digits.lower())
    number = wanted.removeprefix("#").replace(",", "")
    if number.isascii() and number.isdigit() and len(number) < 19:
        return _by_number(chain, int(number))
    if wanted.lower().startswith("0x"):
        raise BadInput(
            f"{wanted[:80]} is neither an address nor a hash.",
            hint="An address has 40 hex digits after 0x, a transaction or block hash 64.",
            code="explorer.search",
        )
    return [
        Found("contract", name, url(f"/chain/contract/{name}"))
        for name in chain.network.contracts
        if wanted and wanted.lower() in name.lower()
    ]


def _by_hash(chain: Chain, digest: str) -> list[Found]:
    transaction, block = chain.rpc.batch(
        [("eth_getTransactionByHash", [digest]), ("eth_getBlockByHash", [digest, False])],
        raise_errors=False,
    )
    found = []
    if isinstance(transaction, dict):
        found.append(Found("transaction", digest, url(f"/chain/transaction/{digest}")))
    if isinstance(block, dict):
        number = int(block["number"], 16)
        found.append(Found("block", str(number), url(f"/chain/block/{number}")))
    return found


def _by_number(chain: Chain, number: int) -> list[Found]:
    found = []
    if 1 <= number <= int(chain.contract("Works").call("total")):
        found.append(Found("work", str(number), url(f"/works/{number}")))
    if number <= chain.block_number():
        found.append(Found("block", str(number), url(f"/chain/block/{number}")))
    return found
