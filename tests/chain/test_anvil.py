# SPDX-License-Identifier: Apache-2.0
"""Where anvil is looked for, and how it is fetched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from koinon.chain import anvil
from koinon.chain.anvil import VERSION, cache_folder, find_anvil, install_anvil
from koinon.errors import SetupError


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without anvil: an empty working folder, PATH and cache, a package outside any repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(anvil, "__file__", str(tmp_path / "site" / "anvil.py"))
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def test_the_configured_one_comes_first(tmp_path, nowhere):
    configured, variable = program(tmp_path / "a"), program(tmp_path / "b")
    on_path = program(tmp_path / "bin" / "anvil")
    assert find_anvil(configured, {**nowhere, "KOINON_ANVIL": str(variable)}) == configured
    assert find_anvil(None, {**nowhere, "KOINON_ANVIL": str(variable)}) == variable
    assert find_anvil(None, nowhere) == on_path


@pytest.mark.parametrize(
    "place", ["node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil", "node_modules/.bin/anvil"]
)
def test_node_modules_of_this_folder_or_one_above(tmp_path, nowhere, monkeypatch, place):
    found = program(tmp_path / place)
    below = tmp_path / "deep" / "below"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_anvil(None, nowhere) == found


def test_what_was_fetched_comes_last(nowhere):
    place = cache_folder(nowhere) / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
    program(place)
    assert find_anvil(None, nowhere) == place


def test_a_configured_one_that_does_not_exist_is_an_error(tmp_path, nowhere):
    program(tmp_path / "bin" / "anvil")
    with pytest.raises(SetupError) as caught:
        find_anvil(tmp_path / "missing", nowhere)
    assert caught.value.code == "setup.anvil"


def test_nowhere_is_an_error_with_a_way_out(nowhere):
    with pytest.raises(SetupError) as caught:
        find_anvil(None, nowhere)
    assert "KOINON_ANVIL" in caught.value.hint


def test_npm_fetches_it_without_running_scripts(tmp_path, nowhere):
    log = tmp_path / "called"
    program(
        tmp_path / "bin" / "npm",
        f"""#!/bin/sh
echo "$@" > {log}
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/@foundry-rs/anvil-linux-amd64/bin"
cd "$2/node_modules/@foundry-rs/anvil-linux-amd64/bin" && : > anvil && chmod 755 anvil
""",
    )
    environment = {**nowhere, "PATH": f"{nowhere['PATH']}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    found = install_anvil(environment)
    assert found == find_anvil(None, nowhere)
    assert cache_folder(nowhere) in found.parents
    assert "--ignore-scripts" in log.read_text()
    assert f"@{VERSION}" in log.read_text()


@pytest.mark.parametrize("script", ["echo no network >&2; exit 1", "exit 0"])
def test_an_npm_that_fails_is_an_error(tmp_path, nowhere, script):
    program(tmp_path / "bin" / "npm", f"#!/bin/sh\n{script}\n")
    with pytest.raises(SetupError, match="could not be installed"):
        install_anvil(nowhere)


def test_without_npm_there_is_a_hint(nowhere):
    with pytest.raises(SetupError) as caught:
        install_anvil(nowhere)
    assert caught.value.code == "setup.npm"
    assert caught.value.hint
