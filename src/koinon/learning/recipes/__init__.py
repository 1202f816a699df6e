# SPDX-License-Identifier: Apache-2.0
"""Recipes that come with Koinon, each a file a user may copy and change, and data to try each on.

``read_recipe("credit")`` reads one by its name, ``read_recipe("my/own.toml")`` one from a file;
``example_split("credit", seed)`` is the data it was made for, divided among five owners.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from koinon.errors import BadInput
from koinon.learning import datasets
from koinon.learning.recipe import Recipe
from koinon.learning.splits import Split, split_credit, split_evenly

OWNERS: Final = 5


def _credit(seed: int) -> Split:
    return split_credit(datasets.load_credit(), seed)


def _digits(seed: int) -> Split:
    return split_evenly(datasets.load_digits8(), OWNERS, seed)


def _spam(seed: int) -> Split:
    return split_evenly(datasets.load_spam(), OWNERS, seed)


SHIPPED: Final[Mapping[str, Callable[[int], Split]]] = MappingProxyType(
    {
        "credit": _credit,
        "credit-trees": _credit,
        "digits-private": _digits,
        "digits-torch": _digits,
        "spam": _spam,
    }
)
"""Names of shipped recipes, and a function of the seed to the split data that go with each."""


def read_recipe(name: str | os.PathLike[str], /, **changes: Any) -> Recipe:
    """A shipped recipe by its name, or one from a TOML or JSON file.

    Parameters
    ----------
    changes
        Fields of `Recipe` to set instead, such as ``seed``.

    Raises
    ------
    BadInput
        No such name or file, or no recipe in it.
    """
    if str(name) in SHIPPED:
        return replace(Recipe.from_toml(recipe_file(str(name))), **changes)
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"There is no recipe '{name}'.",
            hint=f"Name a TOML file, or one of {', '.join(SHIPPED)}.",
            code="learning.no_recipe",
        ) from error
    recipe = Recipe.from_json(text) if path.suffix.lower() == ".json" else Recipe.from_toml(text)
    return replace(recipe, **changes)


def recipe_file(name: str) -> str:
    """A shipped recipe's file as it stands, to copy and change; BadInput when there is none of this name."""
    if name not in SHIPPED:
        raise _no_shipped(name)
    return resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def example_split(name: str, seed: int) -> Split:
    """Five owners, a contribution set and held-out rows of the data a shipped recipe was made for.

    Raises
    ------
    BadInput
        No shipped recipe has this name.
    NotFound, SetupError
        The data are not on this machine, with what brings them.
    """
    if name not in SHIPPED:
        raise _no_shipped(name)
    return SHIPPED[name](seed)


def _no_shipped(name: str) -> BadInput:
    return BadInput(
        f"No shipped recipe is called '{name}'.",
        hint=f"They are {', '.join(SHIPPED)}.",
        code="learning.no_recipe",
    )
