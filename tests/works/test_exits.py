# SPDX-License-Identifier: Apache-2.0
"""Taking money back out of a channel from a page, on a chain of its own, whose clock can be put on."""

from __future__ import annotations

import pytest

from koinon.chain.deploy import deploy
from koinon.chain.devnet import Devnet
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.works.channels import Channels
from koinon.works.exits import channel_fields
from tests.pages_support import COIN, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory, anvil_path):
    with Devnet(tmp_path_factory.mktemp("chain"), anvil_path) as devnet, Rpc(devnet.rpc_url) as rpc:
        network = deploy(rpc, Sender(rpc, devnet.key(0), chain_id=devnet.chain_id))
        with open_town(tmp_path_factory.mktemp("town"), network, devnet) as opened:
            yield opened


@pytest.fixture
def channel(town):
    """A channel that the operator pays from, with 3 coins in it."""
    channels, operator = Channels(town.chain), town.house.operator
    salt = town.chain.block_number().to_bytes(32, "big")
    config = channels.config(operator.address, town.owner.address, town.owner.address, salt=salt)
    town.pay(operator.address, 3 * COIN)
    authorization = channels.authorize_deposit(
        operator,
        config,
        3 * COIN,
        valid_before=town.chain.timestamp() + 3_600,
        salt=town.chain.block_number(),
    )
    channels.deposit(town.owner, config, authorization)
    return config


def test_money_leaves_a_channel_by_announcing_waiting_and_taking(town, channel):
    operator, fields = town.operator(), channel_fields(channel)
    assert "3.00 tUSD can be taken back" in operator.review("works.exit", **fields)
    assert "works.exit_unannounced" in operator.refused("works.take", **fields)
    operator.do("works.exit", **fields)
    assert "works.exit_early" in operator.refused("works.take", **fields)
    town.chain.rpc.call("evm_increaseTime", channel.withdraw_delay_s + 1)
    town.chain.rpc.call("evm_mine")
    before = town.coins(operator.address)
    assert "Take it now" in operator.page("/money")
    operator.do("works.take", **fields)
    assert town.coins(operator.address) - before == 3 * COIN
    assert "works.channel_empty" in operator.refused("works.exit", **fields)


def test_nobody_takes_money_out_of_anothers_channel(guest, channel):
    assert "works.channel_empty" in guest.refused("works.exit", **channel_fields(channel))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("salt", "0x12"),
        ("salt", "zz"),
        ("token", "nonsense"),
        ("receiver", ""),
        ("withdraw_delay_s", "²"),
        ("withdraw_delay_s", "-1"),
        ("withdraw_delay_s", "99999999999"),
        ("payer_authorizer", "0x" + "zz" * 20),
    ],
)
def test_a_channel_that_is_none_is_refused(town, channel, field, text):
    fields = {**channel_fields(channel), field: text}
    operator = town.operator()
    for action in ("works.exit", "works.take"):
        page = operator.refused(action, **fields)
        assert "works.channel" in page
