# SPDX-License-Identifier: Apache-2.0
"""Lists with where they come from, and addresses made to be taken for others."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from koinon.errors import BadInput
from koinon.watch.graph import Edges
from koinon.watch.laundering.lists import OFAC_MEMBER, read_ofac, read_own, read_phishing
from koinon.watch.laundering.screening import Screen, told

ROOT = Path(__file__).parents[3]
WHEELS = sorted((ROOT / ".setup" / "datasets").glob("sra_riskgate-*.whl"))
PHISHING = ROOT / "node_modules" / "eth-phishing-detect"
LISTED = "0x" + "ab" * 20
LOOKS = "0xabab" + "0" * 32 + "abab"


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "partners.csv"
    path.write_text(f"# mine\n{LISTED.upper().replace('0X', '0x')}, a thief\nbad.example # a domain\n\n")
    return read_own(path, as_of="2026-01-02")


def test_an_own_list_says_where_it_is_from(own):
    (hit,) = Screen([own]).look_up(LISTED)
    assert hit.certain
    assert hit.note == "a thief"
    assert hit.on["as_of"] == "2026-01-02"
    assert hit.on["source"] == "the file partners.csv"
    assert len(hit.on["sha256"]) == 64
    assert told(hit) == "It is on the list partners of 2026-01-02."


def test_what_begins_and_ends_as_a_listed_one_is_near_and_not_certain(own):
    (hit,) = Screen([own]).look_up(LOOKS)
    assert (hit.how, hit.like, hit.certain) == ("looks_like_listed", LISTED, False)


def test_a_poisoned_address_looks_like_one_that_is_dealt_with():
    screen = Screen([], known=[LISTED])
    (hit,) = screen.look_up(LOOKS)
    assert hit.how == "looks_like_known"
    assert screen.look_up(LISTED) == []
    assert screen.look_up("0x" + "cd" * 20) == []


def test_transfers_with_listed_accounts_are_findings(own):
    edges = Edges.of([LISTED, "0x" + "01" * 20], ["0x" + "02" * 20] * 2, [1, 2], [5, 6])
    (finding,) = Screen([own]).findings(edges)
    assert finding.kind == "listed"
    assert finding.accounts[0] == LISTED
    assert len(finding.edges) == 1


@pytest.mark.parametrize("subject", ["0x12", "nothing here", "localhost"])
def test_what_is_neither_address_nor_domain_is_refused(own, subject):
    with pytest.raises(BadInput):
        Screen([own]).look_up(subject)


def test_a_list_with_a_line_that_is_neither_is_refused(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{LISTED}\nnot at all\n")
    with pytest.raises(BadInput, match="line 2"):
        read_own(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_own(tmp_path / "absent")


def test_domains_below_listed_ones_and_imitations_are_told_apart(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(
        '{"version": 2, "tolerance": 2, "fuzzylist": ["metamask.io"], '
        '"whitelist": ["fine.evil.example"], "blacklist": ["evil.example"]}'
    )
    screen = Screen([read_phishing(config)])
    assert screen.look_up("evil.example")[0].how == "listed"
    assert screen.look_up("a.b.evil.example")[0].how == "under_listed"
    assert screen.look_up("x.fine.evil.example") == []
    assert screen.look_up("metamosk.io")[0].how == "imitates"
    assert screen.look_up("metamask.io") == []
    assert screen.look_up("example.org") == []
    config.write_text("[]")
    with pytest.raises(BadInput):
        read_phishing(config)


@pytest.mark.skipif(not WHEELS, reason="the data sets' packages are not here")
def test_the_sanctions_list_of_the_wheel_says_its_date_and_digest():
    found = read_ofac(WHEELS[0])
    with zipfile.ZipFile(WHEELS[0]) as wheel:
        assert found.sha256 == hashlib.sha256(wheel.read(OFAC_MEMBER)).hexdigest()
    assert found.kind == "sanctions"
    assert found.as_of == "2026-10-01"
    assert len(found.addresses) > 100
    assert Screen([found]).look_up(next(iter(found.addresses)))[0].certain


@pytest.mark.skipif(not PHISHING.is_dir(), reason="npm's packages are not here")
def test_the_phishing_list_of_npm_is_read_whole():
    found = read_phishing(PHISHING)
    assert len(found.domains) > 10_000
    assert "1.2.0" in found.source
    assert Screen([found]).look_up("metamask.io") == []


def test_a_file_without_a_list_is_refused(tmp_path):
    path = tmp_path / "a.whl"
    path.write_bytes(b"no wheel")
    with pytest.raises(BadInput):
        read_ofac(path)
    (tmp_path / "list.txt").write_text("# as_of: 2026-01-01\n")
    with pytest.raises(BadInput):
        read_ofac(tmp_path / "list.txt")
