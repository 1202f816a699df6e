# SPDX-License-Identifier: Apache-2.0
import stat

import pytest

from koinon.errors import BadInput, IntegrityError, KeyFault
from koinon.store import SealingIdentity, seal, unseal

SECRET = bytes(range(32))


def test_each_reader_opens_what_was_sealed_for_both():
    first, second = SealingIdentity.generate(), SealingIdentity.generate()
    sealed = seal(b"weights", [first.recipient, second.recipient])
    assert first.open(sealed) == second.open(sealed) == b"weights"
    assert b"weights" not in sealed


def test_someone_else_cannot_open_it():
    sealed = seal(b"weights", [SealingIdentity.generate().recipient])
    with pytest.raises(KeyFault, match="sealed for someone else"):
        SealingIdentity.generate().open(sealed)


def test_one_fitting_identity_among_several_is_enough():
    reader = SealingIdentity.generate()
    sealed = seal(b"weights", [reader.recipient])
    assert unseal(sealed, [SealingIdentity.generate(), reader]) == b"weights"


@pytest.mark.parametrize("position", [30, 120, -1])
def test_a_changed_byte_is_noticed(position):
    reader = SealingIdentity.generate()
    sealed = bytearray(seal(b"weights" * 50, [reader.recipient]))
    sealed[position] ^= 1
    with pytest.raises(KeyFault):
        reader.open(bytes(sealed))


def test_a_cut_end_is_noticed():
    reader = SealingIdentity.generate()
    with pytest.raises(KeyFault):
        reader.open(seal(b"weights", [reader.recipient])[:-4])


def test_bytes_that_were_never_sealed_are_refused():
    with pytest.raises(IntegrityError, match="not sealed"):
        SealingIdentity.generate().open(b"plain")


@pytest.mark.parametrize("recipients", [[], ["age1nonsense"], [""]])
def test_sealing_for_nobody_or_nonsense_is_refused(recipients):
    with pytest.raises(BadInput):
        seal(b"x", recipients)


def test_the_same_secret_gives_the_same_reader_and_another_purpose_another():
    derived = SealingIdentity.derive(SECRET, "dataset")
    assert derived.recipient == SealingIdentity.derive(SECRET, "dataset").recipient
    assert derived.recipient != SealingIdentity.derive(SECRET, "model").recipient
    assert derived.recipient != SealingIdentity.derive(SECRET[::-1], "dataset").recipient
    assert derived.open(seal(b"kept", [derived.recipient])) == b"kept"


def test_a_derived_reader_never_changes_between_versions():
    # content sealed years ago must still open
    assert (
        SealingIdentity.derive(SECRET, "dataset").recipient
        == "age1xw7qj5p7ypa4t0fhmzha38792hgs4qem6q9kdzdyrf2qqpaswaqqmvjqg9"
    )


def test_a_short_secret_is_refused():
    with pytest.raises(KeyFault, match="32 bytes"):
        SealingIdentity.derive(b"password", "dataset")


def test_a_saved_identity_is_for_its_owner_only_and_opens_the_same(tmp_path):
    identity = SealingIdentity.generate()
    path = tmp_path / "keys" / "reader.age"
    identity.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SealingIdentity.load(path).open(seal(b"kept", [identity.recipient])) == b"kept"


def test_an_identity_is_never_overwritten(tmp_path):
    SealingIdentity.generate().save(tmp_path / "reader.age")
    with pytest.raises(KeyFault, match="already holds"):
        SealingIdentity.generate().save(tmp_path / "reader.age")


def test_an_identity_others_can_read_is_refused(tmp_path):
    path = tmp_path / "reader.age"
    SealingIdentity.generate().save(path)
    path.chmod(0o644)
    with pytest.raises(KeyFault, match="other users") as caught:
        SealingIdentity.load(path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("content", [None, "", "AGE-SECRET-KEY-1NONSENSE", "é"])
def test_a_missing_or_damaged_identity_is_refused(tmp_path, content):
    path = tmp_path / "reader.age"
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
    with pytest.raises(KeyFault):
        SealingIdentity.load(path)


def test_the_secret_is_never_shown(tmp_path):
    identity = SealingIdentity.generate()
    identity.save(tmp_path / "reader.age")
    secret = (tmp_path / "reader.age").read_text().strip()
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert secret not in f"{identity!r} {identity} {vars(identity)}"
