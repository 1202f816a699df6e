# SPDX-License-Identifier: Apache-2.0
"""Delegate: the owner does everything, a session only what was granted to it, for as long and as much."""

from __future__ import annotations

import contextlib

import boa
import pytest

from koinon.chain import codec
from koinon.chain.abi import revert_reason
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.services.mandates.delegation import BATCH, BATCH_WITH_DATA, ONLY_CALLS
from tests.contracts_support import NOBODY, account, deploy_mock, events, fresh_chain, key
from tests.services.contracts.delegate_support import (
    ETH,
    OWNER,
    SESSION,
    TRANSFER,
    UNTIL,
    delegating,
    encoded,
    execute,
    relay,
    signed,
    transfer,
)

RECEIVER = account("receiver")
AGENT = account(SESSION)
STRANGER = account("stranger")
DAY = 86_400
ERC7201 = (
    int.from_bytes(
        keccak256((int.from_bytes(keccak256(b"koinon.delegate.1"), "big") - 1).to_bytes(32, "big")), "big"
    )
    & ~0xFF
)


@pytest.fixture(scope="module")
def wallet():
    with fresh_chain():
        yield delegating()


@pytest.fixture(scope="module")
def token(wallet):
    return coined(wallet)


@pytest.fixture(autouse=True)
def _undo(token):
    with fresh_chain():
        yield


def coined(wallet):
    token = deploy_mock("Token")
    token.mint(wallet.address, 1_000)
    return token


def grant(wallet, token, *, until=UNTIL, rights=None, limits=None, agent=AGENT):
    wallet.grant(
        agent,
        until,
        [(token.address, TRANSFER)] if rights is None else rights,
        [(token.address, 50, 80, 100)] if limits is None else limits,
        sender=wallet.address,
    )


def now() -> int:
    return int(boa.env.evm.patch.timestamp)


def test_storage_lies_where_no_other_delegate_writes(wallet, token):
    """Low slots stay empty; the first of ours is the name's slot."""
    wallet.revoke_all(sender=wallet.address)
    assert [boa.env.get_storage(wallet.address, slot) for slot in range(16)] == [0] * 16
    assert boa.env.get_storage(wallet.address, ERC7201) == 1


def test_the_owner_makes_any_calls_all_or_none(wallet, token):
    execute(wallet, [transfer(token, RECEIVER, 1), transfer(token, RECEIVER, 2)], wallet.address)
    assert token.balanceOf(RECEIVER) == 3
    with boa.reverts():
        execute(wallet, [transfer(token, RECEIVER, 1), transfer(token, RECEIVER, 10**6)], wallet.address)
    assert token.balanceOf(RECEIVER) == 3
    execute(wallet, [(RECEIVER, 5, b"")], wallet.address, BATCH_WITH_DATA)
    grant_call = encoded(
        wallet, "grant", AGENT, UNTIL, [(token.address, TRANSFER)], [(token.address, 1, 1, 1)]
    )
    execute(wallet, [(NOBODY, 0, grant_call)], wallet.address)
    assert wallet.is_granted(AGENT, token.address, TRANSFER), "the zero address stands for the account"


@pytest.mark.parametrize("sender", [STRANGER, AGENT, RECEIVER])
def test_nobody_else_does_anything_before_something_is_granted(wallet, token, sender):
    with boa.reverts("no session"):
        execute(wallet, [transfer(token, RECEIVER, 1)], sender)
    for act in (
        lambda: wallet.grant(
            sender, UNTIL, [(token.address, TRANSFER)], [(token.address, 1, 1, 1)], sender=sender
        ),
        lambda: wallet.revoke_all(sender=sender),
    ):
        with boa.reverts("only the account"):
            act()
    with boa.reverts("only the account or the key"):
        wallet.revoke(RECEIVER if sender != RECEIVER else AGENT, sender=sender)


def test_the_code_itself_obeys_nobody():
    implementation = delegating("somebody else")
    with boa.reverts("no session"):
        execute(implementation, [(RECEIVER, 0, b"")], STRANGER)


def test_a_session_spends_within_its_limits_and_no_further(wallet, token):
    grant(wallet, token)
    execute(wallet, [transfer(token, RECEIVER, 20), transfer(token, RECEIVER, 30)], AGENT)
    spent = events(wallet, "SessionSpent")
    assert [(each["key"], each["token"], each["amount"]) for each in spent] == [(AGENT, token.address, 50)]
    with boa.reverts("more than a call may spend"):
        execute(wallet, [transfer(token, RECEIVER, 25), transfer(token, RECEIVER, 26)], AGENT)
    with boa.reverts("more than a day may spend"):
        execute(wallet, [transfer(token, RECEIVER, 31)], AGENT)
    execute(wallet, [transfer(token, RECEIVER, 30)], AGENT)
    boa.env.time_travel(seconds=DAY)
    with boa.reverts("more than the session may spend"):
        execute(wallet, [transfer(token, RECEIVER, 21)], AGENT)
    execute(wallet, [transfer(token, RECEIVER, 20)], AGENT)
    assert token.balanceOf(RECEIVER) == 100
    assert wallet.spending_of(AGENT, token.address)[1] == 100


def test_a_days_limit_is_by_utc(wallet, token):
    boa.env.time_travel(seconds=DAY - now() % DAY - 10)
    grant(wallet, token, limits=[(token.address, 80, 80, 1_000)])
    execute(wallet, [transfer(token, RECEIVER, 80)], AGENT)
    boa.env.time_travel(seconds=9)
    with boa.reverts("more than a day may spend"):
        execute(wallet, [transfer(token, RECEIVER, 1)], AGENT)
    boa.env.time_travel(seconds=1)
    execute(wallet, [transfer(token, RECEIVER, 80)], AGENT)


def test_what_comes_in_meanwhile_does_not_raise_what_may_go_out(wallet, token):
    """A call that brings the account its own income in is not set off against one that takes."""
    minting = keccak256(b"mint(address,uint256)")[:4]
    grant(wallet, token, rights=[(token.address, TRANSFER), (token.address, minting)])
    income = (token.address, 0, minting + codec.encode(["address", "uint256"], [wallet.address, 500]))
    with boa.reverts("more than a call may spend"):
        execute(wallet, [income, transfer(token, RECEIVER, 51)], AGENT)
    execute(wallet, [income, transfer(token, RECEIVER, 50)], AGENT)


def test_eth_needs_a_limit_and_keeps_it(wallet, token):
    grant(wallet, token, rights=[(RECEIVER, b"\0" * 4)], limits=[])
    execute(wallet, [(RECEIVER, 0, b"")], AGENT)
    with boa.reverts("no limit on ETH"):
        execute(wallet, [(RECEIVER, 1, b"")], AGENT)
    grant(wallet, token, rights=[(RECEIVER, b"\0" * 4)], limits=[(ETH, 10, 15, 20)])
    execute(wallet, [(RECEIVER, 10, b"")], AGENT)
    with boa.reverts("more than a call may spend"):
        execute(wallet, [(RECEIVER, 11, b"")], AGENT)
    with boa.reverts("more than a day may spend"):
        execute(wallet, [(RECEIVER, 6, b"")], AGENT)


@pytest.mark.parametrize(
    "call",
    [
        lambda token, wallet: (token.address, 0, keccak256(b"mint(address,uint256)")[:4] + bytes(64)),
        lambda token, wallet: (RECEIVER, 0, b""),
        lambda token, wallet: (wallet.address, 0, encoded(wallet, "revoke_all")),
        lambda token, wallet: (NOBODY, 0, encoded(wallet, "revoke_all")),
        lambda token, wallet: (token.address, 0, b""),
    ],
)
def test_a_session_calls_nothing_else(wallet, token, call):
    grant(wallet, token)
    with boa.reverts("not granted"):
        execute(wallet, [call(token, wallet)], AGENT)
    with boa.reverts("no selector"):
        execute(wallet, [(token.address, 0, TRANSFER[:3])], AGENT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agent": NOBODY}, "no such key"),
        ({"agent": account(OWNER)}, "no such key"),
        ({"until": 1}, "already over"),
        ({"rights": []}, "nothing granted"),
        ({"rights": [(NOBODY, TRANSFER)]}, "no such target"),
        ({"rights": [(account(OWNER), TRANSFER)]}, "no such target"),
        ({"limits": []}, "no limit on this token"),
        ({"limits": [(ETH, 1, 1, 1), (ETH, 2, 2, 2)]}, "token twice"),
        ({"limits": [(ETH, 1, 1, 0)]}, "nothing to spend"),
    ],
)
def test_what_cannot_be_granted(wallet, token, change, reason):
    with boa.reverts(reason):
        grant(wallet, token, **change)


@pytest.mark.parametrize(
    "signature",
    [
        "approve(address,uint256)",
        "increaseAllowance(address,uint256)",
        "increaseApproval(address,uint256)",
        "setApprovalForAll(address,bool)",
        "approve(address,address,uint160,uint48)",
        "authorizeOperator(address)",
        "setOperator(address,bool)",
        "approve(address,uint256,uint256)",
        "multicall(bytes[])",
    ],
)
def test_allowances_are_never_granted(wallet, token, signature):
    with boa.reverts("allowances are not granted"):
        grant(wallet, token, rights=[(token.address, keccak256(signature.encode())[:4])])


def test_a_session_ends_by_its_time_by_its_owner_by_itself_and_with_all(wallet, token):
    grant(wallet, token, until=now() + 10)
    execute(wallet, [transfer(token, RECEIVER, 1)], AGENT)
    assert wallet.session_of(AGENT)[0] == now() + 10
    boa.env.time_travel(seconds=11)
    with boa.reverts("no session"):
        execute(wallet, [transfer(token, RECEIVER, 1)], AGENT)
    for end in (
        lambda: wallet.revoke(AGENT, sender=wallet.address),
        lambda: wallet.revoke(AGENT, sender=AGENT),
        lambda: wallet.revoke_all(sender=wallet.address),
    ):
        grant(wallet, token)
        end()
        assert wallet.session_of(AGENT)[0] == 0
        assert not wallet.is_granted(AGENT, token.address, TRANSFER)
        with boa.reverts("no session"):
            execute(wallet, [transfer(token, RECEIVER, 1)], AGENT)
    with boa.reverts("no session"):
        wallet.revoke(RECEIVER, sender=wallet.address)


def test_a_new_grant_takes_the_old_one_back(wallet, token):
    other = coined(wallet)
    grant(
        wallet,
        token,
        rights=[(token.address, TRANSFER), (other.address, TRANSFER)],
        limits=[(token.address, 50, 50, 50), (other.address, 50, 50, 50)],
    )
    execute(wallet, [transfer(token, RECEIVER, 50)], AGENT)
    grant(wallet, token, limits=[(token.address, 5, 5, 5)])
    with boa.reverts("not granted"):
        execute(wallet, [transfer(other, RECEIVER, 1)], AGENT)
    with boa.reverts("more than a call may spend"):
        execute(wallet, [transfer(token, RECEIVER, 6)], AGENT)
    execute(wallet, [transfer(token, RECEIVER, 5)], AGENT)


def test_signed_calls_are_made_once_by_whoever_sends_them(wallet, token):
    grant(wallet, token)
    calls = [transfer(token, RECEIVER, 10), transfer(token, RECEIVER, 5)]
    op_data = signed(wallet, calls)
    relay(wallet, calls, op_data)
    assert token.balanceOf(RECEIVER) == 15
    with boa.reverts("not signed"):
        relay(wallet, calls, op_data)
    grant(wallet, token)
    with boa.reverts("not signed"):
        relay(wallet, calls, op_data)
    with boa.reverts("not signed"):
        relay(wallet, calls, signed(wallet, calls, nonce=5))


@pytest.mark.parametrize("what", ["calls", "key", "deadline", "chain", "account", "name", "late", "garbage"])
def test_a_signature_is_for_these_calls_of_this_key_here_in_time(wallet, token, what):
    grant(wallet, token)
    calls = [transfer(token, RECEIVER, 10)]
    chain_id = boa.env.evm.patch.chain_id
    made = {
        "calls": lambda: signed(wallet, [transfer(token, RECEIVER, 11)]),
        "key": lambda: signed(wallet, calls, role="stranger", named=AGENT),
        "deadline": lambda: codec.encode(
            ["address", "uint256", "bytes"],
            [AGENT, UNTIL + 1, codec.decode(["address", "uint256", "bytes"], signed(wallet, calls))[2]],
        ),
        "chain": lambda: signed(
            wallet, calls, domain=Domain("Koinon Delegate", "1", chain_id + 1, wallet.address)
        ),
        "account": lambda: signed(wallet, calls, domain=Domain("Koinon Delegate", "1", chain_id, STRANGER)),
        "name": lambda: signed(wallet, calls, domain=Domain("Koinon", "1", chain_id, wallet.address)),
        "late": lambda: signed(wallet, calls, deadline=now() - 1),
        "garbage": lambda: codec.encode(["address", "uint256", "bytes"], [AGENT, UNTIL, b"\1" * 65]),
    }[what]()
    with boa.reverts("signature expired" if what == "late" else "not signed"):
        relay(wallet, calls, made)
    assert wallet.nonces(AGENT) == 0, "what is refused uses no nonce up"


def test_the_accounts_own_key_signs_no_session_calls(wallet, token):
    calls = [transfer(token, RECEIVER, 1)]
    with boa.reverts("not signed"):
        relay(wallet, calls, signed(wallet, calls, role=OWNER))
    stranger = [transfer(token, RECEIVER, 1)]
    with boa.reverts("no session"):
        relay(wallet, stranger, signed(wallet, stranger, role="stranger"))


def test_only_the_accounts_own_key_signs_for_it(wallet, token):
    grant(wallet, token)
    message = digest(Domain("Some token", "1", 1, STRANGER), TypedStruct("Permit(uint256 amount)").hash(1))
    assert wallet.isValidSignature(message, key(OWNER).sign(message)) == bytes.fromhex("1626ba7e")
    for signature in (
        key(SESSION).sign(message),
        key("stranger").sign(message),
        b"",
        b"\1" * 65,
        b"\1" * 200,
    ):
        assert wallet.isValidSignature(message, signature) == b"\xff" * 4
    assert wallet.isValidSignature(bytes(32), key(OWNER).sign(message)) == b"\xff" * 4


@pytest.mark.parametrize(
    ("mode", "supported"),
    [
        (BATCH, True),
        (BATCH_WITH_DATA, True),
        (bytes.fromhex("0100aabbccdd78210001") + b"\7" * 22, True),
        (bytes.fromhex("01000000000078210002") + bytes(22), False),
        (bytes.fromhex("0101") + bytes(30), False),
        (bytes(32), False),
        (b"\xff" * 32, False),
    ],
)
def test_modes_are_those_of_erc_7821(wallet, token, mode, supported):
    assert wallet.supportsExecutionMode(mode) == supported
    data = ONLY_CALLS.encode([[transfer(token, RECEIVER, 1)]])
    if supported:
        wallet.execute(mode, data, sender=wallet.address)
    else:
        with boa.reverts("mode not supported"):
            wallet.execute(mode, data, sender=wallet.address)


@pytest.mark.parametrize(
    "data", [b"", b"\1", bytes(32), bytes(64), b"\xff" * 96, bytes(31) + b"\x20" + b"\xff" * 32]
)
def test_garbage_executes_nothing(wallet, token, data):
    grant(wallet, token)
    for mode in (BATCH, BATCH_WITH_DATA):
        for sender in (AGENT, wallet.address):
            before = token.balanceOf(wallet.address)
            with contextlib.suppress(boa.BoaError, ValueError):
                wallet.execute(mode, data, sender=sender)
            assert token.balanceOf(wallet.address) == before


AGAIN = """
# pragma version 0.4.3
wallet: address
data: Bytes[4096]

@external
def prepare(wallet: address, data: Bytes[4096]):
    self.wallet = wallet
    self.data = data

@external
def token_arrived():
    raw_call(self.wallet, self.data)
"""


def test_a_session_that_is_called_in_the_middle_of_its_call_spends_nothing_uncounted(wallet, token):
    """Were the second call counted alone and the first against what is left, both limits would be passed."""
    hostile, agent = deploy_mock("HostileToken"), boa.loads(AGAIN)
    hostile.mint(wallet.address, 1_000)
    grant(wallet, hostile, agent=agent.address)
    inner = encoded(wallet, "execute", BATCH, ONLY_CALLS.encode([[transfer(hostile, RECEIVER, 50)]]))
    agent.prepare(wallet.address, inner)
    with boa.env.prank(agent.address):
        wallet.execute(BATCH, ONLY_CALLS.encode([[transfer(hostile, RECEIVER, 1)]]))
    hostile.set_hook(agent.address)
    with boa.reverts():
        execute(wallet, [transfer(hostile, RECEIVER, 50)], agent.address)
    assert hostile.balanceOf(RECEIVER) == 1


def test_a_token_that_does_not_say_what_the_account_has_is_not_moved(wallet, token):
    hostile = deploy_mock("HostileToken")
    hostile.mint(wallet.address, 1_000)
    grant(wallet, hostile)
    hostile.set_manners(False, False, True)
    with boa.reverts():
        execute(wallet, [transfer(hostile, RECEIVER, 1)], AGENT)
    hostile.set_manners(False, False, False)
    execute(wallet, [transfer(hostile, RECEIVER, 1)], AGENT)


def test_it_takes_eth_and_nfts_as_a_plain_account_does(wallet, token):
    boa.env.execute_code(wallet.address, sender=STRANGER, value=5)
    for data in (b"\1", b"\1\2\3\4"):
        computation = boa.env.execute_code(wallet.address, sender=STRANGER, data=data, value=5)
        assert computation.is_error
        assert revert_reason(bytes(computation.output)) == "no such function"
    assert wallet.onERC721Received(STRANGER, STRANGER, 1, b"") == bytes.fromhex("150b7a02")
    assert wallet.onERC1155Received(STRANGER, STRANGER, 1, 1, b"") == bytes.fromhex("f23a6e61")
    assert wallet.onERC1155BatchReceived(STRANGER, STRANGER, [1], [1], b"") == bytes.fromhex("bc197c81")
    for known in ("01ffc9a7", "1626ba7e", "150b7a02", "4e2312e0"):
        assert wallet.supportsInterface(bytes.fromhex(known))
    assert not wallet.supportsInterface(b"\xff" * 4)
    assert wallet.eip712Domain()[1:5] == ("Koinon Delegate", "1", boa.env.evm.patch.chain_id, wallet.address)
