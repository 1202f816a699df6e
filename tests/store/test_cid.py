# SPDX-License-Identifier: Apache-2.0
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.store import cid_of, digest_of
from koinon.store.cid import cid_from_digest

GOLDEN = {  # as any IPFS implementation prints them with raw leaves and CID version 1
    b"": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    b"hello world": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
}


@pytest.mark.parametrize(("data", "cid"), GOLDEN.items())
def test_the_cid_is_the_one_every_other_implementation_gives(data, cid):
    assert cid_of(data) == cid


@given(st.binary(max_size=200))
def test_the_digest_comes_back_out_of_the_cid(data):
    assert cid_from_digest(digest_of(cid_of(data))) == cid_of(data)


@given(st.binary(min_size=32, max_size=32))
def test_every_digest_has_a_cid_of_59_characters(digest):
    cid = cid_from_digest(digest)
    assert len(cid) == 59
    assert cid.startswith("bafkrei")
    assert digest_of(cid) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "hello",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",  # version 0
        "z" + GOLDEN[b""][1:],  # another base's letter
        GOLDEN[b""].upper(),
        GOLDEN[b""][:-1],
        GOLDEN[b""] + "a",
        GOLDEN[b""] + "=",
        GOLDEN[b""][:-1] + "v",  # the two spare bits set: another spelling of the same bytes
        "b"
        + base64.b32encode(bytes([1, 0x70, 0x12, 0x20]) + bytes(32)).decode().rstrip("=").lower(),  # dag-pb
        "b"
        + base64.b32encode(bytes([1, 0x55, 0x13, 0x20]) + bytes(32)).decode().rstrip("=").lower(),  # sha2-512
        "../../../../etc/passwd",
    ],
)
def test_anything_but_such_a_cid_is_refused(text):
    with pytest.raises(BadInput, match="not the CID"):
        digest_of(text)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_digest_of_another_length_is_refused(length):
    with pytest.raises(BadInput, match="32 bytes"):
        cid_from_digest(bytes(length))
