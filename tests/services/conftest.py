# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages_support import open_town
from tests.services.answering import Answering, open_answering


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A file with functions worth publishing, and some that misbehave."""
    path = tmp_path / "app.py"
    path.write_text(
        '''
import os
import time


def score(income: float, age: int = 40) -> float:
    """How good a customer is."""
    return income / 1000 + age


def fails(text: str) -> str:
    raise ValueError("private: " + text)


def dies(code: int) -> int:
    os._exit(code)


def sleeps(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def lies(text: str) -> int:
    return text


def prints(text: str) -> str:
    print("printed", text)
    os.write(1, b"raw bytes on standard output")
    return text
'''
    )
    return path


@pytest.fixture(autouse=True, scope="session")
def quiet_threads() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def town(tmp_path_factory, network, devnet):
    with open_town(tmp_path_factory.mktemp("town"), network, devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    with open_answering() as server:
        yield server
