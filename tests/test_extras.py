# SPDX-License-Identifier: Apache-2.0
"""Packages that come with an extra: imported where they are, named where they are not."""

from __future__ import annotations

import math

import pytest

from koinon.errors import SetupError
from koinon.extras import required


def test_a_package_that_is_there_is_imported() -> None:
    assert required("math", extra="markets") is math


def test_one_that_is_not_there_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(SetupError, match=r"needs no\.such_package") as caught:
        required("no.such_package", extra="watch")
    assert caught.value.code == "setup.no_extra"
    assert caught.value.hint == "pip install 'koinon[watch]'"
