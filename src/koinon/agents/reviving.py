# SPDX-License-Identifier: Apache-2.0
"""Dead letters that come back: those that somebody wants to be tried again (see `letters`)."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace

from koinon.agents import mailbox
from koinon.agents.context import LIFETIME_S
from koinon.agents.envelope import Envelope
from koinon.agents.exchange import Exchange
from koinon.agents.mailbox import Letter
from koinon.agents.post import Item, Post


async def revive(exchange: Exchange) -> None:
    """Take up the dead letters that are to be tried again. One whose time is over is signed anew."""
    if not exchange.boxes.any_again():
        return
    named, now = {post.name: post for post in exchange.posts.values()}, exchange.clock()
    inward: list[tuple[Post, Item]] = []
    outward: list[tuple[Letter, Envelope]] = []

    def change(database: sqlite3.Connection) -> None:
        for agent, content, name, outgoing in mailbox.take_again(database, named):
            post, envelope = named[agent], Envelope.from_bytes(content)
            if outgoing and envelope.expires <= now:
                fresh = replace(envelope, expires=int(now + LIFETIME_S), nonce=os.urandom(16))
                envelope, _identity = fresh.signed(post.key, exchange.domain)
            identity = envelope.digest(exchange.domain)
            if outgoing:
                outward.append((exchange.letter(post, envelope, identity, name), envelope))
            else:
                handler = post.agent.handler(envelope.protocol, envelope.schema)
                inward.append((post, exchange.item(post, envelope, identity, handler, None, name=name)))
        mailbox.put_in(database, [item.letter for _post, item in inward])
        mailbox.put_out(database, [letter for letter, _envelope in outward])

    await exchange.committer.do(change)
    for post, item in inward:
        post.reserve(item.envelope.sender)
        post.push(item, now)
    for letter, envelope in outward:
        named[letter.agent].on_their_way += 1
        exchange.dispatch(letter, envelope)
