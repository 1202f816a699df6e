# SPDX-License-Identifier: Apache-2.0
"""The class of an agent out of a file or a module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from koinon.agents.behaviour import Agent
from koinon.errors import BadInput


def load_agent(target: str, arguments: Mapping[str, Any] | None = None) -> Agent:
    """An agent of the class that ``path/to/file.py:Class`` or ``module:Class`` names.

    Raises
    ------
    BadInput
        There is no such file or class, it cannot be imported, or the class is no agent or wants other
        arguments. The code runs with all rights of this process.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise _wrong(f"{target} names no agent.")
    try:
        module = _load_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:  # their code may raise anything
        raise _wrong(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    kind = getattr(module, name, None)
    if not isinstance(kind, type) or not issubclass(kind, Agent):
        raise _wrong(f"{name} in {place} is not a class of agents.")
    try:
        agent = kind(**dict(arguments or {}))
    except Exception as error:
        raise _wrong(f"{name} cannot be made: {type(error).__name__}: {error}") from error
    for behaviour in agent.behaviours():
        _ = behaviour.handlers, behaviour.timers
    return agent


def _load_file(path: Path) -> ModuleType:
    name = f"koinon_agent_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path.resolve())
    if specification is None or specification.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where annotations of its classes are looked up
    specification.loader.exec_module(module)
    return module


def _wrong(sentence: str) -> BadInput:
    return BadInput(
        sentence, hint="Give file.py:Class, a subclass of koinon.agents.Agent.", code="agents.class"
    )
