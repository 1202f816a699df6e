# SPDX-License-Identifier: Apache-2.0
"""Channels and its collector at x402's canonical addresses, spoken to through the ABI that ships."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boa

from koinon.chain import abi, artifacts, codec
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.keys import Key
from koinon.works.coin import CoinDigests
from koinon.works.payments import deposit_nonce
from koinon.works.vouchers import (
    CANONICAL_CHANNELS,
    CANONICAL_COLLECTOR,
    ChannelConfig,
    ChannelDigests,
    Claim,
    Voucher,
)
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, deployable, key

__all__ = ["At", "Bank", "Reverted", "rows"]

CHAIN_ID = 1337
FOREVER = 2**48


class Reverted(Exception):
    """A call was refused; the message is the contract's reason, ``data`` its bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(abi.revert_reason(data, artifacts.custom_errors()))
        self.data = data


class At:
    """A contract through its shipped ABI: ``at("deposit", ..., sender=...)`` decodes what it returns."""

    def __init__(self, name: str, address: str) -> None:
        self.address = address
        self.artifact = artifacts.load(name)
        self.logs: list[dict[str, Any]] = []

    def data(self, name: str, *arguments: Any) -> bytes:
        """Calldata."""
        return self.artifact.functions[name].encode(*arguments)

    def __call__(self, name: str, *arguments: Any, sender: str = NOBODY) -> Any:
        function = self.artifact.functions[name]
        kept = self.logs
        output = self.raw(function.encode(*arguments), sender=sender)
        if not function.mutates:
            self.logs = kept
        return function.decode(output) if function.outputs.members else None

    def raw(self, data: bytes, *, sender: str = NOBODY, value: int = 0) -> bytes:
        """Call with these bytes; raises Reverted."""
        computation = boa.env.execute_code(self.address, sender=sender, data=data, value=value)
        if computation.is_error:
            raise Reverted(bytes(computation.output))
        self.logs = [
            {
                "address": emitter,
                "topics": ["0x" + topic.to_bytes(32, "big").hex() for topic in topics],
                "data": "0x" + content.hex(),
            }
            for _, emitter, topics, content in computation.get_raw_log_entries()
        ]
        return bytes(computation.output)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of this name that the last call that was not a view left."""
        event = self.artifact.events[name]
        return [event.decode(log) for log in self.logs if event.matches(log)]


def rows(*claims: Claim) -> list[tuple[Any, ...]]:
    """Claims as the ABI takes them."""
    return [claim.values() for claim in claims]


class Bank:
    """Channels with its collector, a coin, and people: payer, till (receiver), gateway (its authorizer)."""

    def __init__(self) -> None:
        for name, address in (("Channels", CANONICAL_CHANNELS), ("ERC3009Collector", CANONICAL_COLLECTOR)):
            boa.env.set_code(address, deployable("works", name).compiler_data.bytecode_runtime)
        self.channels = At("Channels", CANONICAL_CHANNELS)
        self.collector = At("ERC3009Collector", CANONICAL_COLLECTOR)
        self.coin = At("Coin", deploy("works", "Coin", "Koinon test dollar", "tUSD", 6).address)
        boa.env.evm.patch.chain_id = CHAIN_ID
        self.digests = ChannelDigests(CHAIN_ID)
        self.coin_digests = CoinDigests(CHAIN_ID, self.coin.address, "Koinon test dollar", "1")
        self.bringer = deploy_mock("Collector")
        self.payer = account("payer")
        self.till = account("till")
        self.gateway = account("gateway")
        self.stranger = account("stranger")

    def config(self, **changes: Any) -> ChannelConfig:
        """The payer's channel to the till."""
        plain = ChannelConfig(
            self.payer, ZERO_ADDRESS, self.till, self.gateway, self.coin.address, 3600, bytes(32)
        )
        return replace(plain, **changes)

    def mint(self, to: str, amount: int) -> None:
        """Make test money."""
        self.coin("mint", to, amount)

    def balance(self, holder: str) -> int:
        """The coins of an account."""
        return int(self.coin("balanceOf", holder))

    def collector_data(
        self, config: ChannelConfig, amount: int, payer: Key, salt: int = 1, valid_before: int = FOREVER
    ) -> bytes:
        """What the ERC-3009 collector needs."""
        nonce = deposit_nonce(self.digests.channel_id(config), salt)
        signed = self.coin_digests.receive(
            payer.address, CANONICAL_COLLECTOR, amount, valid_after=0, valid_before=valid_before, nonce=nonce
        )
        return codec.encode(
            ["uint256", "uint256", "uint256", "bytes"], [0, valid_before, salt, payer.sign(signed)]
        )

    def deposit(self, config: ChannelConfig, amount: int, payer: str = "payer", salt: int = 1) -> bytes:
        """Mint and deposit by authorization; returns the channel's id."""
        self.mint(config.payer, amount)
        data = self.collector_data(config, amount, key(payer), salt)
        self.channels("deposit", config.values(), amount, CANONICAL_COLLECTOR, data, sender=self.stranger)
        return self.digests.channel_id(config)

    def bring(self, config: ChannelConfig, amount: int) -> bytes:
        """Deposit any token by the test collector, which must hold it; returns the channel's id."""
        self.channels("deposit", config.values(), amount, self.bringer.address, b"", sender=self.stranger)
        return self.digests.channel_id(config)

    def claim_of(
        self, config: ChannelConfig, total: int, ceiling: int | None = None, signer: str = "payer"
    ) -> Claim:
        """A claim with a voucher signed by this role."""
        amount = total if ceiling is None else ceiling
        voucher = self.digests.sign(key(signer), self.digests.channel_id(config), amount)
        return Claim(config, voucher, total)

    def unsigned(self, config: ChannelConfig, total: int, signature: bytes) -> Claim:
        """A claim with these bytes for a signature."""
        return Claim(config, Voucher(self.digests.channel_id(config), total, signature), total)

    def claim(self, *claims: Claim, sender: str | None = None) -> None:
        """Claim, as the gateway unless someone else is named."""
        self.channels("claim", rows(*claims), sender=sender or self.gateway)
