# SPDX-License-Identifier: Apache-2.0
"""What a pair refuses, that it cannot be entered twice, permits, and the factory.

That its numbers are Uniswap's is `test_pair_machine`'s matter."""

from __future__ import annotations

import boa
import pytest

from koinon.chain import artifacts, codec
from koinon.chain.abi import Function
from koinon.chain.address import create2_address
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, fresh_chain, key
from tests.markets.contracts.support import (
    MINIMUM_LIQUIDITY,
    WHOLE,
    amount_out,
    create_pair,
    deploy_factory,
    deploy_tokens,
    fund_pair,
    market_mock,
    pair_code,
    uniswap_abi,
)

PERMIT = TypedStruct("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


@pytest.fixture
def tokens():
    return deploy_tokens(18, 18)


@pytest.fixture
def factory():
    return deploy_factory()


@pytest.fixture
def pair(factory, tokens):
    created = create_pair(factory, *tokens)
    fund_pair(created, *tokens, 10 * WHOLE, 40 * WHOLE)
    return created


@pytest.mark.parametrize(
    ("ours", "theirs", "left_out"),
    [
        ("Pair", "UniswapV2Pair", set()),
        ("PairFactory", "UniswapV2Factory", {"setFeeTo(address)", "setFeeToSetter(address)"}),
    ],
)
def test_it_answers_every_function_and_event_of_uniswaps_abi(ours, theirs, left_out):
    known = {_signature(entry) for entry in artifacts.load(ours).abi if "name" in entry}
    assert {_signature(entry) for entry in uniswap_abi(theirs) if "name" in entry} - known == left_out


def _signature(entry):
    if entry["type"] == "function":
        return Function(entry).signature
    kinds = ",".join(f"{field['type']}{' indexed' * field['indexed']}" for field in entry["inputs"])
    return f"{entry['name']}({kinds})"


# ------------------------------------------------------------------------------------------- factory


def test_a_pair_stands_where_its_tokens_say(factory, tokens):
    pair = create_pair(factory, *reversed(tokens))
    arguments = codec.encode(["address", "address"], [token.address for token in tokens])
    packed = b"".join(bytes.fromhex(str(token.address)[2:]) for token in tokens)
    assert pair.address == create2_address(
        str(factory.address), keccak256(packed), keccak256(pair_code() + arguments)
    )
    assert (pair.token0(), pair.token1()) == tuple(token.address for token in tokens)
    assert pair.factory() == factory.address
    assert factory.getPair(*tokens) == factory.getPair(*reversed(tokens)) == pair.address
    assert factory.allPairs(0) == pair.address
    assert factory.allPairsLength() == 1
    assert factory.feeTo() == factory.feeToSetter() == NOBODY


def test_a_factory_refuses_what_makes_no_pair(factory, tokens):
    create_pair(factory, *tokens)
    for first, second, reason in (
        (*tokens, "UniswapV2: PAIR_EXISTS"),
        (*reversed(tokens), "UniswapV2: PAIR_EXISTS"),
        (tokens[0], tokens[0], "UniswapV2: IDENTICAL_ADDRESSES"),
        (tokens[0], NOBODY, "UniswapV2: ZERO_ADDRESS"),
    ):
        with boa.reverts(reason):
            factory.createPair(first, second)
    with boa.reverts("no code"):
        deploy("markets", "PairFactory", b"")


# ------------------------------------------------------------------------------------------- refusals


def test_a_pair_refuses_what_uniswaps_refuses(pair, tokens):
    trader = account("trader")
    empty = create_pair(deploy_factory(), *tokens)
    for call, reason in (
        (lambda: pair.mint(trader), "UniswapV2: INSUFFICIENT_LIQUIDITY_MINTED"),
        (lambda: pair.burn(trader), "UniswapV2: INSUFFICIENT_LIQUIDITY_BURNED"),
        (lambda: pair.swap(0, 0, trader, b""), "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT"),
        (lambda: pair.swap(10 * WHOLE, 0, trader, b""), "UniswapV2: INSUFFICIENT_LIQUIDITY"),
        (lambda: pair.swap(1, 0, tokens[1], b""), "UniswapV2: INVALID_TO"),
        (lambda: pair.swap(1, 0, trader, b""), "UniswapV2: INSUFFICIENT_INPUT_AMOUNT"),
        (lambda: pair.initialize(*tokens), "UniswapV2: FORBIDDEN"),
        (lambda: pair.transfer(trader, 1, sender=trader), "liquidity: transfer amount exceeds balance"),
        (lambda: pair.transferFrom(trader, trader, 1), "liquidity: insufficient allowance"),
        (lambda: empty.burn(trader), None),
        (lambda: empty.mint(trader), None),
    ):
        with boa.reverts(reason) if reason else boa.reverts():
            call()
    tokens[0].mint(pair, 997)
    with boa.reverts("UniswapV2: K"):
        pair.swap(0, 4 * 997, trader, b"")
    tokens[0].mint(pair, 2**112)
    with boa.reverts("UniswapV2: OVERFLOW"):
        pair.sync()


def test_first_liquidity_locks_a_thousand_shares_for_ever(factory, tokens):
    pair = create_pair(factory, *tokens)
    tokens[0].mint(pair, MINIMUM_LIQUIDITY)
    tokens[1].mint(pair, MINIMUM_LIQUIDITY)
    with boa.reverts("UniswapV2: INSUFFICIENT_LIQUIDITY_MINTED"):
        pair.mint(account("provider"))
    assert fund_pair(pair, *tokens, 1, 1) == 1
    assert pair.balanceOf(NOBODY) == MINIMUM_LIQUIDITY


# ------------------------------------------------------------------------------------------- re-entrancy


@pytest.mark.parametrize(
    ("name", "kinds", "arguments"),
    [
        ("mint", "address", ["self"]),
        ("burn", "address", ["self"]),
        ("skim", "address", ["self"]),
        ("sync", "", []),
        ("swap", "uint256,uint256,address,bytes", [1, 0, "self", b""]),
    ],
)
def test_nothing_that_moves_coins_can_be_called_from_a_callback(pair, tokens, name, kinds, arguments):
    actor = market_mock("Actor")
    filled = [actor.address if value == "self" else value for value in arguments]
    request = keccak256(f"{name}({kinds})".encode())[:4] + codec.encode(
        kinds.split(",") if kinds else [], filled
    )
    actor.plan(pair.address, request, False)
    tokens[1].mint(actor, 10 * WHOLE)
    actor.repay_with([token.address for token in tokens], [0, 5 * WHOLE])
    pair.swap(WHOLE, 0, actor.address, b"x")
    assert not actor.succeeded()
    assert b"UniswapV2: LOCKED" in actor.answer()
    assert actor.sender() == boa.env.eoa
    pair.sync()  # and it is open again


def test_read_only_re_entrancy_sees_the_state_before_the_swap(pair, tokens):
    """As in Uniswap V2, and why shares must not be valued from inside a callback."""
    actor = market_mock("Actor")
    actor.plan(pair.address, keccak256(b"getReserves()")[:4], True)
    tokens[1].mint(actor, 10 * WHOLE)
    actor.repay_with([token.address for token in tokens], [0, 5 * WHOLE])
    pair.swap(WHOLE, 0, actor.address, b"x")
    seen = codec.decode(["uint112", "uint112", "uint32"], actor.answer())
    assert tuple(seen)[:2] == (10 * WHOLE, 40 * WHOLE)
    assert tuple(pair.getReserves())[:2] == (9 * WHOLE, 45 * WHOLE)


def test_a_tokens_callback_cannot_enter_either(pair, tokens):
    actor = market_mock("Actor")
    actor.plan(pair.address, keccak256(b"sync()")[:4], False)
    tokens[0].misbehave(0, False, actor)
    tokens[1].mint(pair, WHOLE)
    pair.swap(1, 0, account("trader"), b"")
    assert not actor.succeeded()
    assert b"LOCKED" in actor.answer()


# ------------------------------------------------------------------------------------------- odd tokens


def test_a_gift_is_anyones_until_it_is_synced(pair, tokens):
    collector = account("collector")
    tokens[0].mint(pair, 5)
    pair.skim(collector)
    assert tokens[0].balanceOf(collector) == 5
    tokens[0].mint(pair, 5)
    pair.sync()
    pair.skim(collector)
    assert tokens[0].balanceOf(collector) == 5
    assert pair.getReserves()[0] == 10 * WHOLE + 5


def test_a_token_that_answers_false_moves_nothing(pair, tokens):
    tokens[0].misbehave(0, True, NOBODY)
    tokens[1].mint(pair, WHOLE)
    with boa.reverts("UniswapV2: TRANSFER_FAILED"):
        pair.swap(1, 0, account("trader"), b"")


def test_a_fee_on_transfer_is_paid_by_whoever_trades(pair, tokens):
    trader = account("trader")
    tokens[0].misbehave(100, False, NOBODY)
    tokens[0].mint(trader, WHOLE)
    tokens[0].transfer(pair, WHOLE, sender=trader)
    arrived = WHOLE * 99 // 100
    full = amount_out(WHOLE, 10 * WHOLE, 40 * WHOLE)
    with boa.reverts("UniswapV2: K"):
        pair.swap(0, full, trader, b"")
    pair.swap(0, amount_out(arrived, 10 * WHOLE, 40 * WHOLE), trader, b"")
    assert pair.getReserves()[0] == 10 * WHOLE + arrived


def test_a_token_that_returns_nothing_trades(factory):
    token, silent = market_mock("MarketToken", 18), market_mock("SilentMarketToken")
    pair = create_pair(factory, token, silent)
    token.mint(pair, WHOLE)
    silent.mint(pair, WHOLE)
    pair.mint(account("provider"))
    token.mint(pair, WHOLE)
    due = amount_out(WHOLE, WHOLE, WHOLE)
    outs = (0, due) if pair.token0() == token.address else (due, 0)
    pair.swap(*outs, account("trader"), b"")
    assert silent.balanceOf(account("trader")) == due


def test_a_rebase_takes_from_the_pool_alone_and_sync_admits_it(pair, tokens):
    tokens[0].set_balance(pair, 5 * WHOLE)
    with boa.reverts():
        pair.skim(account("collector"))
    pair.sync()
    assert tuple(pair.getReserves())[:2] == (5 * WHOLE, 40 * WHOLE)


def test_prices_outlive_the_wrap_of_seconds(pair, tokens):
    """32 bits of seconds wrap in 2106: the difference still counts."""
    before = pair.price0CumulativeLast()
    boa.env.time_travel(seconds=2**32 - boa.env.timestamp % 2**32 + 7)
    elapsed = (boa.env.timestamp - pair.getReserves()[2]) % 2**32
    pair.sync()
    assert pair.price0CumulativeLast() - before == (4 << 112) * elapsed


# ------------------------------------------------------------------------------------------- permit


def sign_permit(pair, owner, spender, amount, deadline, *, role=None, nonce=0):
    domain = Domain("Koinon Liquidity", "1", boa.env.evm.patch.chain_id, pair.address)
    message = PERMIT.hash(account(owner), spender, amount, nonce, deadline)
    signature = key(role or owner).sign(digest(domain, message))
    return signature[64], signature[:32], signature[32:64]


def test_a_permit_sets_an_allowance_once(pair):
    spender, deadline = account("spender"), boa.env.timestamp
    signature = sign_permit(pair, "provider", spender, 5, deadline)
    pair.permit(account("provider"), spender, 5, deadline, *signature)
    assert pair.allowance(account("provider"), spender) == 5
    assert pair.nonces(account("provider")) == 1
    with boa.reverts("UniswapV2: INVALID_SIGNATURE"):
        pair.permit(account("provider"), spender, 5, deadline, *signature)


def test_a_permit_of_another_or_too_late_is_refused(pair):
    spender, deadline = account("spender"), boa.env.timestamp
    stranger = sign_permit(pair, "provider", spender, 5, deadline, role="stranger")
    with boa.reverts("UniswapV2: INVALID_SIGNATURE"):
        pair.permit(account("provider"), spender, 5, deadline, *stranger)
    with boa.reverts("UniswapV2: INVALID_SIGNATURE"):
        pair.permit(NOBODY, spender, 5, deadline, 27, bytes(32), bytes(32))
    boa.env.time_travel(seconds=1)
    with boa.reverts("UniswapV2: EXPIRED"):
        pair.permit(account("provider"), spender, 5, deadline, *stranger)
