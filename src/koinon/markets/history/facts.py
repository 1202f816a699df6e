# SPDX-License-Identifier: Apache-2.0
"""What events leave out: which tokens a market is about, and how a token counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain import codec
from koinon.chain.address import checksum
from koinon.chain.hashing import keccak256
from koinon.chain.rpc import Rpc, RpcError
from koinon.errors import BadInput, IntegrityError


@dataclass(frozen=True)
class MarketFacts:
    """Of one market, pair, vault or feed.

    ``asset`` the loan token, token0, a vault's asset or a feed's base; ``asset_2`` the collateral, token1 or
    a feed's quote. ``lltv_ppm`` the debt at which a position can be liquidated, in millionths of the
    collateral's value (0: not known). ``decimals`` of a feed's answer. ``lltvs_ppm`` by tier, where each
    account's own follows its loan's tier (``lltv_ppm`` is then the best tier's); else empty.
    """

    asset: str = ""
    asset_2: str = ""
    lltv_ppm: int = 0
    decimals: int = 8
    lltvs_ppm: tuple[int, ...] = ()

    @classmethod
    def of_tiers(cls, asset: str, asset_2: str, lltvs_bps: Iterable[int]) -> MarketFacts:
        """Of a credit pool, from its tiers' LLTVs in 1e-4, the best tier's first."""
        lltvs = tuple(100 * int(lltv) for lltv in lltvs_bps)
        return cls(checksum(asset), checksum(asset_2), lltvs[0] if lltvs else 0, lltvs_ppm=lltvs)


@dataclass
class Facts:
    """``markets`` by contract address or market id; ``decimals`` and ``symbols`` by token;
    ``units`` tokens that count as one unit of account a whole token (stablecoins)."""

    markets: dict[str, MarketFacts] = field(default_factory=dict)
    decimals: dict[str, int] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    units: set[str] = field(default_factory=set)

    def market(self, *names: str) -> MarketFacts:
        """Of the first of these names that is known; empty facts where none is."""
        return next((self.markets[name] for name in names if name in self.markets), MarketFacts())

    def to_json(self) -> bytes:
        """Canonical JSON, read back by `from_json`."""
        document = {
            "markets": {name: asdict(facts) for name, facts in self.markets.items()},
            "decimals": self.decimals,
            "symbols": self.symbols,
            "units": sorted(self.units),
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, content: bytes | str) -> Facts:
        """`BadInput` where a field is missing or wrong."""
        try:
            document: Mapping[str, Any] = orjson.loads(content)
            return cls(
                markets={_name(name): _market(each) for name, each in document.get("markets", {}).items()},
                decimals={checksum(name): int(each) for name, each in document.get("decimals", {}).items()},
                symbols={checksum(name): str(each) for name, each in document.get("symbols", {}).items()},
                units={checksum(name) for name in document.get("units", ())},
            )
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise BadInput(
                "This is not a description of markets.",
                hint="Give JSON with markets, decimals, symbols and units.",
                code="history.facts",
            ) from fault

    @classmethod
    def load(cls, path: Path) -> Facts:
        """Read a file; `BadInput` where there is none or it is damaged."""
        try:
            return cls.from_json(path.read_bytes())
        except OSError:
            raise BadInput(f"{path} cannot be read.", hint="Check the path.", code="history.facts") from None


def _market(entry: Mapping[str, Any]) -> MarketFacts:
    asset, asset_2 = (checksum(entry[name]) if entry.get(name) else "" for name in ("asset", "asset_2"))
    lltvs = tuple(int(each) for each in entry.get("lltvs_ppm", ()))
    return MarketFacts(asset, asset_2, int(entry.get("lltv_ppm", 0)), int(entry.get("decimals", 8)), lltvs)


def _name(text: str) -> str:
    return text if len(text) == 66 else checksum(text)


_MOST_TIERS: Final = 8
_READS: Final[Mapping[str, tuple[str, ...]]] = {
    "uniswap-v2": ("token0", "token1"),
    "uniswap-v3": ("token0", "token1"),
    "koinon-pair": ("token0", "token1"),
    "compound-v3": ("baseToken",),
    "erc4626": ("asset",),
    "governor": ("token",),
    "koinon-feed": ("base_token", "quote_token"),
}


def read_market(rpc: Rpc, protocol: str, address: str) -> MarketFacts:
    """Ask a contract which tokens it is about; empty where its protocol says so in events, or it does not
    answer."""
    if protocol == "koinon-pool":  # its market() begins with both
        both = _ask(rpc, address, "market", "address", "address")
        tiers = _ask_tiers(rpc, address)
        return MarketFacts.of_tiers(both[0], both[1], tiers) if both else MarketFacts()
    found = [_ask(rpc, address, name, "address") for name in _READS.get(protocol, ())]
    asset, asset_2, *_ = (*(checksum(each[0]) if each else "" for each in found), "", "")
    decimals = read_decimals(rpc, address) if protocol.endswith("feed") else None
    return MarketFacts(asset, asset_2, decimals=8 if decimals is None else decimals)


def read_decimals(rpc: Rpc, token: str) -> int | None:
    """A token's decimals; None where it does not answer sensibly."""
    answer = _ask(rpc, token, "decimals", "uint8")
    return int(answer[0]) if answer else None


def _ask_tiers(rpc: Rpc, address: str) -> list[int]:
    """The LLTVs of a credit pool's tiers in 1e-4; a tier is six words, its LLTV the first."""
    count = _ask(rpc, address, "tiers", "uint256", "uint256")
    if not count or not 0 < count[1] <= _MOST_TIERS:
        return []
    words = _ask(rpc, address, "tiers", *["uint256"] * (2 + 6 * int(count[1])))
    return [int(word) for word in words[2::6]]


def _ask(rpc: Rpc, address: str, name: str, *kinds: str) -> tuple[Any, ...]:
    """What a view without arguments returns, or how it begins; empty where that cannot be read."""
    call = {"to": address, "data": "0x" + keccak256(f"{name}()".encode())[:4].hex()}
    try:
        return codec.decode(kinds, bytes.fromhex(rpc.call("eth_call", call, "latest")[2:]))
    except (RpcError, IntegrityError, ValueError):
        return ()
