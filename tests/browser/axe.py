# SPDX-License-Identifier: Apache-2.0
"""axe-core's judgement of a page, put in from outside as a debugger does, so that the page's policy stays."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

AXE: Final = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"

_RUN: Final = """
(rules) => {
  const only = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
  const options = { ...only, resultTypes: ["violations"], rules: { "target-size": { enabled: true } } };
  const words = ({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`;
  return axe.run(document, options).then((found) =>
    found.violations.map((each) => ({ ...each, nodes: each.nodes.map(words) })));
}
"""


@cache
def _source() -> str:
    return AXE.read_text(encoding="utf-8")


def violations(page: Page, *rules: str) -> list[str]:
    """What is wrong, in words; every rule unless some are named."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(_RUN, list(rules))
    return [
        f"{each['id']} ({each['impact']}): {each['help']}\n  " + "\n  ".join(each["nodes"][:4])
        for each in found
        if each["impact"] != "minor"
    ]
