# SPDX-License-Identifier: Apache-2.0
"""Copies what the console's pages are made with from node_modules into the package, with licences.

    python tools/vendor.py            copy
    python tools/vendor.py --check    exit 1 where a copy differs from node_modules or a licence is missing

No page loads anything from elsewhere, so the copies are part of Koinon; ``package-lock.json`` pins them.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Final

from fontTools import subset

ROOT: Final = Path(__file__).parent.parent
MODULES: Final = ROOT / "node_modules"
VENDOR: Final = ROOT / "src" / "koinon" / "console" / "static" / "vendor"
LICENSES: Final = ROOT / "LICENSES"

FILES: Final = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "hx-sse.min.js": "htmx.org/dist/ext/hx-sse.min.js",
    "uPlot.min.js": "uplot/dist/uPlot.iife.min.js",
    "uPlot.css": "uplot/dist/uPlot.min.css",
    "fonts/inter.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "fonts/source-serif-4.woff2": (
        "@fontsource-variable/source-serif-4/files/source-serif-4-latin-wght-normal.woff2"
    ),
    "fonts/jetbrains-mono.woff2": (
        "@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2"
    ),
}
"""Copy → where it comes from. Fonts hold the Latin letters only; others fall to the system's."""

MONOSPACE: Final = "fonts/jetbrains-mono.woff2"
"""The font of addresses, hashes and commands: these are ASCII, so that is all of it that pages load."""

LICENCES: Final = {
    "htmx-0BSD.txt": "htmx.org/LICENSE",
    "uplot-MIT.txt": "uplot/LICENSE",
    "inter-OFL-1.1.txt": "@fontsource-variable/inter/LICENSE",
    "source-serif-4-OFL-1.1.txt": "@fontsource-variable/source-serif-4/LICENSE",
    "jetbrains-mono-OFL-1.1.txt": "@fontsource-variable/jetbrains-mono/LICENSE",
}


def main(arguments: list[str]) -> int:
    wanted = {VENDOR / name: content(MODULES / source) for name, source in FILES.items()}
    wanted[VENDOR / MONOSPACE] = ascii_part(wanted[VENDOR / MONOSPACE])
    wanted |= {LICENSES / name: (MODULES / source).read_bytes() for name, source in LICENCES.items()}
    if arguments == ["--check"]:
        faults = [
            f"{path.relative_to(ROOT)} differs" for path, body in wanted.items() if not same(path, body)
        ]
        strangers = [path for path in VENDOR.rglob("*") if path.is_file() and path not in wanted]
        faults += [f"{path.relative_to(ROOT)} comes from nowhere" for path in strangers]
        print("\n".join(faults) if faults else "Every vendored file is its package's, with a licence.")
        return 1 if faults else 0
    for path, body in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return 0


def content(path: Path) -> bytes:
    """The file; scripts and sheets get the line that says whose they are, and lose their source map."""
    body = path.read_bytes()
    if path.suffix not in {".js", ".css"}:
        return body
    lines = [line for line in body.splitlines() if not line.startswith(b"//# sourceMappingURL=")]
    notice = f"/* Taken from the npm package {package(path)}; its licence is in LICENSES. */".encode()
    return b"\n".join([notice, *lines]) + b"\n"


def ascii_part(font: bytes) -> bytes:
    """A WOFF2 font with the signs of ASCII and the ellipsis, and without ligatures."""
    options = subset.Options(flavor="woff2", layout_features=[], recalc_timestamp=False)
    loaded = subset.load_font(BytesIO(font), options)
    chooser = subset.Subsetter(options)
    chooser.populate(unicodes=[*range(0x20, 0x7F), 0x2026, 0x22EF])
    chooser.subset(loaded)
    smaller = BytesIO()
    subset.save_font(loaded, smaller, options)
    return smaller.getvalue()


def package(path: Path) -> str:
    parts = path.relative_to(MODULES).parts
    return "/".join(parts[:2]) if parts[0].startswith("@") else parts[0]


def same(path: Path, body: bytes) -> bool:
    return path.is_file() and path.read_bytes() == body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
