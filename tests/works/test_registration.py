# SPDX-License-Identifier: Apache-2.0
"""Registration files: exact bytes, signatures that hold, and every malformed file refused by name."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, KoinonError
from koinon.works.registration import (
    MAX_BYTES,
    TYPE,
    Card,
    Content,
    Metric,
    Registration,
    Service,
    SignedRegistration,
    registration_domain,
)
from koinon.works.shares import OWNER, WHOLE, ShareTable

KEY = Key.from_bytes(keccak256(b"koinon test role: publisher"))
DOMAIN = registration_domain(31_337, "0x" + "11" * 20)
METRIC = Metric(
    name="AUC",
    value=0.7481,
    interval=(0.741, 0.755),
    baseline=0.7152,
    baseline_name="mean of five lenders alone",
    held_out="18,000 customers of all five",
    samples=18_000,
)
CARD = Card(
    kind="model",
    summary="Scores the risk that a credit card customer defaults next month.",
    data="Customers of five lenders in Taiwan, 2005.",
    limits=("Not for decisions without a person.", "One country, one year."),
    contest="Write to the owner, or open a claim on chain.",
    metric=METRIC,
)
REGISTRATION = Registration(
    name="Default risk",
    description="Five lenders taught it together.",
    card=CARD,
    services=(Service("web", "https://127.0.0.1:8402/score", "1"),),
    contents=(Content("model", "bafkreigh2akiscaildc", 51_000, "application/octet-stream"),),
    shares=ShareTable.of_owner(),
    x402_support=True,
    registrations=((7, "eip155:31337:0x" + "11" * 20),),
)


def test_a_file_has_the_fields_of_the_standard_and_the_card():
    fields = orjson.loads(REGISTRATION.sign(KEY, DOMAIN).to_bytes())
    assert fields["type"] == TYPE
    assert fields["services"] == [{"name": "web", "endpoint": "https://127.0.0.1:8402/score", "version": "1"}]
    assert fields["registrations"] == [{"agentId": 7, "agentRegistry": "eip155:31337:0x" + "11" * 20}]
    assert (fields["x402Support"], fields["active"], fields["supportedTrust"]) == (True, True, ["reputation"])
    assert fields["koinon"]["card"]["metric"]["interval"] == [0.741, 0.755]
    assert fields["koinon"]["shares"] == {OWNER: WHOLE}
    assert fields["koinon"]["signer"] == KEY.address


def test_the_bytes_are_the_ones_written_down():
    plain = Registration("A", "B", Card("service", "C", "D", ("E",), "F", unmeasured="G"))
    assert plain.sign(KEY, DOMAIN).to_bytes() == (
        b'{"active":true,"description":"B","image":"","koinon":{"card":{"contest":"F","data":"D",'
        b'"kind":"service","limits":["E"],"summary":"C","unmeasured":"G"},"signature":"0x'
        + KEY.sign(plain._digest(DOMAIN)).hex().encode()
        + b'","signer":"'
        + KEY.address.encode()
        + b'"},"name":"A","registrations":[],"services":[],"supportedTrust":["reputation"],"type":"'
        + TYPE.encode()
        + b'","x402Support":false}'
    )


def test_what_was_written_is_read_back_and_its_signature_holds():
    signed = REGISTRATION.sign(KEY, DOMAIN)
    read = SignedRegistration.from_bytes(signed.to_bytes())
    assert read == signed
    assert read.registration == REGISTRATION
    read.check(DOMAIN)


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: replace(signed, registration=replace(REGISTRATION, name="Other")),
        lambda signed: replace(signed, signer=Key.generate().address),
        lambda signed: replace(signed, signature=bytes(65)),
        lambda signed: replace(signed, signature=signed.signature[:64]),
    ],
)
def test_a_changed_file_does_not_hold(change):
    with pytest.raises(IntegrityError) as refused:
        change(REGISTRATION.sign(KEY, DOMAIN)).check(DOMAIN)
    assert refused.value.code == "works.registration_signature"


def test_a_file_is_signed_for_one_network():
    with pytest.raises(IntegrityError):
        REGISTRATION.sign(KEY, DOMAIN).check(registration_domain(1, DOMAIN.verifying_contract))
    with pytest.raises(IntegrityError):
        REGISTRATION.sign(KEY, DOMAIN).check(registration_domain(31_337, "0x" + "12" * 20))


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(METRIC, value=math.nan),
        lambda: replace(METRIC, interval=(-math.inf, 1.0)),
        lambda: replace(METRIC, interval=(0.75, 0.76)),
        lambda: replace(METRIC, confidence=1.0),
        lambda: replace(METRIC, samples=0),
        lambda: replace(METRIC, held_out=" "),
        lambda: replace(CARD, limits=()),
        lambda: replace(CARD, limits=("",)),
        lambda: replace(CARD, contest=""),
        lambda: replace(CARD, metric=None),
        lambda: replace(CARD, unmeasured="also this"),
        lambda: replace(REGISTRATION, name=""),
        lambda: Service("web", ""),
        lambda: Content("model", "bafk", -1, "text/plain"),
        lambda: replace(REGISTRATION, description="\ud800").sign(KEY, DOMAIN),
        lambda: replace(REGISTRATION, description="x" * MAX_BYTES).sign(KEY, DOMAIN).to_bytes(),
    ],
)
def test_a_card_that_leaves_something_out_is_not_made(make):
    with pytest.raises(BadInput) as refused:
        make()
    assert refused.value.code == "works.registration"


def _fields():
    return orjson.loads(REGISTRATION.sign(KEY, DOMAIN).to_bytes())


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["type"], "https://example.com/other", "type"),
        (["name"], None, "name"),
        (["name"], 5, "name"),
        (["services"], {}, "services"),
        (["services"], [1], "services[0]"),
        (["services"], [{"name": "web"}], "services[0].endpoint"),
        (["registrations"], [{"agentId": "7", "agentRegistry": "x"}], "registrations[0].agentId"),
        (["registrations"], [{"agentId": 1e21, "agentRegistry": "x"}], "registrations[0].agentId"),
        (["supportedTrust"], [1], "supportedTrust"),
        (["active"], "yes", "active"),
        (["unknown"], 1, "canonical"),
        (["koinon"], None, "koinon"),
        (["koinon", "card"], [], "koinon.card"),
        (["koinon", "card", "limits"], "none", "koinon.card.limits"),
        (["koinon", "card", "metric", "value"], "good", "koinon.card.metric.value"),
        (["koinon", "card", "metric", "value"], True, "koinon.card.metric.value"),
        (["koinon", "card", "metric", "interval"], [1], "koinon.card.metric.interval"),
        (["koinon", "card", "metric", "interval"], ["a", "b"], "koinon.card.metric.interval"),
        (["koinon", "card", "metric", "samples"], 1.5, "koinon.card.metric.samples"),
        (["koinon", "shares"], [], "koinon.shares"),
        (["koinon", "signature"], "0xzz", "koinon.signature"),
        (["koinon", "signature"], None, "koinon.signature"),
        (["koinon", "signer"], KEY.address.lower(), "canonical"),
    ],
)
def test_a_malformed_file_is_refused_by_the_name_of_its_field(path, value, named):
    fields = inner = _fields()
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(BadInput, match=named.replace("[", r"\[").replace("]", r"\]")) as refused:
        SignedRegistration.from_bytes(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS))
    assert refused.value.code == "works.registration"


def test_other_bytes_of_the_same_content_are_refused():
    with pytest.raises(BadInput, match="canonical"):
        SignedRegistration.from_bytes(orjson.dumps(_fields(), option=orjson.OPT_INDENT_2))
    with pytest.raises(BadInput, match="not JSON"):
        SignedRegistration.from_bytes(b"{")
    with pytest.raises(BadInput, match="at most"):
        SignedRegistration.from_bytes(b" " * (MAX_BYTES + 1))


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "name", "koinon", "card", "services", "shares", "signature"]), inner, max_size=4),
    max_leaves=12,
).map(orjson.dumps))  # fmt: skip
def test_whatever_comes_is_a_registration_or_an_error_of_ours(content):
    with pytest.raises(KoinonError):
        SignedRegistration.from_bytes(content)


def test_what_a_domain_says_of_a_work_is_read_back():
    said: dict[str, dict[str, Any]] = {
        "service": {"version": "2", "limits": {"body_bytes": 1000}},
        "fingerprints": {"weights": ["0x12"]},
    }
    signed = replace(REGISTRATION, about=said).sign(KEY, DOMAIN)
    assert SignedRegistration.from_bytes(signed.to_bytes()).registration.about == said
    assert "about" not in REGISTRATION.to_json()["koinon"]


@pytest.mark.parametrize("about", [1, [], {"service": []}, {"service": "x"}])
def test_a_topic_is_an_object(about):
    fields = orjson.loads(REGISTRATION.sign(KEY, DOMAIN).to_bytes())
    fields["koinon"]["about"] = about
    with pytest.raises(BadInput) as refused:
        SignedRegistration.from_bytes(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS))
    assert "koinon.about" in refused.value.message
