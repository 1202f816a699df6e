# SPDX-License-Identifier: Apache-2.0
"""Payment channels: from the deposit over claims of many vouchers to settlement and what goes back."""

from __future__ import annotations

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, Stage, digest, key
from koinon.chain import codec
from koinon.chain.canonical import CANONICAL
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.works.coin import CoinDigests
from koinon.works.vouchers import ChannelConfig, ChannelDigests, Claim

DIGESTS = ChannelDigests(CHAIN_ID)
COLLECTOR_DATA = ("uint256", "uint256", "uint256", "bytes")
CALL_PRICE = DOLLAR // 1_000


def payer(number: int) -> Key:
    """One of a hundred buyers."""
    return key(f"payer {number}")


def config(stage: Stage, buyer: Key) -> ChannelConfig:
    """A channel from this buyer to the gateway's Work."""
    return ChannelConfig(
        payer=buyer.address,
        payer_authorizer=buyer.address,
        receiver=key("lender").address,
        receiver_authorizer=key("gateway").address,
        token=stage.contracts["Coin"].address,
        salt=digest("channel"),
    )


def deposit(stage: Stage, buyer: Key, amount: int, salt: int = 1) -> tuple[object, ...]:
    """What ``Channels.deposit`` takes, with the buyer's signed authorisation."""
    coin = CoinDigests.of(stage.contracts["Coin"], CHAIN_ID)
    channel, later = config(stage, buyer), stage.now() + 3_600
    nonce = keccak256(DIGESTS.channel_id(channel) + salt.to_bytes(32, "big"))
    signed = coin.receive(
        buyer.address, CANONICAL["ERC3009Collector"], amount, valid_after=0, valid_before=later, nonce=nonce
    )
    data = codec.encode(COLLECTOR_DATA, (0, later, salt, buyer.sign(signed)))
    return channel.values(), amount, CANONICAL["ERC3009Collector"], data


def claim(stage: Stage, buyer: Key, calls: int) -> Claim:
    """All that a buyer has paid after so many calls."""
    channel = config(stage, buyer)
    voucher = DIGESTS.sign(buyer, DIGESTS.channel_id(channel), calls * CALL_PRICE)
    return Claim(channel, voucher, calls * CALL_PRICE)


def one_buyer(stage: Stage) -> None:
    """A single channel, through everything that can happen to it."""
    channels, coin = stage.contracts["Channels"], stage.contracts["Coin"]
    buyer = key("buyer")
    channel = config(stage, buyer)
    channel_id = DIGESTS.channel_id(channel)
    stage.send(coin, "mint", buyer.address, 100 * DOLLAR)
    stage.measure(
        channels, "deposit", *deposit(stage, buyer, DOLLAR), sender="gateway", note="opens a channel"
    )
    stage.measure(channels, "deposit", *deposit(stage, buyer, DOLLAR, 2), sender="gateway", note="again")
    stage.measure(channels, "claim", [claim(stage, buyer, 1).values()], sender="gateway", note="one, first")
    stage.measure(channels, "claim", [claim(stage, buyer, 2).values()], sender="gateway", note="one, again")
    batch = [claim(stage, buyer, 3)]
    agreed = key("gateway").sign(DIGESTS.claim_batch(batch))
    rows = [row.values() for row in batch]
    stage.measure(channels, "claimWithSignature", rows, agreed, sender="stranger", note="one, again")
    stage.measure(channels, "settle", channel.receiver, coin.address, sender="stranger", note="first")
    stage.send(channels, "claim", [claim(stage, buyer, 4).values()], sender="gateway")
    stage.measure(channels, "settle", channel.receiver, coin.address, sender="stranger", note="again")
    stage.measure(channels, "refund", channel.values(), DOLLAR // 10, sender="gateway")
    signature = key("gateway").sign(DIGESTS.refund(channel_id, 1, DOLLAR // 10))
    stage.measure(
        channels, "refundWithSignature", channel.values(), DOLLAR // 10, 1, signature, sender="stranger"
    )
    stage.measure(channels, "initiateWithdraw", channel.values(), DOLLAR, sender="buyer")
    stage.wait(channel.withdraw_delay_s)
    stage.measure(channels, "finalizeWithdraw", channel.values(), sender="buyer")
    settle = channels.function("settle").encode(channel.receiver, coin.address)
    rows = [claim(stage, buyer, 5).values()]
    stage.measure(
        channels,
        "multicall",
        [channels.function("claim").encode(rows), settle],
        sender="gateway",
        note="claim, settle",
    )


def hundred_buyers(stage: Stage) -> None:
    """The newest vouchers of a hundred channels in one transaction, first and again."""
    channels, coin = stage.contracts["Channels"], stage.contracts["Coin"]
    buyers = [payer(number) for number in range(100)]
    for buyer in buyers:
        stage.send(coin, "mint", buyer.address, DOLLAR)
        stage.send(channels, "deposit", *deposit(stage, buyer, DOLLAR), sender="gateway")
    for calls, note in ((100, "a hundred, first"), (200, "a hundred, again")):
        rows = [claim(stage, buyer, calls).values() for buyer in buyers]
        stage.measure(channels, "claim", rows, sender="gateway", note=note)
