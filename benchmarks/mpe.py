# SPDX-License-Identifier: Apache-2.0
"""Gas of opening and claiming channels beside SingularityNET's MultiPartyEscrow, on the same node and token.

The peer's bytecode comes from its own package (`snet-contracts`, MIT), fetched by pip into ``build/peers``
and never committed. Both sides claim the newest vouchers of 1, 10 and 100 channels in one transaction, first
and again; either contract credits the receiver, who is sent the money by another transaction. An MPE channel
is opened from a balance that was deposited before (its cheaper way); ours by a signed deposit that the
gateway submits.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gas.channels import claim, deposit, payer
from benchmarks.gas.stage import DOLLAR, LARGEST, Stage, key, opened
from koinon.chain import codec
from koinon.chain.contract import Call, Contract
from koinon.chain.hashing import keccak256

NAMES = ("gas.open_vs_mpe", "gas.claim_vs_mpe", "gas.claim_again_vs_mpe")
PEERS = Path(__file__).parent.parent / "build" / "peers"
PACKAGE = "snet-contracts==1.0.1"
COUNTS = (1, 10, 100)
TARGET = 2.3
FAR = 10**9
"""A block far ahead: an MPE channel's expiration."""


def run() -> Iterator[dict[str, Any]]:
    """Opening and claiming at each count; the target is on claiming a hundred."""
    abi, bytecode = fetched()
    for count in COUNTS:
        ours, theirs = _ours(count), _mpe(abi, bytecode, count)
        for what in ("open", "claim", "claim_again"):
            goal = TARGET if (what, count) == ("claim", 100) else None
            name = f"gas.{what}_vs_mpe"
            ratio = round(theirs[what] / ours[what], 2)
            yield {
                "name": name if goal else f"{name}_{count}",
                "ours": round(ours[what] / count),
                "peer": round(theirs[what] / count),
                "ratio": ratio,
                "unit": f"gas a channel, {count} at once",
                "target": goal,
                "ok": goal is None or ratio >= goal,
            }


def fetched() -> tuple[list[dict[str, Any]], bytes]:
    """MultiPartyEscrow's ABI and creation bytecode."""
    PEERS.mkdir(parents=True, exist_ok=True)
    wheels = list(PEERS.glob("snet_contracts-1.0.1-*.whl"))
    if not wheels:
        command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "-q", "-d", str(PEERS)]
        subprocess.run(command, check=True)
        wheels = list(PEERS.glob("snet_contracts-1.0.1-*.whl"))
    with zipfile.ZipFile(wheels[0]) as wheel:
        abi = json.loads(wheel.read("snet/contracts/resources/abi/MultiPartyEscrow.json"))
        code = json.loads(wheel.read("snet/contracts/resources/bytecode/MultiPartyEscrow.json"))
    return abi, bytes.fromhex(code.removeprefix("0x"))


def _ours(count: int) -> dict[str, int]:
    with opened() as stage:
        for name, arguments in (
            ("Coin", ("Koinon test dollar", "tUSD", 6)),
            ("Channels", ()),
            ("ERC3009Collector", ()),
        ):
            stage.deploy(name, *arguments)
        channels, coin = stage.contracts["Channels"], stage.contracts["Coin"]
        buyers = [payer(number) for number in range(count)]
        opening = 0
        for buyer in buyers:
            stage.send(coin, "mint", buyer.address, DOLLAR)
            receipt = stage.send(channels, "deposit", *deposit(stage, buyer, DOLLAR), sender="gateway")
            opening += int(receipt["gasUsed"], 16)
        spent = {"open": opening}
        for calls, what in ((100, "claim"), (200, "claim_again")):
            rows = [claim(stage, buyer, calls).values() for buyer in buyers]
            receipt = stage.send(channels, "claim", rows, sender="gateway")
            spent[what] = int(receipt["gasUsed"], 16)
        return spent


def _mpe(abi: list[dict[str, Any]], bytecode: bytes, count: int) -> dict[str, int]:
    with opened() as stage:
        stage.deploy("Coin", "Koinon test dollar", "tUSD", 6)
        coin = stage.contracts["Coin"]
        creation = bytecode + codec.encode(("address",), (coin.address,))
        created = stage._send(Call(None, creation), key("publisher"))
        mpe = Contract(stage.rpc, created["contractAddress"], abi)
        recipient = key("gateway").address
        opening = 0
        for number in range(count):
            role = f"payer {number}"
            stage.fund(role)
            stage.send(coin, "mint", key(role).address, DOLLAR)
            stage.send(coin, "approve", mpe.address, LARGEST, sender=role)
            stage.send(mpe, "deposit", DOLLAR, sender=role)
            arguments = (key(role).address, recipient, bytes(32), DOLLAR, FAR)
            receipt = stage.send(mpe, "openChannel", *arguments, sender=role)
            opening += int(receipt["gasUsed"], 16)
        spent = {"open": opening}
        for nonce, what in enumerate(("claim", "claim_again")):
            receipt = _claim_mpe(stage, mpe, count, nonce)
            spent[what] = int(receipt["gasUsed"], 16)
        if mpe.call("balances", recipient) != 2 * count * DOLLAR // 10:
            raise RuntimeError("the peer was not paid")
        return spent


def _claim_mpe(stage: Stage, mpe: Contract, count: int, nonce: int) -> dict[str, Any]:
    amount = DOLLAR // 10
    signed = []
    for channel in range(count):
        packed = b"__MPE_claim_message" + bytes.fromhex(mpe.address[2:])
        packed += b"".join(value.to_bytes(32, "big") for value in (channel, nonce, amount))
        message = keccak256(b"\x19Ethereum Signed Message:\n32" + keccak256(packed))
        signed.append(payer(channel).sign(message))
    if count == 1:
        v, r, s = signed[0][64], signed[0][:32], signed[0][32:64]
        return stage.send(mpe, "channelClaim", 0, amount, amount, v, r, s, False, sender="gateway")
    return stage.send(
        mpe,
        "multiChannelClaim",
        list(range(count)),
        [amount] * count,
        [amount] * count,
        [False] * count,
        [signature[64] for signature in signed],
        [signature[:32] for signature in signed],
        [signature[32:64] for signature in signed],
        sender="gateway",
    )
