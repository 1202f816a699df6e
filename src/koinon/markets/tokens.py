# SPDX-License-Identifier: Apache-2.0
"""Any ERC-20 as markets see it: its unit, balances, and leave for a contract to take some."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from koinon.chain.account import Account
from koinon.chain.contract import Call, Contract
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, TransactionFailed

MOST_SYMBOL: Final = 32
"""Letters of a symbol that is believed."""
MOST_WORDS: Final = 100


@dataclass(frozen=True)
class Token:
    """``decimals`` digits after the point of one whole coin."""

    address: str
    symbol: str
    decimals: int

    def units(self, amount: str) -> int:
        """Whole coins, as people write them, in smallest units; BadInput when it is not such an amount."""
        try:
            scaled = Decimal(amount).scaleb(self.decimals)
        except InvalidOperation:
            scaled = Decimal(-1)
        if not scaled.is_finite() or scaled < 0 or scaled != int(scaled) or scaled >= 2**256:
            raise BadInput(
                f"{amount!r} is not an amount of {self.symbol}.",
                hint=f"Write whole coins with at most {self.decimals} digits after the point.",
                code="markets.amount",
            )
        return int(scaled)

    def text(self, amount: int) -> str:
        """Smallest units as people read them."""
        return f"{Decimal(amount).scaleb(-self.decimals).normalize():,f} {self.symbol}"


def token_at(chain: Chain, address: str) -> Token:
    """What stands at an address, read as an ERC-20; errors as in `Contract.call`.

    Its symbol is the beginning of its address where it says none, as ERC-20 allows, or none fit to be shown.
    """
    contract = erc20(chain, address)
    try:
        symbol = str(contract.call("symbol"))
    except (IntegrityError, TransactionFailed):
        symbol = ""
    return Token(contract.address, named(symbol, contract.address[:8]), int(contract.call("decimals")))


def named(text: str, otherwise: str, most: int = MOST_SYMBOL) -> str:
    """A name that a stranger's contract gives itself, where it can be shown: not empty, not longer, and
    without letters that nobody sees or that turn the line around; else another."""
    return text if text.isprintable() and text.strip() and len(text) <= most else otherwise


def cut(text: str, most: int = MOST_WORDS) -> str:
    """What a stranger's contract says, such as why it refuses: in one line, at most so many letters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: most * 10]).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def short(address: str) -> str:
    """An address in few letters, to tell namesakes apart."""
    return f"{address[:6]}…{address[-4:]}"


def erc20(chain: Chain, address: str) -> Contract:
    """An ERC-20's functions at an address."""
    return chain.contract("Coin", address)


def balance_of(chain: Chain, token: str, owner: str) -> int:
    """In the smallest unit."""
    return int(erc20(chain, token).call("balanceOf", owner))


def leave_for(chain: Chain, owner: Account, token: str, spender: str, amount: int) -> list[Call]:
    """What ``owner`` must send so that ``spender`` may take exactly ``amount``: nothing where it may already.

    An allowance that is there but too small is set to zero first, as some tokens demand.
    """
    contract = erc20(chain, token)
    allowed = int(contract.call("allowance", owner.address, spender))
    if allowed >= amount:
        return []
    reset = [contract.transaction("approve", spender, 0)] if allowed else []
    return [*reset, contract.transaction("approve", spender, amount)]
