# SPDX-License-Identifier: Apache-2.0
"""What programs may do: mandates taken back, and sessions of an account that runs the delegate's code."""

from __future__ import annotations

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, Stage, digest, key
from koinon.chain import codec, eip712
from koinon.services.mandates.delegation import (
    BATCH,
    BATCH_WITH_DATA,
    CALLS_AND_DATA,
    ONLY_CALLS,
    SESSION_CALLS,
    Permission,
)

UNTIL = 2**40


def revoking(stage: Stage) -> None:
    """One mandate, and ten."""
    mandates = stage.contracts["Mandates"]
    stage.measure(mandates, "revoke", digest("mandate"))
    stage.measure(mandates, "revoke_many", [digest(f"mandate {number}") for number in range(10)], note="ten")


def acting(stage: Stage) -> None:
    """The buyer's account delegates; the gateway's key has a session, which moves coins in three ways."""
    coin, owner, session = stage.contracts["Coin"], key("buyer").address, key("gateway").address
    code = "0xef0100" + stage.contracts["Delegate"].address[2:].lower()
    stage.rpc.call("anvil_setCode", owner, code)
    account = stage.at("Delegate", owner)
    stage.send(coin, "mint", owner, 1_000 * DOLLAR)
    permission = Permission.of(coin.address, "transfer(address,uint256)")
    grant = (
        session,
        UNTIL,
        [(permission.target, permission.selector)],
        [(coin.address, DOLLAR, 100 * DOLLAR, 100 * DOLLAR)],
    )
    stage.measure(account, "grant", *grant, sender="buyer", note="one function, one token")
    move = coin.transaction("transfer", session, DOLLAR // 10)
    calls = [(coin.address, 0, move.data)]
    plain = ONLY_CALLS.encode([calls])
    stage.measure(account, "execute", BATCH, plain, sender="buyer", note="by the owner")
    stage.measure(account, "execute", BATCH, plain, sender="gateway", note="by a session, its first")
    stage.measure(account, "execute", BATCH, plain, sender="gateway", note="by a session, again")
    where = eip712.Domain("Koinon Delegate", "1", CHAIN_ID, owner)
    signature = key("gateway").sign_typed(where, SESSION_CALLS, session, calls, 0, UNTIL)
    op_data = codec.encode(["address", "uint256", "bytes"], [session, UNTIL, signature])
    relayed = CALLS_AND_DATA.encode([calls, op_data])
    stage.measure(account, "execute", BATCH_WITH_DATA, relayed, sender="stranger", note="signed by a session")
    stage.measure(account, "revoke", session, sender="buyer")
    stage.measure(account, "revoke_all", sender="buyer")
