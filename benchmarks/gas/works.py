# SPDX-License-Identifier: Apache-2.0
"""Works, tills, and the development chain's token."""

from __future__ import annotations

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, Stage, digest, key
from koinon.chain import eip712
from koinon.chain.address import ZERO_ADDRESS
from koinon.works.coin import CoinDigests
from koinon.works.shares import OWNER, WHOLE, ShareTable

URI = "ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
CARD = ("card", digest("card"))
WORKS_DOMAIN = ("ERC8004IdentityRegistry", "1")
PERMISSION = eip712.TypedStruct(
    "ParentPermission(uint256 parentId,address publisher,uint64 minimumShare,uint256 deadline)"
)
WALLET = eip712.TypedStruct(
    "AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"
)


def permission(stage: Stage, owner: str, parent: int, publisher: str, share: int) -> bytes:
    """What an owner signs to let one publisher name their Work as a parent."""
    deadline = stage.now() + 3_600
    domain = eip712.Domain(*WORKS_DOMAIN, CHAIN_ID, stage.contracts["Works"].address)
    signed = eip712.digest(domain, PERMISSION.hash(parent, publisher, share, deadline))
    return deadline.to_bytes(32, "big") + key(owner).sign(signed)


def publishing(stage: Stage) -> None:
    """From a bare registration to a Work with five parents, and what an owner may change afterwards."""
    works = stage.contracts["Works"]
    publisher, stranger = key("publisher").address, key("stranger").address
    stage.measure(works, "register()")
    stage.measure(works, "register(string)", URI)
    stage.measure(works, "register(string,(string,bytes)[])", URI, [CARD])
    stage.measure(works, "publish", URI, [CARD], 500, [], note="no parents")
    for _lender in range(5):
        stage.send(works, "register(string)", URI, sender="lender")
    parents = [
        (number, 10_000_000, permission(stage, "lender", number, publisher, 10_000_000))
        for number in range(5, 10)
    ]
    stage.measure(works, "publish", URI, [CARD], 500, parents, note="five parents who signed")
    stage.measure(works, "set_parent_rule", 1, 1, 10_000_000)
    stage.measure(works, "setMetadata", 1, *CARD)
    stage.measure(works, "setAgentURI", 1, URI)
    stage.measure(works, "unsetAgentWallet", 1)
    deadline = stage.now() + 200
    domain = eip712.Domain(*WORKS_DOMAIN, CHAIN_ID, works.address)
    agreed = key("gateway").sign(
        eip712.digest(domain, WALLET.hash(1, key("gateway").address, publisher, deadline))
    )
    stage.measure(works, "setAgentWallet", 1, key("gateway").address, deadline, agreed)
    registry = stage.create("Works", stage.contracts["Till"].address)
    stage.send(registry, "register()")
    stage.measure(works, "bind_agent", 1, registry.address, 1)
    stage.measure(works, "approve", stranger, 1)
    stage.measure(works, "setApprovalForAll", stranger, True)
    stage.measure(works, "transferFrom", publisher, stranger, 1)
    stage.measure(works, "safeTransferFrom(address,address,uint256)", publisher, stranger, 2)
    stage.measure(works, "safeTransferFrom(address,address,uint256,bytes)", publisher, stranger, 3, b"sold")


def earning(stage: Stage) -> None:
    """A Work's till: deployed, its root written, released first and again, in the token and in ETH."""
    works, coin = stage.contracts["Works"], stage.contracts["Coin"]
    publisher, lender = key("publisher").address, key("lender").address
    stage.send(works, "register(string)", URI, sender="lender")
    parent_till = works.call("till_of", 1)
    parents = [(1, 100_000_000, permission(stage, "lender", 1, publisher, 100_000_000))]
    stage.send(works, "publish", URI, [CARD], 0, parents)
    till = stage.at("Till", works.call("till_of", 2))
    stage.measure(works, "deploy_till", 2)
    others = {key(f"owner {number}").address: 100_000_000 for number in range(5)}
    table = ShareTable({parent_till: 300_000_000, lender: 100_000_000, OWNER: 100_000_000, **others})
    stage.measure(till, "write_root", table.root, [table.proof(parent_till)], note="one parent among eight")
    stage.send(coin, "mint", till.address, 1_000 * DOLLAR)
    stage.measure(
        till, "release", coin.address, lender, *table.proof(lender), sender="stranger", note="first of eight"
    )
    stage.send(coin, "mint", till.address, 1_000 * DOLLAR)
    stage.measure(
        till, "release", coin.address, lender, *table.proof(lender), sender="stranger", note="again"
    )
    stage.measure(till, "release", coin.address, OWNER, *table.proof(OWNER), note="to the owner")
    stage.measure(
        till, "release", coin.address, parent_till, *table.proof(parent_till), note="to a parent's till"
    )
    stage.rpc.call("anvil_setBalance", till.address, hex(10**18))
    stage.measure(till, "release", ZERO_ADDRESS, lender, *table.proof(lender), sender="stranger", note="ETH")
    stage.send(works, "deploy_till", 1)
    alone = stage.at("Till", parent_till)
    stage.measure(
        alone, "release", coin.address, OWNER, WHOLE, [], sender="lender", note="fixes the owner's root"
    )


def paying(stage: Stage) -> None:
    """The development chain's token, each way a payment can be authorised."""
    coin = stage.contracts["Coin"]
    buyer, stranger, gateway = key("buyer"), key("stranger").address, key("gateway").address
    signed = CoinDigests.of(coin, CHAIN_ID)
    later = stage.now() + 3_600
    stage.measure(coin, "mint", buyer.address, 1_000 * DOLLAR)
    stage.measure(coin, "transfer", stranger, DOLLAR, sender="buyer", note="to a new account")
    stage.measure(coin, "transfer", stranger, DOLLAR, sender="buyer", note="again")
    stage.measure(coin, "approve", gateway, LARGEST, sender="buyer")
    stage.measure(coin, "transferFrom", buyer.address, stranger, DOLLAR, sender="gateway")
    allowed = buyer.sign(signed.permit(buyer.address, gateway, DOLLAR, 0, later))
    stage.measure(coin, "permit", buyer.address, gateway, DOLLAR, later, *split(allowed), sender="gateway")
    times = {"valid_after": 0, "valid_before": later}
    window = (0, later)
    for kind, digest_of in (("transfer", signed.transfer), ("receive", signed.receive)):
        for form in ("v,r,s", "bytes"):
            nonce = digest(f"{kind} {form}")
            signature = buyer.sign(digest_of(buyer.address, gateway, DOLLAR, **times, nonce=nonce))
            parts = split(signature) if form == "v,r,s" else (signature,)
            stage.measure(
                coin,
                f"{kind}WithAuthorization({AUTHORIZED},{FORMS[form]})",
                *(buyer.address, gateway, DOLLAR, *window, nonce, *parts),
                sender="gateway",
            )
    for form, types in FORMS.items():
        nonce = digest(f"cancel {form}")
        signature = buyer.sign(signed.cancel(buyer.address, nonce))
        parts = split(signature) if form == "v,r,s" else (signature,)
        stage.measure(
            coin,
            f"cancelAuthorization(address,bytes32,{types})",
            buyer.address,
            nonce,
            *parts,
            sender="gateway",
        )


AUTHORIZED = "address,address,uint256,uint256,uint256,bytes32"
FORMS = {"v,r,s": "uint8,bytes32,bytes32", "bytes": "bytes"}


def split(signature: bytes) -> tuple[int, bytes, bytes]:
    """A 65-byte signature as v, r, s."""
    return signature[64], signature[:32], signature[32:64]
