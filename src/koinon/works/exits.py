# SPDX-License-Identifier: Apache-2.0
"""Taking money back out of payment channels from a page: announce, wait, take."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput, NotFound
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, moment
from koinon.works.changes import acting, coin_unit, money
from koinon.works.channels import Channels
from koinon.works.ground import Ground
from koinon.works.vouchers import ChannelConfig


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
        return ChannelConfig(
            payer=payer,
            payer_authorizer=fields["payer_authorizer"],
            receiver=fields["receiver"],
            receiver_authorizer=fields["receiver_authorizer"],
            token=fields["token"],
            withdraw_delay_s=int(fields["withdraw_delay_s"]),
            salt=bytes.fromhex(fields["salt"].removeprefix("0x")),
        )
    except (KeyError, ValueError):
        raise BadInput(gettext("The form names no channel."), code="works.channel") from None


def _prepare_exit(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    config = _config(acting(visitor), fields)
    channels, unit = Channels(ground.chain), coin_unit(ground)
    state = channels.state(channels.digests.channel_id(config))
    if not state.open:
        raise NotFound(gettext("Nothing is left in this channel."), code="works.channel_empty")
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
    config, channels = _config(account.address, fields), Channels(ground.chain)
    state = channels.state(channels.digests.channel_id(config))
    say(gettext("Announcing"))
    after = channels.initiate_withdraw(account, config, state.open)
    return Outcome(gettext("It can be taken from %(when)s on.", when=moment(after)), "/money")


def _prepare_take(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    config = _config(acting(visitor), fields)
    channels, unit = Channels(ground.chain), coin_unit(ground)
    state = channels.state(channels.digests.channel_id(config))
    amount = min(state.withdrawing, state.open)
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
    return Outcome(gettext("%(amount)s came to you.", amount=money(amount, coin_unit(ground))), "/money")


EXITS: Final = (
    Action("works.exit", _prepare_exit, _run_exit, back="/money"),
    Action("works.take", _prepare_take, _run_take, back="/money"),
)
