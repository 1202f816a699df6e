# SPDX-License-Identifier: Apache-2.0
"""Everything that can be checked of a network's description, each with what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from koinon.chain import discovery, joining, network_file, rights
from koinon.chain.hashing import keccak256
from koinon.chain.network import Network
from koinon.chain.rights import Rights
from koinon.chain.rpc import Rpc, redact
from koinon.errors import KoinonError


@dataclass(frozen=True)
class Finding:
    """One thing looked at. Where it is not ``fine``, ``detail`` says what differs; ``needed`` False where the
    network can be used all the same."""

    what: str
    fine: bool
    detail: str
    needed: bool = True


@dataclass(frozen=True)
class Report:
    """What was found, and who can change which contract."""

    findings: tuple[Finding, ...]
    rights: Mapping[str, Rights]

    @property
    def fine(self) -> bool:
        """Whether everything that matters fits."""
        return all(finding.fine for finding in self.findings if finding.needed)

    def to_json(self) -> dict[str, Any]:
        return {
            "fine": self.fine,
            "findings": [asdict(finding) for finding in self.findings],
            "rights": {
                name: {**asdict(found), "sentence": found.sentence} for name, found in self.rights.items()
            },
        }


def verify(network: Network, rpc: Rpc) -> Report:
    """Compare a description with the chain; NodeUnavailable where the node does not answer."""
    chain_id, genesis = rpc.batch([("eth_chainId", []), ("eth_getBlockByNumber", ["0x0", False])])
    same_chain = int(chain_id, 16) == network.chain_id
    found_genesis = "" if genesis is None else str(genesis["hash"])
    findings = [
        _signature(network),
        Finding("chain id", same_chain, f"{int(chain_id, 16)} at {redact(rpc.url)}"),
        Finding("genesis block", found_genesis == network.genesis_hash, found_genesis or "the node has none"),
    ]
    findings += _codes(network, rpc)
    findings.append(_tried("own code", lambda: joining.must_be_ours(network), "this version's"))
    if same_chain:
        findings.append(_tried("money", lambda: joining.examine(network, rpc), _money(network)))
    everything = {**network.contracts, **network.canonical}
    return Report(tuple(findings), rights.read(rpc, everything, joining.own_contracts(network)))


def _codes(network: Network, rpc: Rpc) -> list[Finding]:
    findings = []
    for name, code in discovery.codes(rpc, network.contracts).items():
        expected = network.code_hashes.get(name)
        fits = bool(code) and expected in (None, "0x" + keccak256(code).hex())
        detail = network.contracts[name] if fits else "other code" if code else "no code"
        findings.append(Finding(f"code of {name}", fits, detail))
    for name, code in discovery.codes(rpc, network.canonical).items():
        findings.append(
            Finding(f"ERC-8004 {name}", bool(code), network.canonical[name] if code else "no code")
        )
    if not network.canonical:
        there = discovery.registries(rpc)
        detail = "there are some now: deploy or join again" if there else "none on this chain"
        findings.append(Finding("ERC-8004 registries", not there, detail, needed=False))
    return findings


def _signature(network: Network) -> Finding:
    if not network.signature:
        return Finding("signature", False, "nobody signed it", needed=False)
    return _tried("signature", lambda: network_file.check(network), network.signer)


def _tried(what: str, look: Any, fine: str) -> Finding:
    try:
        look()
    except KoinonError as error:
        return Finding(what, False, error.message)
    return Finding(what, True, fine)


def _money(network: Network) -> str:
    return "test money, worth nothing" if network.test_money else "real money"
