# SPDX-License-Identifier: Apache-2.0
"""Publishing a service from a page: only the operator's own, and only what can be served."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest

from koinon.services.counter import open_shelf
from tests.console.wallet_support import send

CODE = b'''
def double(income: float) -> float:
    """Twice of it."""
    return 2 * income
'''
FUNCTION = {"kind": "function", "function": "double", "price": "0.001"}
ENDPOINT = {
    "kind": "endpoint",
    "endpoint": "http://127.0.0.1:9/",
    "name": "Somebody's",
    "example": '{"a": 1}',
    "price": "0.001",
}


@pytest.fixture(scope="module")
def operator(town):
    return town.operator()


@pytest.fixture(scope="module")
def guest(town):
    return town.guest()


def kept(town):
    folder = town.house.settings.home / "services"
    return sorted(folder.rglob("service.*")) if folder.exists() else []


def sold(town):
    return [listing.name for listing in open_shelf(town.house).listings()]


def publish(visit, fields, name="app.py", content=CODE):
    return visit.upload("/publish/service", fields, (name, content, "text/x-python"))


def test_the_operator_publishes_a_function_from_a_file(town, operator):
    answer = publish(operator, {**FUNCTION, "shares": f"{town.owner.address}=30%"})
    assert answer.status_code == 303, answer.text
    review = operator.page(answer.headers["location"])
    assert "Its code runs on this machine" in review
    assert "30.00%" in review
    page = operator.agree(answer.headers["location"])
    assert "“double” is Work" in page
    assert "double" in sold(town)
    (file,) = kept(town)
    assert file.read_bytes() == CODE
    assert file.stat().st_mode & 0o077 == 0
    assert "double" in operator.page("/services")


def test_nobody_else_leaves_code_on_this_machine(town, guest):
    before = kept(town)
    wallet = town.as_wallet(town.owner.address)
    for visit in (guest, wallet):
        answer = publish(visit, FUNCTION, content=b"import os\n")
        assert "service.operator_only" in answer.text
        assert "service.operator_only" in visit.refused("services.publish", **ENDPOINT)
        assert "Only whoever operates this node" in visit.page("/publish/service")
    assert kept(town) == before


def test_who_has_not_come_in_leaves_no_code_either(town):
    before, nobody = kept(town), town.nobody()
    answer = publish(nobody, FUNCTION, content=b"import os\n")
    assert answer.status_code == 403 or "service.operator_only" in answer.text
    assert kept(town) == before


def test_a_wallet_with_the_operators_address_is_not_the_operator(town):
    wallet = town.as_wallet(town.house.operator.address)
    assert "service.operator_only" in wallet.refused("services.publish", **ENDPOINT)


def sources(town):
    home = town.house.settings.home
    return [
        "",
        "/etc/passwd",
        "/etc/passwd.py",
        str(home / "services" / ".." / "outside.py"),
        str(home / "services-other" / "service.py"),
        "../../../../outside.py",
        "services/service.py",
        "\0.py",
        "x" * 5_000 + ".py",
        str(home / "services"),
        str(home / "services" / "link.py"),
        str(home / "keys" / "operator.json"),
    ]


@pytest.mark.parametrize("number", range(12))
def test_a_source_that_was_not_uploaded_is_refused(town, operator, number):
    home = town.house.settings.home
    (home / "outside.py").write_bytes(CODE)
    (home / "services-other").mkdir(exist_ok=True)
    (home / "services-other" / "service.py").write_bytes(CODE)
    (home / "services").mkdir(exist_ok=True)
    if not (home / "services" / "link.py").is_symlink():
        os.symlink(home / "outside.py", home / "services" / "link.py")
    source = sources(town)[number]
    assert "service.source" in operator.refused("services.publish", **FUNCTION, source=source)


def test_a_source_named_in_the_upload_form_is_not_believed(town, operator):
    outside = town.house.settings.home / "outside.py"
    outside.write_bytes(CODE)
    answer = operator.upload("/publish/service", {**FUNCTION, "source": str(outside)})
    assert "service.source" in answer.text


def test_the_files_own_name_says_nothing_about_where_it_is_kept(town, operator):
    answer = publish(operator, FUNCTION, name="../../../../tmp/evil.py", content=CODE + b"# again\n")
    assert answer.status_code == 303
    assert all(file.is_relative_to(town.house.settings.home / "services") for file in kept(town))
    assert not (town.house.settings.home / "evil.py").exists()


@pytest.mark.parametrize("name", ["app.sh", "app", "app.py.exe", "model.pkl", ".py"])
def test_only_python_and_model_files_are_kept(operator, name):
    assert "service.source" in publish(operator, FUNCTION, name=name).text


def test_an_empty_file_is_refused(operator):
    assert "service.source" in publish(operator, FUNCTION, content=b"").text


def test_code_that_cannot_be_served_publishes_nothing(town, operator):
    before = sold(town)
    answer = publish(operator, {**FUNCTION, "function": "missing"}, content=CODE + b"# missing\n")
    path = answer.headers["location"]
    assert send(operator.client, f"{path}/begin").status_code == 303
    assert 'data-state="failed"' in operator.finished(path)
    assert sold(town) == before


@pytest.mark.parametrize("function", ["", "a b", "1", "os.system", "double()", "__import__('os')"])
def test_a_function_is_a_name(operator, function):
    assert "service.function" in publish(operator, {**FUNCTION, "function": function}).text


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"PK\x03\x04garbage", b"\x93NUMPY\x01\x00garbage", CODE]
)
def test_a_file_that_is_no_model_is_refused(operator, content):
    answer = publish(operator, {**FUNCTION, "kind": "model"}, name="model.npz", content=content)
    assert 400 <= answer.status_code < 500, answer.text


def test_a_model_file_that_would_run_code_is_refused(operator):
    file = io.BytesIO()
    np.savez(file, kind=np.array([{"a": 1}], dtype=object))
    answer = publish(operator, {**FUNCTION, "kind": "model"}, name="model.npz", content=file.getvalue())
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "address",
    ["", "ftp://a/", "http://user:secret@127.0.0.1/", "http://[::1", "http://a:port/", "file:///etc/passwd"],
)
def test_an_endpoint_that_is_none_is_refused(operator, address):
    page = operator.refused("services.publish", **{**ENDPOINT, "endpoint": address})
    assert "service.endpoint" in page


@pytest.mark.parametrize("example", ["[]", "{", "1", "²", '{"a": NaN}', "[" * 5_000])
def test_an_example_is_a_json_object(operator, example):
    assert "service.example" in operator.refused("services.publish", **{**ENDPOINT, "example": example})


@pytest.mark.parametrize("price", ["", "0", "-1", "²", "1e999999", "nan", "0.0000001", "9" * 60, "1,0"])
def test_a_price_is_a_payable_amount(operator, price):
    assert "service.price" in operator.refused("services.publish", **{**ENDPOINT, "price": price})


@pytest.mark.parametrize(
    "shares",
    ["nonsense", "{who}=0%", "{who}=101%", "{who}=1e999999%", "{who}=-5%", "{who}=²%", "{who}=1%\n{who}=1%"],
)
def test_shares_that_are_none_are_refused(town, operator, shares):
    operator.refused("services.publish", **{**ENDPOINT, "shares": shares.format(who=town.owner.address)})


def test_shares_beyond_the_whole_are_refused_at_the_review(town, operator):
    shares = f"{town.owner.address}=60%\n{town.house.operator.address}=60%"
    assert "100 %" in operator.refused("services.publish", **{**ENDPOINT, "shares": shares})


@pytest.mark.parametrize("kind", ["", "program", "FUNCTION"])
def test_a_kind_of_service_that_nobody_knows_is_refused(operator, kind):
    assert "service.form" in operator.refused("services.publish", **{**ENDPOINT, "kind": kind})
    assert "A Python function" in operator.page(f"/publish/service?kind={kind}")
