# SPDX-License-Identifier: Apache-2.0
"""Taking money back out of payment channels from a page: announce, wait, take."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.errors import BadInput, NotFound
from koinon.web import Action, Fields, Outcome, Review, Say, Unit, Visitor, gettext, moment
from koinon.works.channels import Channels, ChannelState
from koinon.works.forms import acting, coin_unit, money, whole_number
from koinon.works.ground import Ground
from koinon.works.vouchers import MAX_WITHDRAW_DELAY_S, ChannelConfig


def channel_fields(config: ChannelConfig) -> dict[str, str]:
    """A channel's parameters as a form carries them."""
    return {
        "payer_authorizer": config.payer_authorizer,
        "receiver": config.receiver,
        "receiver_authorizer": config.receiver_authorizer,
        "token": config.token,
        "withdraw_delay_s": str(config.withdraw_delay_s),
        "salt": "0x" + config.salt.hex(),
    }


def _config(payer: str, fields: Fields) -> ChannelConfig:
    try:
        config = ChannelConfig(
            payer=payer,
            payer_authorizer=checksum(fields["payer_authorizer"]),
            receiver=checksum(fields["receiver"]),
            receiver_authorizer=checksum(fields["receiver_authorizer"]),
            token=checksum(fields["token"]),
            withdraw_delay_s=int(whole_number(fields["withdraw_delay_s"]) or 0),
            salt=bytes.fromhex(fields["salt"].removeprefix("0x")),
        )
        usable = config.withdraw_delay_s <= MAX_WITHDRAW_DELAY_S and len(config.salt) == 32
    except (KeyError, ValueError, BadInput):
        usable = False
    if not usable:
        raise BadInput(gettext("The form names no channel."), code="works.channel")
    return config


def _state(ground: Ground, config: ChannelConfig) -> ChannelState:
    """What the chain says of the channel; `NotFound` where nothing is left in it."""
    channels = Channels(ground.chain)
    state = channels.state(channels.digests.channel_id(config))
    if not state.open:
        raise NotFound(gettext("Nothing is left in this channel."), code="works.channel_empty")
    return state


def unit_of(ground: Ground, token: str) -> Unit:
    """What a channel's amounts are counted in."""
    return coin_unit(ground) if token == ground.chain.coin.address else other_unit(token)


def other_unit(token: str) -> Unit:
    """Of a token that is not the network's coin: what it says of itself is not asked, so smallest units."""
    return Unit(gettext("smallest units of %(token)s", token=token), 0)


def _prepare_exit(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    config = _config(acting(visitor), fields)
    state, unit = _state(ground, config), unit_of(ground, config.token)
    back = ground.chain.timestamp() + config.withdraw_delay_s
    return Review(
        title=gettext("Take the rest out of this channel?"),
        button=gettext("Announce it"),
        changes=(
            gettext(
                "%(amount)s can be taken back from %(when)s on.",
                amount=money(state.open, unit),
                when=moment(back),
            ),
            gettext("Until then the seller may still claim what your vouchers promised."),
        ),
        costs=(gettext("Gas for this transaction, and for another when the money is taken."),),
        risks=(gettext("Vouchers you signed stay valid until the money is taken."),),
    )


def _run_exit(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    config = _config(account.address, fields)
    state = _state(ground, config)
    say(gettext("Announcing"))
    after = Channels(ground.chain).initiate_withdraw(account, config, state.open)
    return Outcome(gettext("It can be taken from %(when)s on.", when=moment(after)), "/money")


def _prepare_take(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    config = _config(acting(visitor), fields)
    state, unit = _state(ground, config), unit_of(ground, config.token)
    amount = min(state.withdrawing, state.open)
    if not amount:
        raise BadInput(
            gettext("Nobody announced that money is taken out of this channel."),
            hint=gettext("Announce it first; it can be taken when the channel's delay is over."),
            code="works.exit_unannounced",
        )
    ready = state.withdraw_requested_at + config.withdraw_delay_s
    if ground.chain.timestamp() < ready:
        raise BadInput(
            gettext("The money can be taken from %(when)s on.", when=moment(ready)),
            hint=gettext("Until then the seller may still claim what your vouchers promised."),
            code="works.exit_early",
        )
    return Review(
        title=gettext("Take the money now?"),
        button=gettext("Take it"),
        changes=(gettext("%(amount)s come to your account.", amount=money(amount, unit)),),
        costs=(gettext("Gas for one transaction."),),
    )


def _run_take(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    config, channels = _config(account.address, fields), Channels(ground.chain)
    say(gettext("Taking it"))
    amount = channels.finalize_withdraw(account, config)
    return Outcome(
        gettext("%(amount)s came to you.", amount=money(amount, unit_of(ground, config.token))), "/money"
    )


EXITS: Final = (
    Action("works.exit", _prepare_exit, _run_exit, back="/money"),
    Action("works.take", _prepare_take, _run_take, back="/money"),
)
