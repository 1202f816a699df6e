# SPDX-License-Identifier: Apache-2.0
"""Fetch ERC-8004's reference contracts and compile them, so that ours can be held against them.

``python tools/erc8004_reference.py [--source URL_OR_DIRECTORY]`` needs git and npm, and leaves
``build/erc8004/reference.json`` (contract → ABI and creation code). Nothing of theirs is in the repository.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

SOURCE: Final = "https://github.com/erc-8004/erc-8004-contracts"
COMMIT: Final = "b9e466c250744a7e06b13dff9d3c2844ed64f825"
PACKAGES: Final = (
    "solc@0.8.24",
    "@openzeppelin/contracts@5.4.0",
    "@openzeppelin/contracts-upgradeable@5.4.0",
)
FOLDER: Final = Path(__file__).resolve().parents[1] / "build" / "erc8004"
REFERENCE: Final = FOLDER / "reference.json"
CONTRACTS: Final = (
    "ERC1967Proxy",
    "HardhatMinimalUUPS",
    "IdentityRegistryUpgradeable",
    "ReputationRegistryUpgradeable",
    "ValidationRegistryUpgradeable",
)
STAMP: Final = json.dumps([COMMIT, *PACKAGES])


def build(source: str = SOURCE) -> Path:
    """Where the compiled contracts are; made once for a commit and its compiler."""
    stamp = FOLDER / "stamp"
    if REFERENCE.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == STAMP:
        return REFERENCE
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    _run("npm", "install", "--prefix", str(FOLDER), "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES)
    checkout = FOLDER / "source"
    _run("git", "init", "--quiet", str(checkout))
    _run("git", "-C", str(checkout), "fetch", "--quiet", "--depth", "1", source, COMMIT)
    _run("git", "-C", str(checkout), "checkout", "--quiet", "FETCH_HEAD")
    compiled = _compile(checkout / "contracts")
    REFERENCE.write_text(json.dumps(compiled), encoding="utf-8")
    stamp.write_text(STAMP, encoding="utf-8")
    return REFERENCE


def _compile(folder: Path) -> dict[str, Any]:
    """With the settings of their own build: solc 0.8.24, Shanghai, 200 runs, by the intermediate language."""
    asked = {
        "language": "Solidity",
        "sources": {
            f"{name}.sol": {"content": (folder / f"{name}.sol").read_text(encoding="utf-8")}
            for name in CONTRACTS
        },
        "settings": {
            "evmVersion": "shanghai",
            "optimizer": {"enabled": True, "runs": 200},
            "viaIR": True,
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    compiler = FOLDER / "node_modules" / ".bin" / "solcjs"
    command = [str(compiler), "--standard-json", "--base-path", str(folder)]
    command += ["--include-path", str(FOLDER / "node_modules")]
    answer = FOLDER / "answer.json"  # to a file: their compiler ends before a pipe is read
    with answer.open("wb") as out:
        subprocess.run(command, input=json.dumps(asked).encode(), stdout=out, check=True)
    text = answer.read_text(encoding="utf-8")
    told = json.loads(text[text.index("{") :])
    faults = [each["formattedMessage"] for each in told.get("errors", ()) if each["severity"] == "error"]
    if faults:
        raise SystemExit("\n".join(faults))
    return {
        name: {
            "abi": told["contracts"][f"{name}.sol"][name]["abi"],
            "bytecode": "0x" + told["contracts"][f"{name}.sol"][name]["evm"]["bytecode"]["object"],
        }
        for name in CONTRACTS
    }


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--source", default=SOURCE, help="a git repository that has the commit")
    print(build(parser.parse_args().source))
    return 0


if __name__ == "__main__":
    sys.exit(main())
