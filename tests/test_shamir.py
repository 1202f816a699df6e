# SPDX-License-Identifier: Apache-2.0
import itertools
from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.shamir import MAXIMUM_SHARES, Share, combine, split

SECRET = bytes(range(32))


def coefficient_of(value, count):
    return bytes([value]) * count


@given(secret=st.binary(min_size=1, max_size=48), data=st.data())
def test_any_threshold_of_shares_in_any_order_give_the_secret_back(secret, data):
    count = data.draw(st.integers(1, 12))
    threshold = data.draw(st.integers(1, count))
    shares = data.draw(st.permutations(split(secret, threshold, count)))
    assert combine(shares, threshold) == secret
    assert combine(shares[-threshold:], threshold) == secret


def test_every_three_of_five_give_the_secret_back():
    shares = split(SECRET, 3, 5)
    assert all(combine(three, 3) == SECRET for three in itertools.permutations(shares, 3))


def test_all_255_points_can_be_used():
    shares = split(SECRET, MAXIMUM_SHARES, MAXIMUM_SHARES)
    assert combine(shares, MAXIMUM_SHARES) == SECRET


def test_one_share_of_two_is_the_same_distribution_whatever_the_secret():
    """Over every possible coefficient, a share takes every value exactly once: it says nothing."""
    for secret in (0, 1, 200):
        seen = Counter(
            split(bytes([secret]), 2, 3, entropy=partial(coefficient_of, coefficient))[2].value
            for coefficient in range(256)
        )
        assert set(seen.values()) == {1}
        assert len(seen) == 256


@given(place=st.integers(0, 31), flip=st.integers(1, 255))
def test_a_changed_share_gives_other_bytes(place, flip):
    shares = list(split(SECRET, 2, 3))
    changed = bytearray(shares[1].value)
    changed[place] ^= flip
    shares[1] = Share(2, bytes(changed))
    assert combine(shares, 2) != SECRET


def test_a_known_answer_over_the_field_of_aes():
    """0x57 + 0x83 x at 1 and 2, where 2 · 0x83 is 0x1d (FIPS 197, section 4.2.1)."""
    assert [share.value for share in split(b"\x57", 2, 2, entropy=lambda n: b"\x83" * n)] == [
        b"\xd4",
        b"\x4a",
    ]


def test_shares_do_not_show_their_value():
    assert repr(split(SECRET, 2, 2)[0]) == "Share(index=1)"


@pytest.mark.parametrize(
    ("secret", "threshold", "count"), [(b"", 1, 1), (b"x", 0, 1), (b"x", 3, 2), (b"x", 1, 256)]
)
def test_what_cannot_be_split_is_refused(secret, threshold, count):
    with pytest.raises(BadInput) as error:
        split(secret, threshold, count)
    assert error.value.code == "shamir.split"


@pytest.mark.parametrize(
    "shares",
    [
        [Share(1, b"a")],
        [Share(1, b"a"), Share(1, b"b")],
        [Share(0, b"a"), Share(1, b"b")],
        [Share(1, b"a"), Share(256, b"b")],
        [Share(1, b"a"), Share(2, b"bb")],
        [Share(1, b""), Share(2, b"")],
    ],
)
def test_shares_that_do_not_fit_together_are_refused(shares):
    with pytest.raises(BadInput) as error:
        combine(shares, 2)
    assert error.value.code == "shamir.combine"
