# SPDX-License-Identifier: Apache-2.0
"""Makes the pages of the Python reference: which modules are public. Sphinx fills in their docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tools.markdown import toctree

ROOT = Path(__file__).parent.parent
SOURCES: Final = ROOT / "src"
FOLDER = "reference/python"

BESIDE: Final[dict[str, tuple[str, ...]]] = {
    "agents": (
        "behaviour", "context", "message", "address", "runtime", "purse", "planning.goal",
        "planning.fulfilment", "planning.chat", "mechanisms.second_price", "mechanisms.double_auction",
        "mechanisms.order_book", "mechanisms.bargaining", "protocols.contract_net", "protocols.sealed_bid",
        "protocols.double_auction", "protocols.exchange", "protocols.bargain", "protocols.settlement",
    ),
    "learning": (
        "recipe", "splits", "recipes", "led_run", "outcome", "evidence", "swarm.run", "swarm.config",
        "swarm.chain_state",
    ),
    "services": (
        "buying.client", "buying.allowance", "buying.streaming", "buying.prepaid", "gateway.metering",
        "gateway.channel", "gateway.asgi", "mandates.mandate", "mandates.book", "mandates.spending",
        "finding.market", "finding.found", "selling.comparison", "models.exact",
    ),
    "works": (
        "catalogue", "registration", "shares", "till", "terms", "channels", "vouchers", "reputation",
        "validation", "bonds", "payments", "coin",
    ),
}  # fmt: skip
"""Modules whose names a domain's front door takes or gives."""

GROUND: Final = ("node", "settings", "errors", "tables")
INSIDE_CHAIN: Final = frozenset(
    {
        *("__init__", "artifacts", "child", "compile", "devnet_outbox", "foreign", "local_devnet", "replay"),
        *("saved_state", "supervisor", "testnode", "wal"),
    }
)
"""Modules of `chain/` that only Koinon itself needs; every other one is public."""

_HEAD: Final = """# Python

The public names, from their docstrings. Each domain has one front door, a class named after it in its
`api.py`; a program needs a `Node` and one of these. Whatever is not listed here may change without notice.
"""


def pages() -> dict[str, str]:
    """Every page by its path in the documents."""
    rooms = {path.parent.name: path for path in sorted((SOURCES / "koinon").glob("*/api.py"))}
    made = {}
    for room in rooms:
        doors = [f"koinon.{room}.api", *(f"koinon.{room}.{name}" for name in BESIDE.get(room, ()))]
        made[f"{FOLDER}/{room}.rst"] = _page(room.capitalize(), doors)
    chain = sorted(
        path for path in (SOURCES / "koinon" / "chain").rglob("*.py") if path.stem not in INSIDE_CHAIN
    )
    chain = [path for path in chain if not path.stem.startswith("_")]
    made[f"{FOLDER}/chain.rst"] = _page("Chain", [_module(path) for path in chain])
    store = sorted((SOURCES / "koinon" / "store").glob("[a-z]*.py"))
    ground = SOURCES / "koinon" / "compute"
    compute = [*sorted(ground.glob("[a-z]*.py")), *sorted((ground / "fixed_point").glob("[a-z]*.py"))]
    made[f"{FOLDER}/store.rst"] = _page("Store", [_module(path) for path in store])
    made[f"{FOLDER}/compute.rst"] = _page("Compute", [_module(path) for path in compute])
    for name in GROUND:
        made[f"{FOLDER}/{name}.rst"] = _page(name.capitalize(), [f"koinon.{name}"])
    names = ["node", *sorted(set(rooms) | {"chain", "store", "compute", "tables"}), "settings", "errors"]
    made[f"{FOLDER}/index.md"] = _HEAD + "\n" + toctree(names)
    return made


def _module(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts)


def _page(title: str, modules: list[str]) -> str:
    lines = [title, "=" * len(title), ""]
    for module in modules:
        name = f"``{module}``"
        lines += [name, "-" * len(name), "", f".. automodule:: {module}", ""]
    return "\n".join(lines)
