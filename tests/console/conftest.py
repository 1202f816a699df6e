# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.pages_support import open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory, network, devnet):
    with open_town(tmp_path_factory.mktemp("town"), network, devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def guest(town):
    return town.guest()
