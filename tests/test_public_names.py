# SPDX-License-Identifier: Apache-2.0
import importlib
import types
from pathlib import Path

import pytest

import koinon

ROOMS = sorted(path.parent.name for path in Path(koinon.__file__).parent.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_shows_exactly_the_names_it_lists(room):
    module = importlib.import_module(f"koinon.{room}")
    shown = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    listed = getattr(module, "__all__", [])
    assert shown == set(listed)
    assert list(listed) == sorted(listed)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_documented(room):
    module = importlib.import_module(f"koinon.{room}")
    silent = [
        name
        for name in getattr(module, "__all__", [])
        if isinstance(getattr(module, name), type | types.FunctionType) and not getattr(module, name).__doc__
    ]
    assert silent == []
