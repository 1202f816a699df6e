# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@notice A token whose decimals no longer answer once it is told so.
"""

mute: public(bool)


@external
def hush(mute: bool):
    self.mute = mute


@external
@view
def symbol() -> String[32]:
    return "TURN"


@external
@view
def decimals() -> uint8:
    assert not self.mute, "mute"
    return 18
