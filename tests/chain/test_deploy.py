# SPDX-License-Identifier: Apache-2.0
"""Deployment, network descriptions and the handle built from them, on real nodes."""

from __future__ import annotations

import orjson
import pytest

from koinon.chain import artifacts, foreign
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.anvil import spawn
from koinon.chain.canonical import CANONICAL, FACTORY, FACTORY_CODE, FOREIGN
from koinon.chain.contract import Call, Contract
from koinon.chain.deploy import RECIPE, creations, deploy
from koinon.chain.devnet import Devnet, free_port
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.network import Network
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender
from koinon.errors import BadInput, NodeUnavailable, NotFound, TransactionFailed, WrongNetwork


@pytest.fixture
def bare_rpc(anvil_path, tmp_path):
    """Somebody's own development node: no factory, none of x402's contracts."""
    port = free_port()
    arguments = ["--port", str(port), "--accounts", "0", "--quiet", "--disable-default-create2-deployer"]
    with (tmp_path / "log").open("wb") as log:
        child = spawn(anvil_path, arguments, log)
    with Rpc(f"http://127.0.0.1:{port}") as rpc:
        while True:
            try:
                rpc.call("eth_chainId")
                break
            except NodeUnavailable:
                assert child.poll() is None
        yield rpc
    child.kill()
    child.wait()


@pytest.fixture
def bare_sender(bare_rpc):
    key = Key.generate()
    bare_rpc.call("anvil_setBalance", key.address, hex(10**20))
    return Sender(bare_rpc, key, chain_id=31337)


def test_everything_stands_where_it_was_foretold(network, chain):
    assert set(network.contracts) == set(RECIPE) | set(CANONICAL)
    foretold = {name: address for name, (address, _) in creations().items()}
    assert {name: network.contracts[name] for name in foretold} == foretold
    network.verify(chain.rpc)
    assert chain.contract("Terms").address == network.contracts["Terms"]
    assert chain.coin.call("decimals") == 6
    assert chain.contract("Works").call("TILL_IMPLEMENTATION") == network.contracts["Till"]


def test_deploying_again_changes_nothing(network, chain, devnet):
    sender = Sender(chain.rpc, devnet.key(1), chain_id=devnet.chain_id)
    again = deploy(chain.rpc, sender, known=network)
    assert again == network
    assert int(chain.rpc.call("eth_getTransactionCount", sender.address, "latest"), 16) == 0


def test_a_bare_development_node_gets_factory_and_canonical_contracts(bare_rpc, bare_sender, network):
    found = deploy(bare_rpc, bare_sender, name="mine")
    assert found.contracts == network.contracts
    assert bare_rpc.call("eth_getCode", FACTORY, "latest") == "0x" + FACTORY_CODE.hex()
    for name, address in FOREIGN.items():
        assert bare_rpc.call("eth_getCode", address, "latest") == "0x" + foreign.runtime(name).hex()
    found.verify(bare_rpc)


def test_a_chain_without_foreign_contracts_is_used_and_what_stands_in_their_place_stays(
    tmp_path, anvil_path, network
):
    with Devnet(tmp_path / "old", anvil_path) as old, Rpc(old.rpc_url) as rpc:
        rpc.call("anvil_setCode", FOREIGN["Multicall3"], "0x")
        rpc.call("anvil_setCode", FOREIGN["Permit2"], "0x00")
        assert deploy(rpc, Sender(rpc, old.key(0), chain_id=old.chain_id)).contracts == network.contracts
        code = rpc.call("eth_getCode", FOREIGN["Multicall3"], "latest")
        assert code == "0x" + foreign.runtime("Multicall3").hex()
        assert rpc.call("eth_getCode", FOREIGN["Permit2"], "latest") == "0x00"


def test_strange_code_in_the_factorys_place_is_an_error(bare_rpc, bare_sender):
    bare_rpc.call("anvil_setCode", FACTORY, "0x00")
    with pytest.raises(WrongNetwork) as caught:
        deploy(bare_rpc, bare_sender)
    assert caught.value.code == "chain.factory"


def test_real_money_needs_a_real_coin_and_x402(bare_rpc, bare_sender):
    with pytest.raises(WrongNetwork) as caught:
        deploy(bare_rpc, bare_sender, test_money=False)
    assert caught.value.code == "chain.coin"
    with pytest.raises(WrongNetwork) as caught:
        deploy(bare_rpc, bare_sender, test_money=False, coin=Key.generate().address)
    assert caught.value.code == "chain.no_x402"


def test_another_coin_takes_the_place_of_ours(network, bare_rpc, bare_sender):
    deploy(bare_rpc, bare_sender)
    other = network.contracts["Coin"]
    found = deploy(bare_rpc, bare_sender, coin=other.lower())
    assert found.contracts["Coin"] == other
    with pytest.raises(WrongNetwork) as caught:
        deploy(bare_rpc, bare_sender, coin="0x" + "77" * 20)
    assert caught.value.code == "chain.no_contract"


def test_a_chain_begun_with_another_version_is_not_used(tmp_path, anvil_path):
    with Devnet(tmp_path / "old", anvil_path) as old, Rpc(old.rpc_url) as rpc:
        rpc.call("anvil_setCode", CANONICAL["Channels"], "0x00")
        with pytest.raises(WrongNetwork) as caught:
            deploy(rpc, Sender(rpc, old.key(0), chain_id=old.chain_id))
    assert caught.value.code == "chain.devnet_version"


def test_a_network_survives_its_file(network, tmp_path):
    path = tmp_path / "network.json"
    network.save(path)
    assert Network.load(path) == network
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": "many"},
        {"contracts": {"Works": "0x12"}},
        {"contracts": None},
        {"start_block": None},
        {"code_hashes": 5},
        {"name": None, "rpc_url": None, "contracts": []},
    ],
)
def test_what_is_no_network_description_is_refused(network, change):
    fields = orjson.loads(network.to_json())
    with pytest.raises(BadInput):
        Network.from_json(orjson.dumps({**fields, **change}))
    for text in ("", "[]", "null", "{}"):
        with pytest.raises(BadInput):
            Network.from_json(text)


def test_a_missing_network_file_is_named(tmp_path):
    with pytest.raises(NotFound) as caught:
        Chain.open(tmp_path / "none.json")
    assert caught.value.hint


def test_a_network_does_not_show_its_nodes_url(network):
    secret = Network(**{**network.__dict__, "rpc_url": "https://u:hidden@node.example/key"})
    assert "hidden" not in repr(secret)


def changed(network, **fields) -> Network:
    return Network.from_json(orjson.dumps({**orjson.loads(network.to_json()), **fields}))


def test_the_wrong_node_is_noticed(network, bare_rpc, chain):
    cases = {
        "chain.id": (network, bare_rpc),
        "chain.genesis": (changed(network, chain_id=31337), bare_rpc),
        "chain.no_contract": (changed(network, chain_id=31337, genesis_hash=""), bare_rpc),
        "chain.code": (changed(network, code_hashes={"Works": "0x" + "00" * 32}), chain.rpc),
    }
    for code, (described, rpc) in cases.items():
        with pytest.raises(WrongNetwork) as caught:
            described.verify(rpc)
        assert caught.value.code == code
        assert caught.value.hint


def test_opening_checks_the_node(network_file, network, bare_rpc):
    with Chain.open(network_file) as opened:
        assert opened.chain_id == network.chain_id
        assert opened.timestamp() > 0
        assert opened.block_number() > 0
        assert "devnet" in repr(opened)
    with pytest.raises(WrongNetwork):
        Chain.open(network, rpc_url=bare_rpc.url)
    with pytest.raises(NodeUnavailable):
        Chain.open(network, rpc_url=f"http://127.0.0.1:{free_port()}")


def test_one_queue_an_account(chain, devnet):
    assert chain.sender(devnet.key(0)) is chain.sender(devnet.key(0))
    assert chain.sender(devnet.key(0)) is not chain.sender(devnet.key(1))


# Contracts


def test_calls_transactions_and_logs(chain, new_account):
    works = chain.contract("Works")
    owner = new_account()
    receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://one"))
    (registered,) = works.logs(receipt, "Registered")
    work_id = registered["agentId"]
    assert registered == {"agentId": work_id, "agentURI": "ipfs://one", "owner": owner.address}
    assert works.call("ownerOf", work_id) == owner.address
    assert works.call_many([("ownerOf", work_id), ("tokenURI", work_id)]) == [owner.address, "ipfs://one"]
    assert works.history("Registered", agentId=work_id) == [registered]
    assert works.history("Registered", owner=ZERO_ADDRESS) == []
    till = chain.contract("Till", works.call("till_of", work_id))
    assert till.logs(receipt, "Released") == []


def test_a_call_at_an_earlier_block_and_as_somebody(chain, new_account):
    works = chain.contract("Works")
    before = chain.block_number()
    count = works.call("total")
    owner = new_account()
    chain.sender(owner).send(works.transaction("register()"))
    assert works.call("total") == count + 1
    assert works.call("total", block=before) == count
    assert works.call("register()", sender=owner.address) == count + 2


def test_a_refused_call_has_its_reason(chain):
    works = chain.contract("Works")
    for refuse in (
        lambda: works.call("ownerOf", 10**9),
        lambda: works.call_many([("total",), ("ownerOf", 10**9)]),
    ):
        with pytest.raises(TransactionFailed) as caught:
            refuse()
        assert "ERC721NonexistentToken" in caught.value.reason


def test_an_address_without_a_contract_is_said_so(chain):
    with pytest.raises(WrongNetwork) as caught:
        Contract(chain.rpc, "0x" + "55" * 20, artifacts.load("Works")).call("total")
    assert caught.value.code == "chain.no_contract"


def test_unknown_functions_and_events_are_not_found(chain):
    works = chain.contract("Works")
    with pytest.raises(NotFound):
        works.call("nothing")
    with pytest.raises(NotFound) as caught:
        works.transaction("register", "ipfs://x")
    assert "register(string)" in caught.value.hint
    with pytest.raises(NotFound):
        works.event("Nothing")
    with pytest.raises(NotFound):
        chain.contract("Nothing")


def test_no_eth_for_what_takes_none(chain):
    with pytest.raises(BadInput) as caught:
        chain.contract("Works").transaction("register()", value=1)
    assert caught.value.code == "chain.not_payable"


def test_a_plain_abi_binds_too(chain):
    abi = [{"type": "function", "name": "total", "inputs": [], "outputs": [{"type": "uint256", "name": ""}]}]
    plain = Contract(chain.rpc, chain.contract("Works").address, abi)
    assert plain.call("total") == chain.contract("Works").call("total")
    assert plain.transaction("total") == Call(plain.address, plain.function("total").selector)
