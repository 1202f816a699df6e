# SPDX-License-Identifier: Apache-2.0
"""Joining somebody's network by its file, and everything that must not be joined."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from koinon.chain import joining, network_file, testnode, verification
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.errors import IntegrityError, KoinonError, NodeUnavailable, SetupError, WrongNetwork
from koinon.settings import Settings

MAKER = Key.from_bytes(b"\x01" * 32)


@pytest.fixture
def settings(tmp_path):
    return Settings.load({}, home=tmp_path / "home")


@pytest.fixture
def shared(network, devnet):
    """The session's network as its maker would hand it on."""
    return replace(network, name="Harbour", rpc_url="", rpc_urls=(devnet.rpc_url,))


@pytest.fixture
def write(tmp_path):
    def to_file(network: Network, key: Key = MAKER):
        path = tmp_path / "shared.json"
        network_file.save(network_file.sign(network, key), path)
        return path

    return to_file


def test_a_checked_file_becomes_the_data_directorys_network(settings, shared, write, devnet):
    file = write(shared)
    joined = joining.join(settings, file)
    assert joined.rpc_url == devnet.rpc_url
    assert joined.signer == MAKER.address
    kept = settings.network.read_bytes()
    assert Network.load(settings.network) == joined
    assert settings.network.stat().st_mode & 0o077 == 0
    joining.join(settings, file, signer=MAKER.address)
    assert settings.network.read_bytes() == kept, "joining again changes nothing"
    assert [network.name for network in joining.remembered(settings)] == ["Harbour"]


def refused(settings, file, **options) -> KoinonError:
    with pytest.raises(KoinonError) as caught:
        joining.join(settings, file, **options)
    assert not settings.network.exists(), "nothing is kept of what was refused"
    assert caught.value.hint
    return caught.value


def test_a_forged_file_is_refused(settings, shared, write):
    file = write(shared)
    fields = orjson.loads(file.read_bytes())
    fields["name"] = "Harbor"
    file.write_bytes(orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    assert isinstance(refused(settings, file), IntegrityError)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"genesis_hash": "0x" + "11" * 32}, "chain.genesis"),
        ({"chain_id": 84532}, "chain.id"),
        ({"code_hashes": {"Works": "0x" + "11" * 32}}, "chain.code"),
        ({"canonical": {"IdentityRegistry": "0x" + "12" * 20}}, "chain.no_contract"),
        ({"rpc_urls": ()}, "network.no_node"),
        ({"rpc_urls": ("http://127.0.0.1:9",)}, "chain.unavailable"),
        ({"test_money": False}, "network.strange_code"),
    ],
)
def test_a_signed_file_that_does_not_fit_the_chain_is_refused_with_the_reason(
    settings, shared, write, change, code
):
    assert refused(settings, write(replace(shared, **change))).code == code


def test_contracts_that_are_not_koinons_are_refused_unless_their_maker_is_named(settings, shared, write):
    # The coin's code in the register's place: everything is signed, and fits the chain.
    contracts = {**shared.contracts, "Works": shared.contracts["Coin"]}
    codes = {**shared.code_hashes, "Works": shared.code_hashes["Coin"]}
    file = write(replace(shared, contracts=contracts, code_hashes=codes))
    error = refused(settings, file)
    assert error.code == "network.strange_code"
    assert "Works" in error.message
    assert refused(settings, file, signer=Key.generate().address).code == "network.signer"
    assert joining.join(settings, file, signer=MAKER.address).contracts["Works"] == shared.contracts["Coin"]


def test_real_money_is_never_called_test_money(settings, shared, write, monkeypatch):
    monkeypatch.setattr(joining, "TEST_CHAINS", frozenset())
    monkeypatch.setattr(testnode, "dialect", lambda _rpc: None)
    assert refused(settings, write(shared)).code == "network.not_test_money"


def test_a_development_node_that_others_can_reach_is_refused(settings, shared, write, monkeypatch):
    monkeypatch.setattr(testnode, "is_loopback", lambda _url: False)
    assert refused(settings, write(shared)).code == "chain.test_node_remote"


def test_one_data_directory_takes_part_in_one_network(settings, shared, write):
    joining.join(settings, write(shared))
    before = settings.network.read_bytes()
    other = replace(shared, genesis_hash="0x" + "11" * 32)
    with pytest.raises(SetupError) as caught:
        joining.join(settings, write(other))
    assert caught.value.code == "network.other"
    assert settings.network.read_bytes() == before


def test_the_next_node_is_asked_where_one_is_down(settings, shared, write, devnet):
    joined = joining.join(settings, write(replace(shared, rpc_urls=("http://127.0.0.1:9", devnet.rpc_url))))
    assert joined.rpc_url == devnet.rpc_url
    with pytest.raises(NodeUnavailable):
        joining.reach(shared, "http://127.0.0.1:9")


def test_what_is_handed_on_is_signed_anew_only_where_something_was_added(shared):
    theirs = network_file.sign(shared, MAKER)
    mine = Key.from_bytes(b"\x02" * 32)
    assert joining.signed(theirs, mine, (), ()) is theirs
    added = joining.signed(theirs, mine, (), ("https://me:pw@gateway.example/",))
    assert (added.signer, added.peers) == (mine.address, ("https://gateway.example",))
    network_file.check(added)
    with pytest.raises(KoinonError):
        joining.signed(theirs, mine, ("nonsense",), ())


def test_verifying_names_everything_that_differs(shared, devnet):
    good = network_file.sign(shared, MAKER)
    with Rpc(devnet.rpc_url) as rpc:
        report = verification.verify(good, rpc)
        assert report.fine
        assert {found.sentence for found in report.rights.values()} >= {"nobody can change it"}
        assert all(found.own for name, found in report.rights.items() if name in ("Works", "Till", "Bonds"))
        bad = replace(
            good,
            chain_id=5,
            genesis_hash="0x" + "11" * 32,
            contracts={**good.contracts, "Till": "0x" + "12" * 20},
            code_hashes={**good.code_hashes, "Bonds": "0x" + "13" * 32},
        )
        wrong = {found.what for found in verification.verify(bad, rpc).findings if not found.fine}
    assert {"signature", "chain id", "genesis block", "code of Till", "code of Bonds", "own code"} <= wrong


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8545", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("http://0.0.0.0:1", False),
        ("http://192.0.2.1:1", False),
        ("http://no.such.host.invalid", False),
        ("nonsense", False),
    ],
)
def test_only_loopback_is_this_machine(url, expected):
    assert testnode.is_loopback(url) is expected


def test_what_a_development_node_can_do_goes_through_one_door(devnet):
    with Rpc(devnet.rpc_url) as rpc:
        assert testnode.dialect(rpc) == "anvil"
        address = Key.generate().address
        testnode.give(rpc, address, 5)
        testnode.give(rpc, address, 2)
        assert int(rpc.call("eth_getBalance", address, "latest"), 16) == 7
        testnode.set_code(rpc, address, b"\x00")
        assert rpc.call("eth_getCode", address, "latest") == "0x00"


def test_wrong_network_is_said_by_its_class(settings, shared, write):
    with pytest.raises(WrongNetwork):
        joining.join(settings, write(shared), signer=Key.generate().address)
