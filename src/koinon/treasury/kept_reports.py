# SPDX-License-Identifier: Apache-2.0
"""Walk-forward reports kept beside vaults: what their methods did on past prices, for their pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from koinon.treasury.allocation.backtest import Report


@dataclass(frozen=True)
class Reports:
    """The newest report of each vault of a chain, in a folder."""

    folder: Path
    chain_id: int

    def keep(self, vault: str, report: Report) -> Path:
        """Keep a report for a vault, in place of the one before; its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self._file(vault)
        place.write_bytes(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2))
        return place

    def of(self, vault: str) -> dict[str, Any] | None:
        """The report of a vault as `Report.to_dict`; None where none was kept, or it is damaged."""
        try:
            found = orjson.loads(self._file(vault).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("rows") else None

    def _file(self, vault: str) -> Path:
        return self.folder / f"{self.chain_id}-{vault}.json"
