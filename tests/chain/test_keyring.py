# SPDX-License-Identifier: Apache-2.0
import stat

import pytest

from koinon.chain.keyring import PASSWORD_VARIABLE, Keyring
from koinon.errors import BadInput, KeyFault


def ring(folder, environment=None):
    return Keyring(folder, derivation="pbkdf2", environment=environment or {})


def test_a_name_always_opens_the_same_key(tmp_path):
    first = ring(tmp_path).open("operator")
    assert ring(tmp_path).open("operator") == first
    assert ring(tmp_path).open("buyer") != first


def test_the_password_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    ring(tmp_path).open("operator")
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    assert ring(tmp_path).password() == ring(tmp_path).password()


def test_a_given_password_is_never_written_down(tmp_path):
    given = {PASSWORD_VARIABLE: "correct horse battery staple"}
    ring(tmp_path, given).open("operator")
    assert not (tmp_path / "password").exists()
    assert "correct horse" not in (tmp_path / "operator.json").read_text()
    with pytest.raises(KeyFault, match="password"):
        ring(tmp_path, {PASSWORD_VARIABLE: "wrong"}).open("operator")


@pytest.mark.parametrize("name", ["", "../operator", "Operator", "a/b", "-x"])
def test_names_stay_inside_the_folder(tmp_path, name):
    with pytest.raises(BadInput, match="cannot name a key"):
        ring(tmp_path).open(name)


def test_an_unreadable_password_is_a_clear_error(tmp_path):
    (tmp_path / "password").mkdir()
    with pytest.raises(KeyFault, match="cannot be read"):
        ring(tmp_path).open("operator")
