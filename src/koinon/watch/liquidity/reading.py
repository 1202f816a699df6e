# SPDX-License-Identifier: Apache-2.0
"""What the commands are given: series of prices or returns, and what a pool or vault holds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.markets.routing.pools import PAIR_FEE_PPM, PairPool, Pool
from koinon.watch.liquidity.coverage import Held

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Position:
    """``asset`` what is owed in; ``idle`` of it at hand; ``owed`` to holders (None: deposits less
    withdrawals); ``held`` other tokens; ``pools`` where they are sold (None: this node's pairs). Smallest
    units."""

    asset: str
    idle: int
    owed: int | None = None
    held: Sequence[Held] = ()
    pools: Sequence[Pool] | None = None


def read_position(path: Path) -> Position:
    """A JSON file: ``asset``, ``idle``, and where there are such ``owed``, ``held`` (``token``, ``amount``)
    and ``pools`` (``tokens``, ``reserves``, ``fee_ppm``); amounts are whole numbers, or text.

    Raises
    ------
    BadInput
        The file is unreadable or lacks something (``watch.position``).
    """
    try:
        document = orjson.loads(path.read_bytes())
        owed, pools = document.get("owed"), document.get("pools")
        return Position(
            checksum(document["asset"]),
            _amount(document["idle"]),
            None if owed is None else _amount(owed),
            [Held(checksum(each["token"]), _amount(each["amount"])) for each in document.get("held", ())],
            None if pools is None else [_pool(number, each) for number, each in enumerate(pools, start=1)],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadInput) as fault:
        raise BadInput(
            f"{path.name} does not say what is held ({fault}).",
            hint="It is JSON with asset and idle; see the page on liquidity.",
            code="watch.position",
        ) from fault


def read_returns(path: Path, column: str = "price", *, are_returns: bool = False) -> Floats:
    """Log returns from a CSV file's column of prices (or of log returns), the oldest row first.

    Raises
    ------
    BadInput
        The file is unreadable, has no such column, or a price is not above 0 (``watch.series``).
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            values = np.array([float(row[column]) for row in csv.DictReader(file)])
    except KeyError:
        raise BadInput(
            f"{path.name} has no column {column!r}.", hint="Name it: --column NAME", code="watch.series"
        ) from None
    except (OSError, ValueError, TypeError, csv.Error) as fault:
        raise BadInput(f"{path.name} cannot be read as a series ({fault}).", code="watch.series") from fault
    if not np.isfinite(values).all() or (not are_returns and (values <= 0).any()):
        raise BadInput(
            f"{path.name}: a price is not a number above 0.", hint="Leave out such rows.", code="watch.series"
        )
    return values if are_returns else np.diff(np.log(values))


def _amount(value: Any) -> int:
    if isinstance(value, bool | float) or int(value) < 0:
        raise ValueError(f"{value} is not a whole amount")
    return int(value)


def _pool(number: int, each: dict[str, Any]) -> Pool:
    first, second = (checksum(token) for token in each["tokens"])
    held, other = (_amount(amount) for amount in each["reserves"])
    address = each.get("address", f"0x{number:040x}")
    return PairPool(address, (first, second), (held, other), int(each.get("fee_ppm", PAIR_FEE_PPM)))
